"""Look-up of a vocabulary of 50,257 words as a tensor train of rank 32.

The table of GPT-2's sizes has 38.6 million numbers, 154 MB in float32. As
tensor train (Hrinchuk et al. 2020, arXiv 1901.10787) it has 89,482, but its
rows are computed, not read; tensorly-torch's has cores of the same shapes.
Memory is what a fresh process holds at most while it looks up ids, weights and
rows included, less what it held before the layer was built; a small layer of
the same kind has run by then, so that code and thread pools are not counted.
"""

import json
import math
import subprocess
import sys
from dataclasses import dataclass

import keras
import numpy as np

import tensornet_keras as tk

from .. import limits, peers, resident
from .layers import layer_call, timed_row
from .sides import forward


@dataclass(frozen=True)
class Case:
    """A table, and the ids that are looked up."""

    vocabulary: int
    size: int
    rank: int
    ids: tuple[int, int] = (32, 128)

    def layer(self, kind, initializer="uniform"):
        """The layer of one side, built."""
        sizes = (self.vocabulary, self.size)
        if kind == "dense":
            layer = keras.layers.Embedding(*sizes, initializer)
        else:
            layer = tk.layers.FactorizedEmbedding(
                *sizes,
                tk.formats.TensorTrain(rank=self.rank),
                initializer,
                deduplicate=False if kind == "every id" else None,
            )
        layer.build((None, None))
        return layer

    def drawn(self, words):
        """Ids, all alike or as often as Zipf's law has them in a text."""
        odds = np.arange(1, self.vocabulary + 1) ** -float(words == "Zipf")
        generator = np.random.default_rng(0)
        ids = generator.choice(self.vocabulary, self.ids, p=odds / odds.sum())
        return ids.astype("int32")


CASES = (Case(50257, 768, 32),)
SMOKE_CASES = (Case(67, 12, 2, (2, 5)),)


def run(smoke):
    """Yields a row for every case and distribution of the ids."""
    for case in SMOKE_CASES if smoke else CASES:
        sides = {kind: case.layer(kind) for kind in ("dense", "every id")}
        sides["ours"] = case.layer("ours")
        ours = sides["ours"]
        theirs = peers.embedding(ours.format)
        memory = {
            f"peak_bytes_{kind}": _peak_bytes(case, kind)
            for kind in ("dense", "ours")
        }
        for words in ("uniform", "Zipf"):
            ids = case.drawn(words)
            yield timed_row(
                f"{case.vocabulary} x {case.size}, {ours.format}, "
                f"{ids.shape[0]} x {ids.shape[1]} {words} ids",
                {
                    name: forward(side, ids)
                    for name, side in (sides | theirs).items()
                },
                {
                    **traffic(case, ours.format.num_params, smoke),
                    "ids": ids.size,
                    "distinct_ids": len(np.unique(ids)),
                    "parameters": ours.format.num_params,
                    "parameters_dense": ours.format.dense_params,
                    "bytes_of_the_table": 4 * ours.format.dense_params,
                    "bytes_of_the_rows": 4 * ids.size * case.size,
                    "plan": str(ours.plan(ids.shape)),
                    **memory,
                },
                smoke,
            )


def traffic(case, weights, smoke):
    """What the device allows a look-up at best.

    Reading the ids, every weight once, and writing the rows, at the bandwidth
    of a copy. A dense table is read only where an id points to it.

    Args:
        case: The table and the number of ids.
        weights: Parameters of our layer.
        smoke: Whether the bandwidth is measured with small arrays.

    Returns:
        The least seconds of our layer and of a dense table, and the limits
        measured.
    """
    device = limits.measured(smoke)
    ids = math.prod(case.ids)
    rows = ids * case.size
    return {
        "limit_seconds": device.seconds(0, 4 * (ids + weights + rows)),
        "limit_seconds_dense": device.seconds(0, 4 * (ids + 2 * rows)),
        "limits": device.to_dict(),
    }


def _peak_bytes(case, kind):
    """By how much a fresh process' peak of memory rises; Linux only."""
    if not resident.counted():
        return None
    sizes = [case.vocabulary, case.size, case.rank, *case.ids]
    command = [sys.executable, "-m", __name__, kind, json.dumps(sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def _measure(kind, vocabulary, size, rank, *ids):
    """Prints the rise, in a process of its own."""
    for case in (Case(67, 12, 2, (2, 5)), Case(vocabulary, size, rank, ids)):
        rise = resident.rise(lambda case=case: _looked_up(kind, case))
    print(rise)


def _looked_up(kind, case):
    # Drawing random numbers would leave copies of the table behind.
    layer = case.layer(kind, "zeros")
    call = layer_call(layer, case.drawn("uniform"))
    for _ in range(5):
        call()


if __name__ == "__main__":
    _measure(sys.argv[1], *json.loads(sys.argv[2]))
