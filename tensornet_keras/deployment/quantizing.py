"""Post-training quantization of LiteRT files: what its converter is told."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from tensornet_keras import model_inputs

DYNAMIC_RANGE, FLOAT16, INT8 = KINDS = ("dynamic_range", "float16", "int8")
# Relative differences that are allowed where nothing else is said.
TOLERANCES = {None: 1e-4, FLOAT16: 1e-2, DYNAMIC_RANGE: 0.1, INT8: 0.1}


def settings(quantize, format: str, specs, calibration_data) -> dict:
    """Arguments of Keras' export for a kind of quantization.

    Args:
        quantize: One of `KINDS`, or `None`.
        format: The name of the export format.
        specs: What the model takes.
        calibration_data: Arrays in that structure, for `"int8"`.

    Raises:
        ValueError: If the kind is unknown, the format another one, or data
            is missing, without use, or does not fit.
    """
    if quantize is None:
        if calibration_data is not None:
            raise ValueError(
                "`calibration_data` sets the ranges of integers. Received: "
                "calibration_data and quantize=None. Pass quantize='int8'."
            )
        return {}
    if quantize not in KINDS:
        raise ValueError(
            f"`quantize` must be one of {', '.join(map(repr, KINDS))} or None. "
            f"Received: quantize={quantize!r}."
        )
    if format != "litert":
        raise ValueError(
            "Only LiteRT files are quantized. Received: "
            f"quantize={quantize!r} with format={format!r}. "
            "Pass format='litert', or leave quantize out."
        )
    if (quantize == INT8) == (calibration_data is None):
        raise ValueError(
            "quantize='int8' needs `calibration_data`, some examples; other "
            f"kinds take none. Received: quantize={quantize!r} with "
            f"{'no' if calibration_data is None else 'some'} data."
        )
    import tensorflow as tf

    told = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if quantize == FLOAT16:
        told["target_spec"] = {"supported_types": [tf.float16]}
    if quantize == INT8:
        whole = model_inputs.sample_inputs(
            specs, calibration_data, "calibration_data"
        )
        told["representative_dataset"] = lambda: _one_by_one(specs, whole)
    return told


def tolerance_for(quantize) -> float:
    """The largest relative difference that is allowed by default.

    Args:
        quantize: One of `KINDS`, or `None`.
    """
    return TOLERANCES.get(quantize, TOLERANCES[None])


def _one_by_one(specs, whole) -> Iterator[dict]:
    """Examples as the converter takes them: by name, in batches of one."""
    names = [spec.name for spec in keras.tree.flatten(specs)]
    arrays = keras.tree.flatten(whole)
    for number in range(len(arrays[0])):
        yield {
            name: array[number : number + 1]
            for name, array in zip(names, arrays, strict=True)
        }
