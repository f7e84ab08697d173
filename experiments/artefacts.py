"""The files the demo leaves: every one is loaded again and compared."""

import keras
import numpy as np
from rich.progress import track

import tensornet_keras as tk

TOLERANCE = 1e-4
EXPORTS = (
    ("lenet5_tt_saved_model", "tf_saved_model"),
    ("lenet5_tt.tflite", "litert"),
    ("lenet5_tt.onnx", "onnx"),
)


def write(dense, small, sample, folder):
    """Saves both models and exports the small one.

    Args:
        dense: The original model.
        small: The converted model.
        sample: Inputs to compare outputs on.
        folder: Where the files go.

    Returns:
        A list with one dict per file: `file`, `format`, `bytes` and
        `max_difference`, relative to the largest output.

    Raises:
        RuntimeError: If a file does not agree with its model.
    """
    rows = [
        saved(dense, folder / "lenet5.keras", sample),
        saved(small, folder / "lenet5_tt.keras", sample),
    ]
    for name, kind in track(EXPORTS, description="Exporting"):
        exported = tk.export(
            small, str(folder / name), kind, tolerance=TOLERANCE, sample=sample
        )
        rows.append(_row(name, kind, exported.bytes, exported.max_difference))
    return rows


def saved(model, path, sample):
    """Saves a model for inference, without its optimizer, and loads it.

    Args:
        model: The model.
        path: A `.keras` file to write.
        sample: Inputs to compare outputs on.

    Returns:
        What `write` says of one file.

    Raises:
        RuntimeError: If the loaded model gives other outputs.
    """
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    copy.save(path)
    loaded = keras.saving.load_model(path)
    before = model.predict_on_batch(sample)
    after = loaded.predict_on_batch(sample)
    difference = float(np.abs(after - before).max() / np.abs(before).max())
    # True of NaN as well.
    if not difference <= TOLERANCE:
        raise RuntimeError(
            "A saved model must load as it was. Received: a relative "
            f"difference of {difference:.1e} in {path.name}, tolerance "
            f"{TOLERANCE:.0e}. Report this as a bug."
        )
    return _row(path.name, "keras", path.stat().st_size, difference)


def _row(file, kind, size, difference):
    return {
        "file": file,
        "format": kind,
        "bytes": size,
        "max_difference": difference,
    }
