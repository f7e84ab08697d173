"""A network of every variant of the layers that can be converted."""

import keras
from keras import layers

from tests.small_models import numbers, randomized

SHAPES = {
    "vector": (17,),
    "table": (3, 5, 12),
    "signal": (12, 8),
    "image": (9, 8, 6),
    "volume": (6, 5, 7, 4),
}


def dense_layers():
    prime = layers.Dense(19, activation="tanh", name="prime")
    bare = layers.Dense(16, use_bias=False, name="bare")
    return {
        "vector": [prime, layers.Dense(1, name="single")],
        "table": [layers.Dense(8, name="n_d"), bare],
        "signal": [layers.Dense(6, name="per_step")],
    }


def conv1d_layers():
    return [
        layers.Conv1D(11, 3, padding="same", activation="relu"),
        layers.Conv1D(8, 4, strides=3, use_bias=False),
        layers.Conv1D(8, 3, padding="causal", dilation_rate=2),
        layers.Conv1D(6, 2, padding="causal", strides=2),
        layers.Conv1D(12, 3, groups=4, padding="same"),
    ]


def conv2d_layers():
    return [
        layers.Conv2D(13, (3, 2), strides=(2, 1), padding="same"),
        layers.Conv2D(8, (2, 3), strides=(1, 2), use_bias=False),
        layers.Conv2D(8, 3, dilation_rate=(2, 1), activation="tanh"),
        layers.Conv2D(12, 3, groups=3, strides=2, padding="same"),
        layers.Conv2D(9, 1),
    ]


def conv3d_layers():
    return [
        layers.Conv3D(7, (3, 2, 1), strides=(1, 2, 3), padding="same"),
        layers.Conv3D(8, 2, use_bias=False),
        layers.Conv3D(6, (2, 1, 3), dilation_rate=(1, 2, 1)),
        layers.Conv3D(8, 2, groups=2, padding="same"),
    ]


def channels_first_layers():
    first = {"data_format": "channels_first"}
    return {
        "signal": [
            layers.Conv1D(5, 3, strides=2, padding="same", **first),
            layers.Conv1D(6, 3, padding="causal", groups=3, **first),
        ],
        "image": [
            layers.Conv2D(7, (2, 3), strides=(2, 1), padding="same", **first),
            layers.Conv2D(6, 2, dilation_rate=(1, 2), use_bias=False, **first),
        ],
        "volume": [layers.Conv3D(4, 2, groups=2, **first)],
    }


def every_variant():
    """A network with an output for every variant, and one behind them all."""
    inputs = {
        name: keras.Input(shape, name=name) for name, shape in SHAPES.items()
    }
    variants = dense_layers()
    variants["signal"] += conv1d_layers()
    variants["image"] = conv2d_layers()
    variants["volume"] = conv3d_layers()
    # TensorFlow has no channels-first convolutions on a CPU.
    if keras.backend.backend() != "tensorflow":
        for name, more in channels_first_layers().items():
            variants[name] += more
    outputs = []
    for name, some in variants.items():
        for layer in some:
            # Drawing numbers compiles for every shape on some backends.
            layer.kernel_initializer = keras.initializers.Zeros()
            outputs.append(layer(inputs[name]))
    flat = layers.Concatenate()([layers.Flatten()(each) for each in outputs])
    joined = layers.Dense(10, name="join")(layers.LayerNormalization()(flat))
    return randomized(keras.Model(inputs, [*outputs, joined]))


def data_for_every_variant():
    return {name: numbers(4, *shape) for name, shape in SHAPES.items()}
