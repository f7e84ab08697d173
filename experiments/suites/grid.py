"""The grid of the suite `planning`: layers drawn at random from a seed."""

import math
from dataclasses import dataclass

import keras
import numpy as np

import tensornet_keras as tk

SEED = 0
DENSE, CONVOLUTIONS = 56, 16
SIZES = (
    (256, 256),
    (512, 1024),
    (784, 625),
    (1024, 1024),
    (1024, 4096),
    (2048, 512),
    (3072, 768),
    (4096, 1024),
)
IMAGES = ((32, 64), (16, 128), (8, 256), (14, 96))
RANKS = (2, 4, 8, 16, 32, 64)
BATCHES = (1, 4, 16, 32, 100, 256, 1000)
IMAGE_BATCHES = (1, 8, 32)
SHARES = (0.06, 0.12, 0.25, 0.5)
DENSE_FORMATS = (
    "tt",
    "tr",
    "low_rank",
    "tucker",
    "cp",
    "kronecker",
    "monarch",
    "btt",
)
KERNEL_FORMATS = (
    ("tt", {}),
    ("tt", {"conv_order": "channels_outside"}),
    ("tucker", {}),
    ("cp", {}),
    ("low_rank", {"conv_split": "spatial"}),
)


@dataclass(frozen=True)
class Drawn:
    """A layer of the grid.

    Args:
        format: The name of the format.
        settings: Its arguments besides the rank, as pairs.
        rank: Its rank, an int or a share of the dense parameters.
        input_shape: Shape of the input, with the batch.
        outputs: Units or filters.
    """

    format: str
    settings: tuple
    rank: float
    input_shape: tuple[int, ...]
    outputs: int

    @property
    def output_shape(self):
        """Shape of the output, with the batch."""
        return (*self.input_shape[:-1], self.outputs)

    def unbound(self):
        """The format, before it knows the sizes."""
        rank = {} if self.format == "monarch" else {"rank": self.rank}
        return tk.formats.get(self.format, **rank, **dict(self.settings))

    def saves(self):
        """Whether it has at most half the parameters of the dense layer."""
        window = (3, 3) if len(self.input_shape) > 2 else ()
        bound = self.unbound().bind(
            self.input_shape[-1:], (self.outputs,), window
        )
        return 2 * bound.num_params <= bound.dense_params

    def layer(self):
        """Our layer, built, without a bias."""
        format = self.unbound()
        if len(self.input_shape) == 2:
            layer = tk.layers.FactorizedDense(
                self.outputs, format, use_bias=False
            )
        else:
            layer = tk.layers.FactorizedConv2D(
                self.outputs, 3, format, padding="same", use_bias=False
            )
        layer.build(self.input_shape)
        return layer

    def dense(self):
        """Keras' layer, built, without a bias."""
        if len(self.input_shape) == 2:
            layer = keras.layers.Dense(self.outputs, use_bias=False)
        else:
            layer = keras.layers.Conv2D(
                self.outputs, 3, padding="same", use_bias=False
            )
        layer.build(self.input_shape)
        return layer


def drawn(smoke=False, seed=SEED):
    """Draws the grid.

    Args:
        smoke: Whether to draw two small layers only.
        seed: The seed.

    Returns:
        A list of `Drawn`.
    """
    if smoke:
        return [
            Drawn("tt", (), 2, (3, 16), 16),
            Drawn("tucker", (), 2, (2, 5, 5, 8), 8),
        ]
    rng = np.random.default_rng(seed)
    found = {}
    for draw, count in ((_dense, DENSE), (_convolution, CONVOLUTIONS)):
        wanted = len(found) + count
        while len(found) < wanted:
            one = draw(rng)
            if one.saves():
                found[one] = None
    return list(found)


def _dense(rng):
    inputs, outputs = SIZES[rng.integers(len(SIZES))]
    name = DENSE_FORMATS[rng.integers(len(DENSE_FORMATS))]
    rank = RANKS[rng.integers(len(RANKS))]
    if name == "btt":
        # A rank multiplies the size of two large cores.
        rank = min(rank, max(1, math.isqrt(inputs) // 16))
    if name == "monarch":
        rank = 1
    batch = BATCHES[rng.integers(len(BATCHES))]
    return Drawn(name, (), rank, (batch, inputs), outputs)


def _convolution(rng):
    size, channels = IMAGES[rng.integers(len(IMAGES))]
    name, settings = KERNEL_FORMATS[rng.integers(len(KERNEL_FORMATS))]
    share = SHARES[rng.integers(len(SHARES))]
    batch = IMAGE_BATCHES[rng.integers(len(IMAGE_BATCHES))]
    shape = (batch, size, size, channels)
    return Drawn(name, tuple(settings.items()), share, shape, channels)
