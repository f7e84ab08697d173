"""Dense layers in tensor formats: Novikov et al. 2015, table 3, and others.

The first case is the paper's 25088 x 4096 layer at rank 4 (arXiv 1509.06569),
where it gives 16.1 ms against 1.2 for one image on a CPU and 97.2 against
94.7 for a hundred. A family of ranks shows how fast the gain is lost, and a
small layer what a call alone costs.
"""

import dataclasses
import math
from dataclasses import dataclass, field

import keras

import tensornet_keras as tk
from tensornet_keras import contraction
from tensornet_keras.contraction.plan import FROZEN as MERGED

from .. import limits, peers
from . import baselines
from .layers import quickest, random_input, timed_row
from .sides import forward, frozen

PAPER = ((2, 7, 8, 8, 7, 4), (4,) * 6)
FAMILY = ((8, 8, 8, 8), (8, 8, 8, 8))
SMALL = ((7, 4, 7, 4), (5, 5, 5, 5))
LOOP = "core by core"
FROZEN = "ours, frozen"
AGAIN = "dense, again"
MODES = ("input_modes", "output_modes")


@dataclass(frozen=True)
class Case:
    """A layer, the batches it is timed at, and what is expected of it.

    Args:
        input_modes: Modes of the input.
        output_modes: Modes of the output.
        rank: The rank between all cores.
        batches: The batch sizes.
        at_least: From a batch to the ratios that should be reached.
    """

    input_modes: tuple[int, ...]
    output_modes: tuple[int, ...]
    rank: int
    batches: tuple[int, ...] = (1, 32, 256)
    at_least: dict = field(default_factory=dict)

    @property
    def sizes(self):
        """Input and output size."""
        return math.prod(self.input_modes), math.prod(self.output_modes)

    def layer(self):
        """Our layer, built, without a bias."""
        inputs, units = self.sizes
        layer = tk.layers.TTDense(
            units,
            rank=self.rank,
            input_modes=self.input_modes,
            output_modes=self.output_modes,
            use_bias=False,
        )
        layer.build((None, inputs))
        return layer

    def dense(self):
        """Keras' layer, built, without a bias."""
        inputs, units = self.sizes
        layer = keras.layers.Dense(units, use_bias=False)
        layer.build((None, inputs))
        return layer


PEER = "tensorly-torch"
CASES = (
    Case(
        *PAPER,
        4,
        (1, 10, 100, 1000),
        {
            1: {
                f"dense / {FROZEN}": 25.0,
                f"{LOOP} / {FROZEN}": 1.5,
                f"{PEER} / {FROZEN}": 3.0,
            },
            100: {
                "dense / ours": 9.0,
                f"{LOOP} / ours": 10.0,
                f"{PEER} / ours": 3.0,
            },
            1000: {"dense / ours": 4.0, f"{PEER} / ours": 1.3},
        },
    ),
    Case(*SMALL, 4, (1, 32, 256), dict.fromkeys((1, 32), {"dense / ours": 1})),
    *(Case(*FAMILY, rank, (1, 32)) for rank in (2, 4, 8, 32, 64)),
    Case(*FAMILY, 16),
    Case((4, 8, 8, 4), (4, 8, 8, 4), 8),
    Case((4, 8, 8, 4), (4, 8, 8, 4), 32),
    Case((16, 16, 16), (16, 16, 16), 32),
    Case((64, 64), (64, 64), 8),
)
SMOKE_CASES = (
    Case((4, 4, 4), (4, 4, 4), 2, (1, 3), {1: {"dense / ours": 0.0}}),
)


def run(smoke):
    """Yields a row for every case and batch."""
    for case in SMOKE_CASES if smoke else CASES:
        ours = case.layer()
        sides = {
            "dense": case.dense(),
            LOOP: baselines.LoopDense(ours),
            "rebuilt": baselines.Rebuilt(ours),
            **peers.dense(ours.format),
            "ours": ours,
        }
        inputs, units = case.sizes
        for batch in case.batches:
            x = random_input((batch, inputs))
            calls, taken = quickest(
                {name: forward(side, x) for name, side in sides.items()}
                | {FROZEN: frozen(ours, x)},
                smoke,
            )
            # What the noise is, where a few per cent are at stake.
            calls[AGAIN] = calls["dense"]
            yield timed_row(
                f"{inputs} x {units}, {ours.format}, batch {batch}",
                calls,
                facts(ours, (batch, inputs), (batch, units), smoke)
                | {"compiled": taken},
                smoke,
                ours=("ours", FROZEN),
                at_least=case.at_least.get(batch),
            )


def facts(ours, input_shape, output_shape, smoke, training=False):
    """What a row says besides its times: sizes, the plan, the limit.

    Args:
        ours: Our layer, built.
        input_shape: Shape of its input.
        output_shape: Shape of its output.
        smoke: Whether the device's limits are measured with small arrays.
        training: Whether the row is a training step's.

    Returns:
        A dict of plain data.
    """
    bound = ours.format
    plan = ours.plan(input_shape, training=training)
    moved = math.prod(input_shape) + math.prod(output_shape)
    device = limits.measured(smoke)
    # A step multiplies three times as often and has slopes of the input and
    # the output; Adam reads and writes the weights, slopes and two slots.
    often, moves, copies = (3, 2, 7) if training else (1, 1, 1)

    def least(multiply_adds, weights):
        numbers = moves * moved + copies * weights
        return device.seconds(often * multiply_adds, 4 * numbers)

    # No plan multiplies less often, be its weights merged beforehand.
    plans = contraction.candidates(plan.network, plan.positions)
    fewest = min(
        dataclasses.replace(
            one, batch=input_shape[0], mode=MERGED
        ).multiply_adds
        for one in plans
    )
    windows = math.prod(output_shape[1:-1])
    dense_adds = output_shape[0] * windows * bound.dense_params
    return {
        "layer": f"{_joined(input_shape[1:])} to {_joined(output_shape[1:])}",
        "modes": [getattr(bound, side, None) for side in MODES],
        "batch": input_shape[0],
        "rank": max(bound.rank, default=1),
        "format": bound.name,
        "parameters": bound.num_params,
        "parameters_dense": bound.dense_params,
        "plan": str(plan),
        "predicted_seconds": plan.seconds_at(input_shape[0]),
        "limit_seconds": least(fewest, bound.num_params),
        "limit_seconds_dense": least(dense_adds, bound.dense_params),
        "limits": device.to_dict(),
    }


def _joined(shape):
    return " x ".join(map(str, shape))
