"""A trained LeNet-5 becomes a smaller one on real MNIST, in one command.

Trains, converts, tunes, times and exports; leaves the models, a JSON report
and a picture in a folder. The recipe is `configs/lenet5_mnist.py`.
"""

import argparse
import logging
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import keras
from rich.progress import track

from . import artefacts, demo_output, figures, record
from .configs import lenet5_mnist as recipe
from .datasets import load
from .models import lenet5
from .spectra import replaced_spectra
from .timing import interleave
from .training import count_parameters

SEED = 0
SWEEP = (4, 8, 12, 16, 24, 32)
BATCHES = (1, 256)
MOST_POINTS_LOST = 0.5
MOST_TIME = 1.2
LEAST_COMPRESSION = 15
PACKAGES = ("matplotlib", "ai_edge_litert", "onnx", "onnxruntime", "tf2onnx")


def main(argv=None):
    """Entry point: runs the demo and prints what came out.

    A target that is missed is printed as missed; the exit status says only
    whether everything ran and every exported file agrees with the model.

    Args:
        argv: Arguments after the program's name; None takes the process'.

    Returns:
        The exit status: 0, or 1 where something is missing or disagrees.
    """
    arguments = _arguments(argv)
    # TensorFlow warns when many models are traced, which is the sweep's aim.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        _check_surroundings()
        with demo_output.fresh_folder(arguments.output) as folder:
            report = run(folder, smoke=arguments.smoke)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    demo_output.show(report, arguments.output)
    return 0


def run(folder, smoke=False):
    """Runs every step of the demo.

    Args:
        folder: An empty folder for the models, the report and the picture.
        smoke: Whether to shrink it to seconds.

    Returns:
        The report, as plain data; it is also in `report.json`.
    """
    started = time.perf_counter()
    settings = recipe.SETTINGS | (recipe.SMOKE if smoke else {})
    data = load("mnist", smoke=smoke)
    if smoke:
        data = data.head(512, 256)
    print(f"Data: {data}")
    keras.utils.set_random_seed(SEED)
    dense = lenet5()
    recipe.train(dense, data, settings, "Training LeNet-5")
    small, conversion = recipe.compress(dense, settings["rank"], settings)
    demo_output.show_conversion(conversion)
    models = {"dense": _measured(dense, data)}
    models["converted"] = _measured(small, data)
    sweep = _sweep(dense, data, settings, SWEEP[:2] if smoke else SWEEP)
    recipe.train(small, data, settings, "Tuning", prefix="tuning_")
    models["tuned"] = _measured(small, data)
    sample = recipe.pictures(data.x_test[:32])
    report = {
        "made_by": demo_output.MADE_BY,
        "smoke": smoke,
        "data": {
            "source": data.source,
            "complete": data.complete,
            "test": len(data.x_test),
        },
        "settings": settings | {"seed": SEED},
        "models": models,
        "sweep": sweep,
        "conversion": conversion.to_dict(),
        "spectra": replaced_spectra(dense, small),
        "timing": _times(dense, small, data, smoke),
        "artefacts": artefacts.write(dense, small, sample, folder),
        **record.provenance(),
    }
    report["targets"] = _targets(report)
    figures.draw(report, folder / "picture.png")
    report["seconds"] = time.perf_counter() - started
    record.save(report, folder / "report.json")
    return report


def _arguments(argv):
    parser = argparse.ArgumentParser(
        prog="tensornet demo",
        description="Compresses a LeNet-5 on MNIST and exports it.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_output"),
        help="folder for the results; an earlier demo's is replaced",
    )
    parser.add_argument("--smoke", action="store_true", help="in seconds")
    return parser.parse_args(argv)


def _check_surroundings():
    """Finds out before the training what would fail after it."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "The demo exports its model, which needs the TensorFlow backend. "
            f"Received: KERAS_BACKEND={keras.backend.backend()!r}. "
            "Set KERAS_BACKEND=tensorflow."
        )
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ImportError(
            "The demo needs optional packages. "
            f"Received: {', '.join(missing)} not installed. "
            "Run: pip install 'tensornet-keras[demo,litert,onnx]'"
        )


def _measured(model, data):
    return {
        "parameters": count_parameters(model),
        "accuracy": recipe.test(model, data),
    }


def _sweep(dense, data, settings, ranks):
    """What conversion alone gives at other ranks."""
    points = []
    for rank in track(ranks, description="Converting at other ranks"):
        small, _ = recipe.compress(dense, rank, settings)
        points.append({"rank": rank, **_measured(small, data)})
    return points


def _times(dense, small, data, smoke):
    """`predict_on_batch` of both models by turns, without XLA."""
    times = {}
    for batch in track(BATCHES, description="Timing both models"):
        images = recipe.pictures(data.x_test[:batch])
        timings = interleave(
            {
                "dense": lambda images=images: dense.predict_on_batch(images),
                "small": lambda images=images: small.predict_on_batch(images),
            },
            rounds=5 if smoke else 200,
            warmup=5,
        )
        times[str(batch)] = {
            "dense": timings["dense"].to_dict(),
            "small": timings["small"].to_dict(),
            "ratio": timings["small"].ratio_to(timings["dense"]),
        }
    return times


def _targets(report):
    """Every target with its value; verdicts need the whole of MNIST."""
    models = report["models"]
    lost = models["dense"]["accuracy"] - models["tuned"]["accuracy"]
    compression = models["dense"]["parameters"] / models["tuned"]["parameters"]
    judged = report["data"]["complete"]
    rows = [
        {
            "name": "parameters, times fewer",
            "value": compression,
            "target": f"at least {LEAST_COMPRESSION}",
            "met": compression >= LEAST_COMPRESSION,
        },
        {
            "name": "accuracy, points lost",
            "value": 100 * lost,
            "target": f"at most {MOST_POINTS_LOST}",
            "met": 100 * lost <= MOST_POINTS_LOST if judged else None,
        },
    ]
    for batch, timing in report["timing"].items():
        rows.append(
            {
                "name": f"time at batch {batch}, over the dense model's",
                "value": timing["ratio"],
                "target": f"at most {MOST_TIME}",
                "met": timing["ratio"] <= MOST_TIME if judged else None,
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
