"""Whole models: Keras' `predict` and `fit`, a compiled call, `convert`.

Three nets as they are, converted and frozen. `predict` and `fit` count what
Keras itself takes, and see a last batch that is smaller. Converting VGG-16
runs in a process of its own, where its memory is counted.
"""

import json
import subprocess
import sys
import time

import keras
import numpy as np

from .. import resident, targets
from ..timing import Timing
from . import conversions
from .layers import quickest, timed_row, ways
from .sides import forward, frozen_model, frozen_model_calls

NAMES = ("mlp", "lenet5", "small_vgg")
# Images per call of `predict` and `fit`, and their batch.
IMAGES = {"mlp": 4096, "lenet5": 2000, "small_vgg": 200}
BATCH, CALLS = 64, (1, 256)
FROZEN = "ours, frozen"
AGAIN = "source, again"
MOST_SECONDS, MOST_RISE = 60.0, 2.0


def run(smoke):
    """Yields a row for every model and use, and one for a conversion."""
    for name in ("tiny",) if smoke else NAMES:
        yield from _rows(name, smoke)
    yield _conversion_row("tiny" if smoke else "vgg16")


def targets_of(rows):
    """LeNet-5 frozen against itself, and what converting VGG-16 takes.

    Args:
        rows: The rows of `run`.

    Returns:
        A list of targets.
    """
    facts, case = rows[-1]["facts"], rows[-1]["case"]
    found = [
        *targets.of_rows(rows),
        targets.at_most(f"{case}: seconds", facts["seconds"], MOST_SECONDS),
    ]
    if "bytes_rise" in facts:
        share = facts["bytes_rise"] / facts["bytes_model"]
        what = f"{case}: memory's rise over the model's"
        found.append(targets.at_most(what, share, MOST_RISE))
    return found


def _rows(name, smoke):
    make, convert = conversions.MODELS[name]
    keras.utils.set_random_seed(0)
    source = make()
    ours = convert(source)
    images = BATCH + 3 if smoke else IMAGES[name]
    shape = source.input_shape[1:]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, *shape), "float32")
    y = rng.integers(0, 10, images)
    facts = {
        "images": images,
        "parameters": ours.count_params(),
        "parameters_dense": source.count_params(),
    }
    for batch in CALLS[:1] if smoke else CALLS:
        some = x[:batch]
        sides = {"source": source, "ours": ours}
        calls, taken = quickest(
            {side: forward(model, some) for side, model in sides.items()}
            | {FROZEN: frozen_model_calls(ours, some)},
            smoke,
        )
        calls[AGAIN] = calls["source"]
        yield timed_row(
            f"{name}, compiled call, batch {batch}",
            calls,
            facts | {"batch": batch, "compiled": taken},
            smoke,
            ours=("ours", FROZEN),
            at_least={f"source / {FROZEN}": 1.0} if name == "lenet5" else None,
        )
    yield _predict_row(name, {"source": source, "ours": ours}, x, facts, smoke)
    yield _fit_row(name, {"source": source, "ours": ours}, x, y, facts, smoke)


def _predict_row(name, sides, x, facts, smoke):
    sides = sides | {FROZEN: sides["ours"]}

    def call(model, xla, frozen):
        if frozen:
            model = frozen_model(model, BATCH, xla)
        model = _copy(model, xla)
        return lambda: model.predict(x, batch_size=BATCH, verbose=0)

    return timed_row(
        f"{name}, predict of {len(x)} by {BATCH}",
        _calls(sides, call, smoke),
        facts,
        smoke,
        ours=("ours", FROZEN),
        rounds=10,
    )


def _fit_row(name, sides, x, y, facts, smoke):
    def call(model, xla, frozen):
        del frozen
        model = _copy(model, xla)
        return lambda: model.fit(x, y, batch_size=BATCH, verbose=0)

    return timed_row(
        f"{name}, fit to {len(x)} by {BATCH}",
        _calls(sides, call, smoke),
        facts,
        smoke,
        rounds=10,
        budget=40.0,
    )


def _calls(sides, call, smoke):
    several = {"plain": False} if smoke else ways()
    return {
        side: {
            way: call(model, xla, side == FROZEN)
            for way, xla in several.items()
        }
        for side, model in sides.items()
    }


def _copy(model, xla):
    """Another model of the same layers, compiled in a way of its own."""
    copy = keras.Model(model.inputs, model.outputs)
    copy.compile(
        keras.optimizers.Adam(1e-4),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=xla,
    )
    return copy


def _conversion_row(name):
    command = [sys.executable, "-m", __name__, name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    timing = Timing((facts["seconds"],))
    return {
        "case": f"convert {name}, untrained",
        "sides": {"ours": timing.to_dict()},
        "ratios": {},
        "facts": facts,
    }


def _measure(name):
    """Converts a model and prints what it took."""
    make, convert = conversions.MODELS[name]
    # Code and thread pools are there before anything is counted.
    conversions.converted_vgg(conversions.small_vgg(8, (4, 8), 8))
    model = make()
    found = {}

    def call():
        before = time.perf_counter()
        found["model"] = convert(model)
        found["seconds"] = time.perf_counter() - before

    if resident.counted():
        found["bytes_rise"] = resident.rise(call)
    else:
        call()
    smaller = found.pop("model").count_params()
    found |= {
        "bytes_model": 4 * model.count_params(),
        "parameters": smaller,
        "parameters_dense": model.count_params(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    _measure(sys.argv[1])
