"""Examples of every format and layer: what the laws run over.

A new format is tested by its lines in `format_examples`, a new layer by its
line in `LAYERS`.
"""

import itertools
from dataclasses import dataclass

import keras
import numpy as np

from tensornet_keras import backend, layers, registration
from tensornet_keras.formats import Format
from tests.laws.format_examples import AS_WRITTEN, FORMATS

# Shapes of inputs and the arguments of the layer beside its format.
LAYERS = {
    "FactorizedDense": (
        ((3, 12), {"units": 10, "activation": "tanh"}),
        ((2, 3, 23), {"units": 7, "use_bias": False}),
    ),
    "FactorizedEinsumDense": (
        (
            (2, 3, 24),
            {
                "equation": "abc,cde->abde",
                "output_shape": (None, 4, 6),
                "bias_axes": "de",
            },
        ),
        ((2, 12), {"equation": "...x,xy->...y", "output_shape": (10,)}),
    ),
    # Few ids, and more than the vocabulary has.
    "FactorizedEmbedding": (
        ((3, 5), {"input_dim": 23, "output_dim": 6, "mask_zero": True}),
        (
            (2, 3, 4),
            {"input_dim": 12, "output_dim": 7, "deduplicate": True},
        ),
    ),
    "FactorizedReversibleEmbedding": (
        ((4, 3), {"input_dim": 12, "output_dim": 8}),
    ),
    "FactorizedConv1D": (
        (
            (2, 9, 6),
            {
                "filters": 8,
                "kernel_size": 3,
                "padding": "causal",
                "dilation_rate": 2,
            },
        ),
    ),
    "FactorizedConv2D": (
        (
            (2, 6, 7, 4),
            {
                "filters": 16,
                "kernel_size": (3, 2),
                "strides": (2, 1),
                "padding": "same",
            },
        ),
        (
            (2, 5, 5, 6),
            {"filters": 4, "kernel_size": 3, "groups": 2, "use_bias": False},
        ),
    ),
    "FactorizedConv3D": (((2, 3, 4, 3, 5), {"filters": 7, "kernel_size": 2}),),
    "TTDense": (
        (
            (3, 12),
            {
                "units": 12,
                "rank": (2, 5),
                "input_modes": (2, 2, 3),
                "output_modes": (3, 2, 2),
            },
        ),
    ),
    "TTConv1D": (((2, 8, 6), {"filters": 4, "kernel_size": 3, "strides": 2}),),
    "TTConv2D": (
        (
            (2, 5, 4, 3),
            {
                "filters": 10,
                "kernel_size": 3,
                "rank": 2,
                "input_modes": (2, 2),
                "output_modes": (3, 4),
                "pad": True,
            },
        ),
    ),
    "TTConv3D": (
        ((1, 3, 3, 3, 4), {"filters": 4, "kernel_size": 2, "rank": 0.5}),
        (
            (1, 3, 3, 3, 4),
            {
                "filters": 6,
                "kernel_size": 2,
                "rank": 2,
                "conv_order": "channels_outside",
            },
        ),
    ),
}


@dataclass(frozen=True, eq=False)
class LayerExample:
    """A layer of the package, its arguments and the shape of an input."""

    layer: str
    input_shape: tuple[int, ...]
    arguments: dict

    def unbuilt(self, **more):
        """The layer, as a user writes it."""
        bias = {} if self.ids else {"bias_initializer": "random_normal"}
        return getattr(layers, self.layer)(**bias | self.arguments | more)

    def built(self, **more):
        """The layer with its weights, for inputs of this shape."""
        layer = self.unbuilt(**more)
        layer.build(self.input_shape)
        return layer

    @property
    def ids(self) -> int:
        """How many ids there are, if they are the inputs, else 0."""
        return self.arguments.get("input_dim", 0)

    def inputs(self, seed=0):
        """Random inputs of the layer."""
        generator = np.random.default_rng(seed)
        if self.ids:
            return generator.integers(0, self.ids, self.input_shape, "int32")
        return generator.standard_normal(self.input_shape).astype("float32")

    def symbolic(self, *shape):
        """What stands for such inputs in a model, without the batch."""
        return keras.Input(shape, dtype="int32" if self.ids else "float32")

    def __str__(self):
        name = f"{self.layer}{self.input_shape}"
        return f"{name}-{self.arguments.get('format', '')}"


def examples_of_every_format() -> list[Format]:
    """Bound formats: every format of the catalog, matrices and kernels.

    TensorFlow gets all of them, the other backends every fifth.
    """
    step = 1 if backend.name() == "tensorflow" else 5
    return [example for name in FORMATS for example in FORMATS[name][::step]]


def examples_of_every_layer() -> list[LayerExample]:
    """Layers by all their names, the factorized ones in every format.

    TensorFlow gets every pair, the other backends a selection.
    """
    if backend.name() != "tensorflow":
        return a_selection_of_layers()
    return _with_formats(len(AS_WRITTEN))


def a_selection_of_layers() -> list[LayerExample]:
    """Layers by all their names, each example in one of the formats.

    For backends that start operations slowly; every format gets an example.
    """
    return _with_formats(1)


def _with_formats(count: int) -> list[LayerExample]:
    """Every example of a layer in so many formats, in turn."""
    written = [
        (name, shape, arguments)
        for name in registration.LAYERS
        for shape, arguments in LAYERS[name]
    ]
    formats = itertools.cycle(AS_WRITTEN.values())
    return [
        LayerExample(name, shape, arguments | own)
        for name, shape, arguments in written
        for own in (
            [{"format": next(formats)} for _ in range(count)]
            if name.startswith("Factorized")
            else [{}]
        )
    ]
