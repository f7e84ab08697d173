"""Decompositions: ours against t3f's and TensorLy's.

First the TT-SVD of the 25088 x 4096 kernel of VGG-16, with t3f's; then the
formats that TensorLy has, in `tensorly_decompositions`.

The kernel is a train of the ranks asked for plus noise of half its norm, so
that both have something to find and an error to agree on.
"""

import math
from dataclasses import dataclass

import numpy as np

import tensornet_keras as tk

from .. import resident
from ..notes import skipped
from ..timing import interleave
from . import tensorly_decompositions

NOISE = 0.5


@dataclass(frozen=True)
class Case:
    """A matrix, its modes and the rank to cut it to."""

    input_modes: tuple[int, ...]
    output_modes: tuple[int, ...]
    rank: int


CASES = (Case((2, 7, 8, 8, 7, 4), (4,) * 6, 4),)
SMOKE_CASES = (Case((2, 3, 2), (2, 2, 3), 2),)


def run(smoke):
    """Yields a row for every case, without the sides that are missing."""
    t3f = _t3f()
    for case in SMOKE_CASES if smoke else CASES:
        kernel = noisy_train(case)
        bound = tk.formats.TensorTrain(
            case.rank, case.input_modes, case.output_modes
        )
        shape = (case.input_modes, case.output_modes)
        found, peaks = {}, {}

        def ours(kernel=kernel, bound=bound, found=found):
            found["ours"] = tk.decompose(kernel, bound)

        def theirs(kernel=kernel, shape=shape, rank=case.rank, found=found):
            found["t3f"] = t3f.to_tt_matrix(kernel, shape, max_tt_rank=rank)

        calls = {"ours": ours}
        if t3f is not None:
            calls["t3f"] = theirs
        for name, call in calls.items():
            peaks[name] = resident.rise(call) if resident.counted() else None
        yield _row(case, kernel, calls, found, peaks)
    yield from tensorly_decompositions.run(smoke)


def noisy_train(case, seed=0):
    """A random train of the case's ranks plus noise, float32.

    Args:
        case: Modes and rank.
        seed: Seed of cores and noise.

    Returns:
        A matrix of the modes' products.
    """
    rng = np.random.default_rng(seed)
    rows, columns = math.prod(case.input_modes), math.prod(case.output_modes)
    pairs = list(zip(case.input_modes, case.output_modes, strict=True))
    ranks = (1, *(case.rank,) * (len(pairs) - 1), 1)
    dense = np.ones((1, 1, 1), "float32")
    for k, (i, j) in enumerate(pairs):
        shape = (ranks[k], i, j, ranks[k + 1])
        core = rng.standard_normal(shape, "float32")
        dense = np.einsum("mnr,rijs->minjs", dense, core, optimize=True)
        dense = dense.reshape(
            dense.shape[0] * i, dense.shape[2] * j, ranks[k + 1]
        )
    dense = dense.reshape(rows, columns)
    dense /= np.linalg.norm(dense)
    noise = rng.standard_normal((rows, columns), "float32")
    noise *= NOISE / np.linalg.norm(noise)
    dense += noise
    return dense


def _t3f():
    try:
        import t3f
    except ImportError:
        skipped("Not compared with t3f, which is not installed.")
        return None
    return t3f


def _row(case, kernel, calls, found, peaks):
    timings = interleave(calls, rounds=5, warmup=0, budget=60.0)
    dense = {"ours": found["ours"].to_dense()}
    if "t3f" in found:
        dense["t3f"] = _dense_of(found["t3f"])
    size = np.linalg.norm(kernel)
    facts = {"kernel_bytes": kernel.nbytes}
    for name, approximation in dense.items():
        difference = float(np.linalg.norm(kernel - approximation) / size)
        facts[f"relative_error_{name}"] = difference
        facts[f"peak_bytes_over_kernel_{name}"] = peaks[name]
    rows, columns = kernel.shape
    return {
        "case": f"TT-SVD, {rows} x {columns}, rank {case.rank}",
        "sides": {name: one.to_dict() for name, one in timings.items()},
        "ratios": {
            f"{name} / ours": one.ratio_to(timings["ours"])
            for name, one in timings.items()
            if name != "ours"
        },
        "facts": facts,
    }


def _dense_of(train):
    import t3f

    return t3f.full(train).numpy()
