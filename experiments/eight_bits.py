"""A dense net, its copies in eight bits, and the size of their files."""

import os
import tempfile

import keras


def net(features, width):
    """Three dense layers, the last of ten logits.

    Args:
        features: Size of the input.
        width: Outputs of the first two.
    """
    return keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(width, activation="relu", name="one"),
            keras.layers.Dense(width, activation="relu", name="two"),
            keras.layers.Dense(10, name="head"),
        ]
    )


def quantized(model):
    """A copy with int8 weights.

    Args:
        model: A model of `net`, or one that it was converted to.
    """
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.quantize("int8", filters="one|two|head")
    return copy


def size(model):
    """Bytes of a model's file.

    Args:
        model: A Keras model.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        return os.path.getsize(path)
