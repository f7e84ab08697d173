"""Convolutions: Garipov et al. 2016, and formats that shrink the channels.

The first rows are tensor trains of rank 16 throughout (arXiv 1611.03214),
with both baselines of their code, the rebuilt kernel (`tt_conv_full`) and the
channel-by-channel pass (`tt_conv`). The others are four formats at a quarter
and at an eighth of the parameters, compiled plainly and by XLA, each against
the layer that tensorly-torch has of it.
"""

from dataclasses import dataclass

import keras

import tensornet_keras as tk

from .. import peers
from . import baselines
from .dense import FROZEN, facts
from .layers import random_input, timed_row, ways
from .sides import forward, frozen

FORMATS = {
    "chain": lambda share: tk.formats.TensorTrain(
        share, conv_order="channels_outside"
    ),
    "Tucker-2": tk.formats.Tucker,
    "CP": tk.formats.CP,
    "spatial SVD": lambda share: tk.formats.LowRank(
        share, conv_split="spatial"
    ),
}


@dataclass(frozen=True)
class Case:
    """A 3x3 "same" convolution of square images, as many channels out as in.

    Args:
        batch: The batch size.
        size: Height and width.
        channels: Channels in and out.
        modes: Modes of the channels, for a tensor train.
        rank: The rank between all cores of it.
        at_least: From a share of the parameters to the speed-up expected.
    """

    batch: int
    size: int
    channels: int
    modes: tuple[int, ...] = ()
    rank: int = 16
    at_least: tuple[tuple[float, float], ...] = ()

    @property
    def shape(self):
        """Shape of input and output."""
        return (self.batch, self.size, self.size, self.channels)

    def layer(self, format):
        """Our layer in a format, built, without a bias."""
        layer = tk.layers.FactorizedConv2D(
            self.channels, 3, format, padding="same", use_bias=False
        )
        layer.build(self.shape)
        return layer

    def dense(self):
        """Keras' layer, built, without a bias."""
        layer = keras.layers.Conv2D(
            self.channels, 3, padding="same", use_bias=False
        )
        layer.build(self.shape)
        return layer

    def __str__(self):
        return (
            f"3x3, {self.channels} channels, {self.size} x {self.size}, "
            f"batch {self.batch}"
        )


TRAINS = (
    Case(1, 32, 64, (4, 4, 4)),
    Case(32, 32, 64, (4, 4, 4)),
    Case(32, 16, 128, (4, 8, 4)),
    Case(1, 8, 512, (8, 8, 8)),
    Case(32, 8, 512, (8, 8, 8)),
)
SHARES = (
    Case(32, 16, 128, at_least=((0.25, 1.9), (0.125, 2.5))),
    Case(32, 8, 512, at_least=((0.25, 3.0), (0.125, 4.5))),
)
SMOKE_TRAINS = (Case(2, 6, 8, (2, 4), 3),)
SMOKE_SHARES = (Case(2, 6, 16, at_least=((0.25, 0.0),)),)


def run(smoke):
    """Yields a row for every train, and for every share and compiler."""
    for case in SMOKE_TRAINS if smoke else TRAINS:
        yield _train_row(case, smoke)
    for case in SMOKE_SHARES if smoke else SHARES:
        for share, speedup in case.at_least:
            yield from _share_rows(case, share, speedup, smoke)


def _train_row(case, smoke):
    format = tk.formats.TensorTrain(
        (case.rank,) * len(case.modes), case.modes, case.modes
    )
    ours = case.layer(format)
    x = random_input(case.shape)
    sides = {
        "dense": case.dense(),
        "channel by channel": baselines.LoopConv2D(ours),
        "rebuilt": baselines.Rebuilt(ours),
        **_theirs(ours.format),
        "ours": ours,
    }
    return timed_row(
        f"{case}, {ours.format}",
        {name: _forward(side, x) for name, side in sides.items()}
        | {FROZEN: frozen(ours, x)},
        facts(ours, case.shape, case.shape, smoke),
        smoke,
        ours=("ours", FROZEN),
        at_least={f"dense / {FROZEN}": 0.0 if smoke else 1 / 1.1},
        rounds=30,
    )


def _theirs(bound):
    """Other libraries' trains; tensorly-torch's has other cores than ours.

    It puts the channels outside, and so is fast where Garipov's is not.
    """
    found = peers.convolution(bound)
    return {
        f"{name}, chain" if name.startswith("tensorly") else name: side
        for name, side in found.items()
    }


def _share_rows(case, share, speedup, smoke):
    """A row for every way to compile, with all formats in it."""
    x = random_input(case.shape)
    sides = {"dense": forward(case.dense(), x)}
    ours, theirs, seen = {}, {}, {}
    for name, make in FORMATS.items():
        ours[name] = layer = case.layer(make(share))
        seen[name] = facts(layer, case.shape, case.shape, smoke)
        for peer, module in peers.convolution(layer.format).items():
            # Its tensor train stands against the chain alone.
            if name != "spatial SVD":
                theirs[f"{peer}, {name}"] = _forward(module, x)
    sides |= {name: forward(layer, x) for name, layer in ours.items()}
    at_least = {f"dense / {name}": speedup for name in FORMATS} | {
        f"{side} / {side.rpartition(', ')[2]}": 0.0 if smoke else 1.0
        for side in theirs
    }
    for way in ways():
        chosen = {name: calls[way] for name, calls in sides.items()}
        yield timed_row(
            f"{case}, {share:g} of the parameters, {way}",
            chosen | theirs,
            {"share": share, "way": way, "formats": seen},
            smoke,
            ours=tuple(FORMATS),
            at_least=at_least,
            rounds=30,
        )


def _forward(side, x):
    """As `forward`; PyTorch has the channels in front."""
    if isinstance(side, keras.layers.Layer):
        return forward(side, x)
    return forward(side, keras.ops.moveaxis(x, -1, 1))
