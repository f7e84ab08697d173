"""Training steps of dense layers: forward, all gradients, update by Adam.

The layer of Novikov et al. 2015, table 3, and smaller ones, each step on its
own. A layer stands in the middle of a net: its input gets a gradient too.
"""

from .. import peers
from . import baselines
from .dense import FAMILY, LOOP, PAPER, SMALL, Case, facts
from .layers import random_input, timed_row
from .sides import step

CASES = (
    Case(
        *PAPER,
        4,
        (32, 128, 512),
        {
            32: {"dense / ours": 30.0},
            128: {"dense / ours": 30.0},
            512: {"dense / ours": 6.0},
        },
    ),
    Case(*FAMILY, 16, (32, 256)),
    Case((4, 8, 8, 4), (4, 8, 8, 4), 8, (32, 256)),
    Case(*SMALL, 4, (32,)),
)
SMOKE_CASES = (Case((4, 4, 4), (4, 4, 4), 2, (3,)),)


def run(smoke):
    """Yields a row for every case and batch."""
    for case in SMOKE_CASES if smoke else CASES:
        inputs, units = case.sizes
        for batch in case.batches:
            ours = case.layer()
            sides = {
                "dense": case.dense(),
                LOOP: baselines.LoopDense(ours),
                "rebuilt": baselines.Rebuilt(case.layer()),
                **peers.dense(ours.format),
                "ours": ours,
            }
            shapes = (batch, inputs), (batch, units)
            x, y = map(random_input, shapes)
            yield timed_row(
                f"{inputs} x {units}, {ours.format}, batch {batch}, step",
                {name: step(side, x, y) for name, side in sides.items()},
                facts(
                    ours, tuple(x.shape), tuple(y.shape), smoke, training=True
                ),
                smoke,
                at_least=case.at_least.get(batch),
                budget=30.0,
            )
