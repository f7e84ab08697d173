"""Whether an exported file says what the model says: reload it and compare."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

import keras
import numpy as np

_WIDTH = 400  # characters of a runtime's own message


class ExportError(RuntimeError):
    """An export that failed, or gave a file that differs from the model."""


def load(path: str, format: str, specs) -> Callable:
    """Loads an exported file with the runtime that will run it.

    Args:
        path: The file, or the folder of a SavedModel.
        format: The name of its format, one of `LOADERS`.
        specs: The structure of `keras.InputSpec` it was exported with.

    Returns:
        A function of a flat list of arrays, in the order of `specs`, that
        returns the outputs as a flat list of arrays, in the model's order.

    Raises:
        ExportError: If the runtime refuses the file.
    """
    try:
        return LOADERS[format](path, keras.tree.flatten(specs), specs)
    except Exception as error:
        raise ExportError(
            "The exported file must load again. Received: "
            f"{one_line(error)}. Try another format."
        ) from error


def largest_difference(model, run: Callable, inputs) -> float:
    """The largest difference between a model's outputs and a file's.

    For every output it is the largest absolute difference over the largest
    absolute value of the model's output (over 1 where that is zero
    everywhere); the largest of these counts.

    Args:
        model: The Keras model.
        run: What `load` returned.
        inputs: Arrays in the structure that the model takes.

    Returns:
        The relative difference; NaN if either side is not finite.

    Raises:
        ExportError: If the file does not run, or gives outputs of other
            numbers or shapes.
    """
    expected = _arrays(model(inputs, training=False))
    flat = keras.tree.flatten(inputs)
    try:
        actual = run(flat)
    except Exception as error:
        raise ExportError(
            "The exported file must run on what the model takes. Received: "
            f"{one_line(error)} for inputs of the shapes "
            f"{[array.shape for array in flat]}. "
            "Try another format, or a model without the operation named."
        ) from error
    shapes = [array.shape for array in expected]
    if shapes != [array.shape for array in actual]:
        raise ExportError(
            "The exported file must give outputs of the model's shapes. "
            f"Received: {[array.shape for array in actual]}; the model gives "
            f"{shapes}. Try another format."
        )
    pairs = zip(expected, actual, strict=True)
    return float(np.max([_relative(*pair) for pair in pairs]))


def _relative(expected, actual):
    if expected.size == 0:
        return 0.0
    scale = np.max(np.abs(expected)) or 1.0
    with np.errstate(invalid="ignore"):  # inf - inf is NaN, and is reported
        return np.max(np.abs(expected - actual)) / scale


def _load_saved_model(path, specs, structure):
    import tensorflow as tf

    # The functions read the variables of the loaded object, which must
    # therefore live as long as they do.
    loaded = tf.saved_model.load(path)

    def run(arrays):
        inputs = keras.tree.pack_sequence_as(structure, arrays)
        return _arrays(loaded.serve(inputs))

    return run


def _load_litert(path, specs, structure):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path).get_signature_runner()
    names = [spec.name for spec in specs]
    outputs = sorted(runner.get_output_details(), key=_natural)

    def run(arrays):
        results = runner(**dict(zip(names, arrays, strict=True)))
        return _arrays([results[name] for name in outputs])

    return run


def _load_onnx(path, specs, structure):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    names = [spec.name for spec in specs]

    def run(arrays):
        return _arrays(session.run(None, dict(zip(names, arrays, strict=True))))

    return run


LOADERS = {
    "litert": _load_litert,
    "onnx": _load_onnx,
    "tf_saved_model": _load_saved_model,
}


def _natural(name):
    """Sorts `output_10` behind `output_9`, and keys as Keras flattens them."""
    counted = re.fullmatch(r"output_(\d+)", name)
    return (0, int(counted[1]), "") if counted else (1, 0, name)


def _arrays(structure):
    return [
        np.asarray(keras.ops.convert_to_numpy(leaf)).astype(np.float64)
        for leaf in keras.tree.flatten(structure)
    ]


def one_line(error: Exception) -> str:
    """The kind of an error and its message, in one line."""
    message = textwrap.shorten(str(error), _WIDTH, placeholder=" …")
    return f"{type(error).__name__}: {message}"
