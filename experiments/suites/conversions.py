"""The models that the suites `model` and `export` compare, and their twins."""

import keras
from keras import layers

import tensornet_keras as tk

from ..configs import lenet5_mnist
from ..models import lenet5


def mlp(widths=(784, 1024, 1024, 10)):
    """A net of dense layers, with logits at its end.

    Args:
        widths: Sizes of the input, of the hidden layers and of the output.

    Returns:
        A built model.
    """
    inputs, *hidden, classes = widths
    blocks = [layers.Dense(width, activation="relu") for width in hidden]
    return keras.Sequential(
        [keras.Input((inputs,)), *blocks, layers.Dense(classes)], name="mlp"
    )


def small_vgg(size=32, blocks=(64, 128, 256), units=512):
    """A net like VGG: two 3x3 convolutions a block, then dense layers.

    Args:
        size: Height and width of the images.
        blocks: Channels of each block.
        units: Units of the hidden dense layer.

    Returns:
        A built model, with logits at its end.
    """
    stack = [keras.Input((size, size, 3))]
    for number, channels in enumerate(blocks, start=1):
        stack += [
            layers.Conv2D(
                channels,
                3,
                padding="same",
                activation="relu",
                name=f"block{number}_conv{place}",
            )
            for place in (1, 2)
        ]
        stack.append(layers.MaxPooling2D())
    stack += [
        layers.Flatten(),
        layers.Dense(units, activation="relu"),
        layers.Dense(10),
    ]
    return keras.Sequential(stack, name="small_vgg")


def vgg_format(layer):
    """Trains of rank 4, and Tucker-2 at a quarter of the channels.

    Args:
        layer: A layer of a net like VGG.

    Returns:
        A format; `None` leaves the layer as it is: the first block.
    """
    if isinstance(layer, layers.Dense):
        return tk.formats.TensorTrain(rank=4)
    if not isinstance(layer, layers.Conv2D) or "block1_" in layer.name:
        return None
    channels = layer.kernel.shape[-2:]
    return tk.formats.Tucker(rank=tuple(size // 4 for size in channels))


def converted_lenet5(model):
    """LeNet-5 as the demo converts it."""
    settings = lenet5_mnist.SETTINGS
    return lenet5_mnist.compress(model, settings["rank"], settings)[0]


def converted_mlp(model):
    """Dense layers as trains of rank 8, where that makes them smaller."""
    return tk.convert(model, tk.formats.TensorTrain(rank=8))[0]


def converted_vgg(model):
    """A net like VGG in the formats of `vgg_format`."""
    return tk.convert(model, vgg_format)[0]


def vgg16():
    """VGG-16 for 224 x 224 images and 1,000 classes, untrained.

    Returns:
        A built model of 138 million parameters.

    Reference:
        Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556.
    """
    return keras.applications.VGG16(weights=None, classifier_activation=None)


# By name: the model and its conversion.
MODELS = {
    "tiny": (lambda: mlp((16, 16, 10)), converted_mlp),
    "mlp": (mlp, converted_mlp),
    "lenet5": (lenet5, converted_lenet5),
    "small_vgg": (small_vgg, converted_vgg),
    "vgg16": (vgg16, converted_vgg),
}
