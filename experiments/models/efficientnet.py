"""EfficientNet-Lite0, with ReLU6 and without squeeze and excitation.

Tan and Le 2019 (arXiv 1905.11946); the Lite variants are of TensorFlow's
authors. Layers are named as the modules of the PyTorch version whose pretrained
weights the data folder has, without the underscores in front.
"""

import keras
from keras import layers

# Repeats, window, stride, expansion, channels.
BLOCKS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
SIZE = 224


def efficientnet_lite0(size=SIZE, blocks=BLOCKS):
    """Builds the network, without trained weights.

    Input shape: `(batch, size, size, 3)`, as `scaled` returns pictures.
    Output shape: `(batch, 1000)`, logits of the classes of ImageNet.

    Args:
        size: Height and width of a picture.
        blocks: The blocks, fewer for a shorter network.

    Returns:
        A built Functional model.
    """
    inputs = keras.Input((size, size, 3))
    x = _conv(inputs, STEM, "conv_stem", "bn0", 3, 2)
    number, channels = 0, STEM
    for repeats, window, first_stride, expansion, filters in blocks:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            name = f"blocks.{number}."
            y = _block(x, window, stride, expansion * channels, filters, name)
            same = stride == 1 and channels == filters
            x = layers.Add(name=f"{name}add")([y, x]) if same else y
            number, channels = number + 1, filters
    x = _conv(x, HEAD, "conv_head", "bn1")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = layers.Dense(CLASSES, name="fc")(x)
    return keras.Model(inputs, outputs, name="efficientnet_lite0")


def scaled(pictures, size=SIZE):
    """Pictures of any size as the pretrained network was given them.

    Args:
        pictures: Array `(n, height, width, 3)` of numbers from 0 to 255.
        size: Height and width that they get, bilinearly.

    Returns:
        An array of float32.
    """
    large = keras.ops.image.resize(pictures.astype("float32"), (size, size))
    return (keras.ops.convert_to_numpy(large) - 127.0) / 128.0


def _block(x, window, stride, inner, filters, name):
    """Channels are widened, each is convolved, and all are brought down."""
    if inner != x.shape[-1]:
        x = _conv(x, inner, f"{name}expand_conv", f"{name}bn0")
    x = layers.DepthwiseConv2D(
        window,
        stride,
        "same",
        use_bias=False,
        name=f"{name}depthwise_conv",
    )(x)
    x = _normalized(x, f"{name}bn1")
    x = layers.ReLU(6.0, name=f"{name}relu1")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}project_conv")(x)
    return _normalized(x, f"{name}bn2")


def _conv(x, filters, name, norm, window=1, stride=1):
    x = layers.Conv2D(
        filters, window, stride, "same", use_bias=False, name=name
    )(x)
    return layers.ReLU(6.0, name=f"{name}.relu")(_normalized(x, norm))


def _normalized(x, name):
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)
