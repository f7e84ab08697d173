"""Models to freeze, for the tests of freezing."""

import keras

import tensornet_keras as tk
from tests.laws.oracles import assert_close

# Large enough for a train to be predicted faster than the dense kernel.
WIDE = 2048
MODES = (8, 16, 16)
TRAIN = tk.formats.TensorTrain(rank=2)
OTHERS = {
    "regression": (
        lambda: tk.layers.TensorRegression(
            5, tk.formats.Tucker(rank=2), bias_initializer="random_normal"
        ),
        (4, 5, 6),
    ),
    "contraction": (
        lambda: tk.layers.TensorContraction((2, 3, 2), activation="tanh"),
        (4, 5, 6),
    ),
    "lstm": (
        lambda: tk.layers.FactorizedLSTM(6, TRAIN, return_sequences=True),
        (5, 10),
    ),
    "gru": (lambda: tk.layers.FactorizedGRU(6, TRAIN), (5, 10)),
    "gru before": (
        lambda: tk.layers.FactorizedGRU(
            6, TRAIN, reset_after=False, bias_initializer="random_normal"
        ),
        (5, 10),
    ),
    "mps": (
        lambda: tk.layers.MPSLayer(3, rank=2),
        (3,),
    ),
    "bidirectional": (
        lambda: keras.layers.Bidirectional(tk.layers.FactorizedLSTM(6, TRAIN)),
        (5, 10),
    ),
}


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


def prefers(merged):
    """A regret that is least for merged cores, or for dense kernels."""

    def regret(options, batch):
        del batch
        return {
            each: 1.0
            + (each.is_dense == merged)
            + 0.1 * len(getattr(each, "kernels", "."))
            for each in options
        }

    return regret
