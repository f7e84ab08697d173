"""Models to freeze, for the tests of freezing."""

import keras

import tensornet_keras as tk
from tests.laws.oracles import assert_close

# Large enough for a train to be predicted faster than the dense kernel.
WIDE = 2048
MODES = (8, 16, 16)


def model_of(layer, shape):
    """A model of one layer."""
    return keras.Sequential([keras.Input(shape), layer])


def wide_model(**arguments):
    """A model of a layer that stays factorized at any batch size."""
    layer = tk.layers.TTDense(WIDE, 2, MODES, MODES, name="wide", **arguments)
    return model_of(layer, (WIDE,))


def assert_same(frozen, model, inputs):
    """Both models give the same outputs."""
    assert_close(frozen(inputs), model(inputs, training=False))
