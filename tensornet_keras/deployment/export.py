"""Exports a model, reloads the file and keeps it only if it agrees.

Keras writes the files; what is added is the proof. The file is written beside
its place, loaded the way its own runtime loads it, compared with the model,
and only then moved into place, so that whatever lies at `path` has passed.
"""

from __future__ import annotations

import contextlib
import logging
import math
import numbers
import os
import warnings
from dataclasses import asdict, dataclass
from importlib import util

import keras

from tensornet_keras import backend, model_inputs, validation, writing
from tensornet_keras.deployment import (
    large_onnx,
    onnx_operations,
    parity,
    quantizing,
)
from tensornet_keras.deployment.parity import ExportError
from tensornet_keras.layers import planning

_BATCHES = (1, 3)
_CHATTY_LOGGERS = ("absl", "tensorflow", "tf2onnx")


@dataclass(frozen=True)
class _Target:
    """What an export format asks for: file ending, packages, our extra."""

    suffix: str
    packages: tuple[str, ...] = ()
    extra: str = ""


FORMATS = {
    "litert": _Target(".tflite", ("ai_edge_litert",), "litert"),
    "onnx": _Target(".onnx", ("onnx", "tf2onnx", "onnxruntime"), "onnx"),
    "tf_saved_model": _Target(""),
}


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how far it is from the model.

    `bytes` is the size on disk, `max_difference` the largest relative
    difference of the outputs found.
    """

    path: str
    format: str
    bytes: int
    max_difference: float
    tolerance: float

    def to_dict(self):
        """The report as plain data."""
        return asdict(self)

    def __str__(self):
        return (
            f"{self.path}: {self.format}, {self.bytes:,} bytes, largest "
            f"difference {self.max_difference:.1e} "
            f"(tolerance {self.tolerance:.1e})"
        )


def export(
    model,
    path,
    format="tf_saved_model",
    tolerance=None,
    sample=None,
    *,
    quantize=None,
    calibration_data=None,
) -> ExportReport:
    """Exports a model for inference and proves that the file agrees with it.

    The file is reloaded by its own runtime and compared with the model on
    random inputs of several batch sizes, or on `sample`. A file that differs
    by more than `tolerance`, or cannot be run, is deleted again. Runs on the
    TensorFlow backend.

    Args:
        model: A built Keras model.
        path: Where to write: a new folder for a SavedModel, a new file ending
            in `.tflite` for LiteRT or in `.onnx` for ONNX.
        format: `"tf_saved_model"`, `"litert"` or `"onnx"`.
        tolerance: The largest relative difference allowed: the largest
            absolute difference over the largest absolute output. `None` is
            1e-4, in half precision 0.01, in eight bits 0.1.
        sample: Inputs to compare on, as the model takes them, with a batch
            axis. Needed where random numbers cannot stand for inputs: integer
            inputs, sizes other than the batch left open. `None` for random
            inputs.
        quantize: Post-training quantization of a LiteRT file:
            `"dynamic_range"` stores weights in eight bits, but for small
            tensors, `"float16"` in half precision, and `"int8"` computes
            with integers of eight bits wherever it can; inputs and outputs
            stay floats. `None` for none.
        calibration_data: For `"int8"`, examples as the model takes them, a
            hundred or so; they set the ranges of the integers, and stand for
            a `sample` that is not given.

    Returns:
        An `ExportReport`.

    Raises:
        ValueError: If `format` is unknown, `path` exists, cannot be written
            or has another ending, `tolerance` is not positive, the model is
            not built, `sample` is missing or does not fit, or `quantize` does
            not go with the format or the data.
        ImportError: If a package that the format needs is missing.
        ExportError: If the export fails, or the file differs from the model.
            Nothing is left at `path` then.

    Example:
        >>> import keras, os, tempfile
        >>> import tensornet_keras as tk
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> folder = tempfile.mkdtemp()
        >>> report = tk.export(model, os.path.join(folder, "saved"))
        >>> report.max_difference <= report.tolerance
        True
    """
    target = _target(format)
    path = _free_path(path, format, target)
    if tolerance is None:
        tolerance = quantizing.tolerance_for(quantize)
    tolerance = _positive(tolerance)
    _check_surroundings(format, target)
    if sample is None:
        sample = calibration_data
    specs = model_inputs.input_specs(model, sample)
    told = quantizing.settings(quantize, format, specs, calibration_data)
    trials = _trials(specs, sample)
    with writing.draft(path) as draft:
        _write(model, draft, format, specs, told)
        run = parity.load(draft, format, specs)
        difference = _difference(model, run, trials, tolerance)
        size = _size(draft)
    return ExportReport(path, format, size, difference, tolerance)


def _target(format):
    if format not in FORMATS:
        raise ValueError(
            "`format` must be an export format. "
            f"Received: format={format!r}. "
            f"Choose one of {', '.join(map(repr, sorted(FORMATS)))}."
        )
    return FORMATS[format]


def _free_path(path, format, target):
    path = validation.writable_file(path).rstrip(os.sep)
    suffix = os.path.splitext(path)[1]
    if target.suffix and suffix != target.suffix:
        raise ValueError(
            f"A file of the format {format!r} must end in {target.suffix!r}. "
            f"Received: path={path!r}. "
            f"Pass a path such as 'model{target.suffix}'."
        )
    others = {other.suffix: name for name, other in FORMATS.items()}
    if not target.suffix and suffix and suffix in others:
        raise ValueError(
            "A SavedModel is a folder, whose name must not end as another "
            f"format's. Received: path={path!r}, format={format!r}. "
            f"Pass format={others[suffix]!r}, or a path without {suffix!r}."
        )
    return path


def _positive(tolerance):
    number = isinstance(tolerance, numbers.Real)
    if not number or not math.isfinite(tolerance) or tolerance <= 0:
        raise ValueError(
            "`tolerance` must be a number above 0. "
            f"Received: tolerance={tolerance!r}. Pass for example 1e-4."
        )
    return float(tolerance)


def _check_surroundings(format, target):
    if backend.name() != "tensorflow":
        raise ExportError(
            "Models are exported on the TensorFlow backend. Received: "
            f"KERAS_BACKEND={backend.name()!r}. Save the model as .keras and "
            "export it where KERAS_BACKEND='tensorflow'."
        )
    missing = [name for name in target.packages if util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"The format {format!r} needs optional packages. Received: "
            f"{', '.join(missing)} not installed. "
            f"Run: pip install 'tensornet_keras[{target.extra}]'"
        )


def _trials(specs, sample):
    """The inputs to compare on, of several batch sizes unless it is fixed."""
    flat = keras.tree.flatten(specs)
    fixed = {spec.shape[0] for spec in flat} - {None}
    if sample is not None:
        whole = model_inputs.sample_inputs(specs, sample)
        first = keras.tree.map_structure(lambda array: array[:1], whole)
        return [whole] if fixed else [whole, first]
    for spec in flat:
        if not model_inputs.is_float(spec):
            raise ValueError(
                "Random inputs cannot stand for inputs that are not floats. "
                f"Received: sample=None, and input {spec.name!r} of type "
                f"{spec.dtype}. Pass sample=, inputs to compare on."
            )
    return [
        model_inputs.random_inputs(specs, size) for size in fixed or _BATCHES
    ]


def _write(model, draft, format, specs, told):
    # Only TensorFlow itself chooses among plans well when a graph runs.
    saved = format == "tf_saved_model"
    plans = contextlib.nullcontext if saved else planning.without_branches
    if format == "onnx":
        onnx_operations.teach()
    large = format == "onnx" and model.count_params() >= large_onnx.LARGE
    aside = (
        large_onnx.weights_aside(draft) if large else contextlib.nullcontext()
    )
    with _quiet(), plans(), aside:
        try:
            model.export(
                draft,
                format=format,
                verbose=False,
                input_signature=[specs],
                **told,
            )
        except Exception as error:
            raise ExportError(
                f"Keras must be able to export the model as {format!r}. "
                f"Received: model={model.name!r}, and from the exporter: "
                f"{parity.one_line(error)}. Try another format."
            ) from error


@contextlib.contextmanager
def _quiet():
    """Keeps the exporters' notes from the user: errors come as exceptions."""
    loggers = [logging.getLogger(name) for name in _CHATTY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            # TensorFlow's own converter warns of its own interpreter.
            old = r"\s*Warning: tf\.lite\.Interpreter is deprecated"
            warnings.filterwarnings("ignore", old, UserWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _difference(model, run, trials, tolerance):
    differences = [
        parity.largest_difference(model, run, trial) for trial in trials
    ]
    for difference in differences:
        if not difference <= tolerance:  # true of NaN as well
            raise ExportError(
                "The exported file must agree with the model. Received: a "
                f"largest relative difference of {difference:.1e}, which is "
                f"not within tolerance={tolerance:.1e}. "
                f"{_advice(difference)}"
            )
    return max(differences)


def _advice(difference):
    if math.isfinite(difference):
        return "Raise tolerance= if that will do, or try another format."
    return "Pass sample=, inputs on which the model's outputs are finite."


def _size(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    )
