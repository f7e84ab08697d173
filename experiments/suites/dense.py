"""Dense layers as tensor trains: Novikov et al. 2015, table 3, and others.

The first case is the paper's 25088 x 4096 layer at rank 4 (arXiv 1509.06569),
where it gives 16.1 ms against 1.2 for one image on a CPU and 97.2 against
94.7 for a hundred.
"""

import math
from dataclasses import dataclass

import keras

import tensornet_keras as tk

from . import baselines
from .layers import layer_call, random_input, timed_call, timed_row


@dataclass(frozen=True)
class Case:
    """A layer and the batches it is timed at."""

    input_modes: tuple[int, ...]
    output_modes: tuple[int, ...]
    rank: int
    batches: tuple[int, ...] = (1, 32, 256)


CASES = (
    Case((2, 7, 8, 8, 7, 4), (4,) * 6, 4, (1, 10, 100, 1000)),
    Case((4, 8, 8, 4), (4, 8, 8, 4), 8),
    Case((4, 8, 8, 4), (4, 8, 8, 4), 32),
    Case((8, 8, 8, 8), (8, 8, 8, 8), 16),
    Case((16, 16, 16), (16, 16, 16), 32),
    Case((64, 64), (64, 64), 8),
    Case((7, 4, 7, 4), (5, 5, 5, 5), 4),
)
SMOKE_CASES = (Case((4, 4), (4, 4), 2, (1, 3)),)


def run(smoke):
    """Yields a row for every case and batch."""
    for case in SMOKE_CASES if smoke else CASES:
        inputs = math.prod(case.input_modes)
        units = math.prod(case.output_modes)
        ours = tk.layers.TTDense(
            units,
            rank=case.rank,
            input_modes=case.input_modes,
            output_modes=case.output_modes,
            use_bias=False,
        )
        dense = keras.layers.Dense(units, use_bias=False)
        ours.build((None, inputs))
        dense.build((None, inputs))
        for batch in case.batches:
            x = random_input((batch, inputs))
            yield timed_row(
                f"{inputs} x {units}, {ours.format}, batch {batch}",
                _calls(ours, dense, x),
                {
                    "batch": batch,
                    "parameters": ours.format.num_params,
                    "parameters_dense": ours.format.dense_params,
                    "plan": str(ours.plan((batch, inputs))),
                },
                smoke,
            )


def _calls(ours, dense, x):
    modes = ours.format.output_modes

    def one_core_after_another(inputs, *matrices):
        return baselines.core_by_core(inputs, matrices, modes)

    values = [core.value for core in ours.cores]
    return {
        "dense": layer_call(dense, x),
        "core by core": timed_call(
            one_core_after_another, x, *baselines.core_matrices(ours)
        ),
        "rebuilt": timed_call(baselines.rebuilt(ours), x, *values),
        "ours": layer_call(ours, x),
    }
