"""Calibration data: batches of the arrays that a model takes."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from tensornet_keras import model_inputs

BATCH_SIZE = 64


def batches_of(model, data) -> list:
    """Calibration data as batches of the arrays that a model takes.

    Args:
        model: A built model.
        data: As in `Calibration`.

    Raises:
        ValueError: If the data is empty, not finite or does not fit.
    """
    if isinstance(data, (np.ndarray, list, tuple, dict)) or ops.is_tensor(data):
        specs = _specs(model, data)
        whole = model_inputs.sample_inputs(specs, data, "calibration_data")
        length = len(keras.tree.flatten(whole)[0])
        starts = range(0, length, BATCH_SIZE)
        batches = [
            keras.tree.map_structure(
                lambda x, at=start: x[at : at + BATCH_SIZE], whole
            )
            for start in starts
        ]
    else:
        batches, specs = [], None
        for each in _iterated(data):
            each = _without_labels(each, model)
            specs = specs or _specs(model, each)
            batches.append(
                model_inputs.sample_inputs(specs, each, "calibration_data")
            )
    if not batches:
        raise ValueError(
            "`calibration_data` must hold at least one example. "
            "Received: none. Pass a few hundred examples."
        )
    for batch in batches:
        for array in keras.tree.flatten(batch):
            # Those of ml_dtypes are of no kind that NumPy knows.
            is_float = "float" in array.dtype.name
            if is_float and not np.isfinite(array).all():
                raise ValueError(
                    "`calibration_data` must be finite. Received: an array "
                    f"of shape {array.shape} with NaN or infinite numbers. "
                    "Clean it first."
                )
    return batches


def _specs(model, data):
    """What a model takes; of the data's types where it does not say."""
    specs = model_inputs.input_specs(model, data)
    if getattr(model, "inputs", None):
        return specs
    remembered = _known_specs(model)
    if remembered is None:
        return specs
    types = [spec.dtype for spec in keras.tree.flatten(specs)]
    shapes = keras.tree.flatten(remembered)
    if len(types) != len(shapes):
        return remembered
    typed = [
        keras.InputSpec(shape=spec.shape, dtype=dtype, name=spec.name)
        for spec, dtype in zip(shapes, types, strict=True)
    ]
    return keras.tree.pack_sequence_as(remembered, typed)


def _known_specs(model):
    """What a model says that it takes, `None` where it does not."""
    try:
        return model_inputs.input_specs(model)
    except ValueError:
        return None


def _iterated(data):
    if isinstance(data, keras.utils.PyDataset):
        if data.num_batches is None:
            _refuse_endless(data)
        return (data[number] for number in range(data.num_batches))
    # A data set of TensorFlow knows whether it ends; -1 is that it does not.
    count = getattr(data, "cardinality", None)
    if callable(count) and int(count()) == -1:
        _refuse_endless(data)
    try:
        return iter(data)
    except TypeError as error:
        raise TypeError(
            "`calibration_data` must be arrays, or an iterable of batches. "
            f"Received: calibration_data={data!r}. "
            "Pass for example 512 training examples."
        ) from error


def _refuse_endless(data):
    raise ValueError(
        "`calibration_data` must come to an end. "
        f"Received: a {type(data).__name__} that goes on for ever. "
        "Take a few batches of it, data.take(8) for example."
    )


def _without_labels(batch, model):
    if isinstance(batch, list) and len(batch) > 1:
        # Data loaders of PyTorch make lists, but some models take lists.
        specs = _known_specs(model)
        if specs is not None and not model_inputs.is_built_as(specs, batch):
            batch = tuple(batch)
    if isinstance(batch, tuple):
        batch = keras.utils.unpack_x_y_sample_weight(batch)[0]
    return keras.tree.map_structure(np.asarray, batch)
