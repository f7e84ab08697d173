"""The two MNIST nets of the t3f tutorial "Tensor Nets".

Novikov et al. 2020, "Tensor Train decomposition on TensorFlow (T3F)" (JMLR
21); the notebook is `docs/tutorials/tensor_nets.ipynb` of its repository.
"""

import keras
from keras import layers

import tensornet_keras as tk

INPUT_MODES = (7, 4, 7, 4)
OUTPUT_MODES = (5, 5, 5, 5)


def dense_net():
    """Builds the dense net 784-625-10 with 496,885 parameters.

    Input shape: `(batch, 28, 28)`.
    Output shape: `(batch, 10)`, logits (the tutorial's softmax is in the
    loss).

    Returns:
        A built `keras.Sequential` with the layers `hidden` and `head`.
    """
    return _net(layers.Dense(625, activation="relu", name="hidden"), "dense")


def tt_net(rank=4):
    """Builds the same net with a tensor train as its hidden layer.

    Input shape: `(batch, 28, 28)`.
    Output shape: `(batch, 10)`, logits.

    Args:
        rank: The train's rank; 4 gives the tutorial's 7,985 parameters.

    Returns:
        A built `keras.Sequential` with the layers `hidden` and `head`.
    """
    hidden = tk.layers.TTDense(
        625,
        rank=rank,
        input_modes=INPUT_MODES,
        output_modes=OUTPUT_MODES,
        activation="relu",
        bias_initializer=keras.initializers.Constant(1e-3),
        name="hidden",
    )
    return _net(hidden, "tt")


def _net(hidden, name):
    return keras.Sequential(
        [
            layers.Input((28, 28)),
            layers.Flatten(name="flatten"),
            hidden,
            layers.Dense(10, name="head"),
        ],
        name=f"t3f_{name}_net",
    )
