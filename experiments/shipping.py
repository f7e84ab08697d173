"""What a converted model gains where it runs: files, parity, latency."""

import os
import tempfile
from pathlib import Path

import tensornet_keras as tk

from .runtimes import RUNTIMES, in_keras
from .timing import interleave

SECONDS = 20.0


def shipped(models, sample, smoke=False):
    """Exports models and times them by turns in every runtime.

    Args:
        models: Models by name, the original first.
        sample: One example, as they take it.
        smoke: Whether a moment will do.

    Returns:
        Metrics by name: `latency` over the original's, `difference` of the
        outputs of a file from its model, and its `bytes`.
    """
    first, *others = models
    threads = len(os.sched_getaffinity(0))
    budget = 0.1 if smoke else SECONDS
    calls = {"keras": {k: in_keras(m, sample) for k, m in models.items()}}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for runtime, (suffix, load) in RUNTIMES.items():
            calls[runtime] = {}
            for number, (name, model) in enumerate(models.items()):
                path = Path(folder) / f"{number}{suffix}"
                told = tk.export(
                    model, path, format=runtime, tolerance=1e-3, sample=sample
                )
                key = f"{name}, {runtime}"
                found[f"difference, {key}"] = told.max_difference
                found[f"bytes, {key}"] = told.bytes
                calls[runtime][name] = load(path, sample, threads)
        for runtime, own in calls.items():
            timings = interleave(
                own,
                rounds=200,
                budget=budget,
                slice_seconds=0 if smoke else 0.2,
            )
            seconds = timings[first].median
            found[f"milliseconds, {first}, {runtime}"] = 1e3 * seconds
            for name in others:
                ratio = timings[name].ratio_to(timings[first])
                low, high = timings[name].ratio_spread(timings[first])
                found[f"latency, {name}, {runtime}"] = ratio
                found[f"quartiles, {name}, {runtime}"] = high - low
    return found
