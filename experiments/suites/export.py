"""Exported files: size, and latency in LiteRT and onnxruntime.

Each model as it is and frozen, at batch 1, in the same runtime with the same
number of threads, one after the other by turns.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path

import keras
import numpy as np

import tensornet_keras as tk
from tensornet_keras import backend

from .. import targets
from ..notes import skipped
from ..runtimes import RUNTIMES
from . import conversions
from .layers import timed_row
from .sides import frozen_model

NAMES = ("lenet5", "vgg16")
FROZEN = "ours, frozen"
SMALLER, QUICKER = 12.0, 2.0
PACKAGES = {"litert": "ai_edge_litert", "onnx": "onnxruntime"}


def run(smoke):
    """Yields a row for every model and runtime; needs TensorFlow."""
    if backend.name() != "tensorflow":
        skipped("Nothing exported: it needs KERAS_BACKEND=tensorflow.")
        return
    for name in NAMES[:1] if smoke else NAMES:
        for runtime, package in PACKAGES.items():
            if util.find_spec(package) is None:
                skipped(f"Not timed in {package}, which is not installed.")
                continue
            with tempfile.TemporaryDirectory() as folder:
                paths, shape = _exported(name, runtime, folder)
                yield _row(name, runtime, shape, paths, smoke)


def targets_of(rows):
    """Size and speed of VGG-16 against what is expected.

    Args:
        rows: The rows of `run`.

    Returns:
        A list of targets.
    """
    found = targets.of_rows(rows)
    for row in rows:
        if row["facts"]["model"] == "vgg16":
            what = f"{row['case']}: times smaller"
            value = row["facts"]["times_smaller"]
            found.append(targets.at_least(what, value, SMALLER))
    return found


def _exported(name, runtime, folder):
    """The files of both sides, and the shape of an input.

    Written by a process of its own: exporters hold a large model many times
    over, and what they leave behind would be there while the files run.
    """
    command = [sys.executable, "-m", __name__, name, runtime, folder]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["paths"], tuple(told["shape"])


def _export(name, runtime, folder):
    """Exports a model and its frozen copy, and prints where they are."""
    keras.utils.set_random_seed(0)
    make, convert = conversions.MODELS[name]
    source = make()
    shape = (1, *source.input_shape[1:])
    suffix, _ = RUNTIMES[runtime]
    paths = {}
    for side in ("source", FROZEN):
        model = source
        if side == FROZEN:
            model = frozen_model(convert(source), 1)
        path = Path(folder) / f"{side.replace(', ', '_')}{suffix}"
        tk.export(model, path, format=runtime)
        paths[side] = str(path)
    print(json.dumps({"paths": paths, "shape": shape}))


def _row(name, runtime, shape, paths, smoke):
    x = np.random.default_rng(0).standard_normal(shape, "float32")
    threads = len(os.sched_getaffinity(0))
    _, load = RUNTIMES[runtime]
    sizes = {side: os.path.getsize(path) for side, path in paths.items()}
    return timed_row(
        f"{name}, {runtime}, batch 1",
        {side: load(path, x, threads) for side, path in paths.items()},
        {
            "model": name,
            "threads": threads,
            "bytes": sizes,
            "times_smaller": sizes["source"] / sizes[FROZEN],
        },
        smoke,
        ours=(FROZEN,),
        at_least={f"source / {FROZEN}": QUICKER} if name == "vgg16" else None,
    )


if __name__ == "__main__":
    _export(*sys.argv[1:])
