"""The CIFAR-10 ResNets of He et al. 2016 (arXiv 1512.03385, section 4.2).

Three stages of 16, 32 and 64 channels; where the channels double, the shortcut
takes every other pixel and pads the channels with zeros (option A), so that
there is no weight in it. Layers are named as the modules of the widely used
PyTorch version, whose pretrained weights the data folder has.
"""

import keras
from keras import layers, ops

STAGES = (16, 32, 64)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def resnet_cifar(depth=20):
    """Builds a ResNet for CIFAR-10, without trained weights.

    Input shape: `(batch, 32, 32, 3)`, as `normalized` returns pictures.
    Output shape: `(batch, 10)`, logits.

    Args:
        depth: Number of layers with weights, 6 n + 2.

    Returns:
        A built Functional model.

    Raises:
        ValueError: If the depth is another number.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(
            "The depth of a CIFAR ResNet is 6 n + 2. "
            f"Received: depth={depth}. Pass for example 20 or 56."
        )
    inputs = keras.Input((32, 32, 3))
    x = _normalized_conv(inputs, STAGES[0], 1, "conv1", "bn1")
    x = layers.ReLU(name="relu1")(x)
    for stage, filters in enumerate(STAGES, start=1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _block(x, filters, stride, f"layer{stage}.{block}.")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(10, name="linear")(x)
    return keras.Model(inputs, outputs, name=f"resnet{depth}_cifar")


def normalized(pictures):
    """Pictures as the pretrained networks were given them.

    Args:
        pictures: Array `(n, 32, 32, 3)` of numbers from 0 to 255.

    Returns:
        An array of float32.
    """
    scaled = pictures.astype("float32") / 255.0
    return (scaled - MEAN).astype("float32") / DEVIATION


def _block(x, filters, stride, name):
    """Two convolutions and what goes around them."""
    y = _normalized_conv(x, filters, stride, f"{name}conv1", f"{name}bn1")
    y = layers.ReLU(name=f"{name}relu1")(y)
    y = _normalized_conv(y, filters, 1, f"{name}conv2", f"{name}bn2")
    if stride > 1:
        x = layers.MaxPooling2D(1, stride, name=f"{name}every_other")(x)
        added = (filters - x.shape[-1]) // 2
        x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (added, added)))
    x = layers.Add(name=f"{name}add")([x, y])
    return layers.ReLU(name=f"{name}relu2")(x)


def _normalized_conv(x, filters, stride, name, norm):
    """A convolution without a bias, one zero on every side, normalized."""
    padding = "same"
    if stride > 1:
        # Else "same" would put the only zeros on the far sides.
        x = layers.ZeroPadding2D(1, name=f"{name}.pad")(x)
        padding = "valid"
    x = layers.Conv2D(filters, 3, stride, padding, use_bias=False, name=name)(x)
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=norm)(x)
