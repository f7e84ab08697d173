"""Convolutions as tensor trains of rank 16 throughout, as Garipov et al. 2016.

arXiv 1611.03214; their code has both baselines, the rebuilt kernel
(`tt_conv_full`) and the channel-by-channel pass (`tt_conv`).
"""

from dataclasses import dataclass

import keras

import tensornet_keras as tk

from . import baselines
from .layers import layer_call, random_input, timed_call, timed_row


@dataclass(frozen=True)
class Case:
    """A 3x3 "same" convolution of square images."""

    batch: int
    size: int
    channels: int
    modes: tuple[int, ...]
    rank: int = 16


CASES = (
    Case(1, 32, 64, (4, 4, 4)),
    Case(32, 32, 64, (4, 4, 4)),
    Case(32, 16, 128, (4, 8, 4)),
    Case(1, 8, 512, (8, 8, 8)),
    Case(32, 8, 512, (8, 8, 8)),
)
SMOKE_CASES = (Case(2, 6, 8, (2, 4), 3),)


def run(smoke):
    """Yields a row for every case."""
    for case in SMOKE_CASES if smoke else CASES:
        ours = tk.layers.TTConv2D(
            case.channels,
            3,
            rank=(case.rank,) * len(case.modes),
            input_modes=case.modes,
            output_modes=case.modes,
            padding="same",
            use_bias=False,
        )
        dense = keras.layers.Conv2D(
            case.channels, 3, padding="same", use_bias=False
        )
        shape = (case.batch, case.size, case.size, case.channels)
        ours.build(shape)
        dense.build(shape)
        yield timed_row(
            f"3x3, {case.channels} channels, {case.size} x {case.size}, "
            f"{ours.format}, batch {case.batch}",
            _calls(ours, dense, random_input(shape)),
            {
                "batch": case.batch,
                "parameters": ours.format.num_params,
                "parameters_dense": ours.format.dense_params,
                "plan": str(ours.plan(shape)),
            },
            smoke,
        )


def _calls(ours, dense, x):
    modes = ours.format.output_modes

    def one_channel_after_another(inputs, window, *matrices):
        return baselines.channel_by_channel(inputs, window, matrices, modes)

    values = [core.value for core in ours.cores]
    matrices = baselines.core_matrices(ours, spatial=True)
    return {
        "dense": layer_call(dense, x),
        "channel by channel": timed_call(
            one_channel_after_another, x, values[0], *matrices
        ),
        "rebuilt": timed_call(baselines.rebuilt(ours), x, *values),
        "ours": layer_call(ours, x),
    }
