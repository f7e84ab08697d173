"""The CIFAR-10 nets of Garipov et al. 2016, "Ultimate tensorization".

arXiv 1611.03214; layer by layer as in the authors' code. Every convolution
and every hidden dense layer is followed by batch normalization and ReLU and
has no bias (those of the original `conv` are cancelled by the normalization
and are not in its published count). The published counts are of all weights,
the last bias, and the scale and shift of the normalization.
"""

import keras
from keras import layers

import tensornet_keras as tk

CONV_NAMES = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2")
CONV_FILTERS = (64, 64, 128, 128, 128, 128)
# Channel modes of the tensor-train convolutions, from conv1_2 on.
CONV_MODES = (
    ((4, 4, 4), (4, 4, 4)),
    ((4, 4, 4), (4, 8, 4)),
    ((4, 8, 4), (4, 8, 4)),
    ((4, 8, 4), (4, 8, 4)),
    ((4, 8, 4), (4, 8, 4)),
)
TT_CONV_RANKS = (
    (22, 20, 20),
    (27, 22, 22),
    (23, 23, 23),
    (23, 23, 23),
    (23, 23, 23),
)


def conv():
    """Builds the convolutional baseline: 557,248 parameters, 90.7 %.

    Input shape: `(batch, 32, 32, 3)`, standardised.
    Output shape: `(batch, 10)`, logits.
    """
    inputs = keras.Input((32, 32, 3))
    features = _features(inputs, _dense_conv, last_padding="valid")
    return keras.Model(inputs, _pooled_head(features), name="conv")


def tt_conv():
    """Builds the net of the row "89.3 %, 3.23x": 172,518 parameters.

    Input shape: `(batch, 32, 32, 3)`, standardised.
    Output shape: `(batch, 10)`, logits.
    """
    inputs = keras.Input((32, 32, 3))
    features = _features(inputs, _tt_conv(TT_CONV_RANKS), last_padding="valid")
    return keras.Model(inputs, _pooled_head(features), name="tt_conv")


def conv_fc():
    """Builds the baseline with dense layers: 13,934,538 parameters, 90.5 %.

    Input shape: `(batch, 32, 32, 3)`, standardised.
    Output shape: `(batch, 10)`, logits.
    """
    inputs = keras.Input((32, 32, 3))
    x = layers.Flatten(name="flatten")(
        _features(inputs, _dense_conv, last_padding="same")
    )
    x = _normalized(layers.Dense(1536, use_bias=False, name="fc4_1"), x)
    x = _normalized(layers.Dense(512, use_bias=False, name="fc4_2"), x)
    return keras.Model(
        inputs, layers.Dense(10, name="fc4_3")(x), name="conv_fc"
    )


def tt_conv_tt_fc(first_rank=40, second_rank=30):
    """Builds the net compressed throughout; all its convolutions have rank 16.

    Ranks 40 and 30 are the row "89.7 %, 41.65x" with 334,554 parameters;
    20 and 20 the row "89.4 %, 82.87x" with 168,154.

    Input shape: `(batch, 32, 32, 3)`, standardised.
    Output shape: `(batch, 10)`, logits.

    Args:
        first_rank: Rank of the dense layer 8192 to 1536.
        second_rank: Rank of the dense layer 1536 to 512.
    """
    inputs = keras.Input((32, 32, 3))
    convolution = _tt_conv(((16, 16, 16),) * 5)
    x = layers.Flatten(name="flatten")(
        _features(inputs, convolution, last_padding="same")
    )
    for units, rank, modes, name in (
        (1536, first_rank, ((8, 8, 8, 16), (4, 6, 8, 8)), "fc4_1"),
        (512, second_rank, ((4, 6, 8, 8), (4, 4, 4, 8)), "fc4_2"),
    ):
        layer = tk.layers.TTDense(
            units,
            rank=(rank,) * 3,
            input_modes=modes[0],
            output_modes=modes[1],
            use_bias=False,
            kernel_initializer="glorot_normal",
            name=name,
        )
        x = _normalized(layer, x)
    head = layers.Dense(10, name="fc4_3")
    return keras.Model(inputs, head(x), name="tt_conv_tt_fc")


def _features(x, convolution, last_padding):
    """Six convolutions with two poolings: 32 x 32 down to 4 x 4 or 8 x 8."""
    for index, name in enumerate(CONV_NAMES):
        padding = last_padding if index >= 4 else "same"
        make = _dense_conv if index == 0 else convolution
        x = _normalized(make(index, padding, name), x)
        if name in ("conv1_2", "conv2_2"):
            x = layers.MaxPooling2D(3, 2, padding="same")(x)
    return x


def _normalized(layer, x):
    x = layer(x)
    x = layers.BatchNormalization(name=f"bn_{layer.name}")(x)
    return layers.ReLU(name=f"relu_{layer.name}")(x)


def _dense_conv(index, padding, name):
    return layers.Conv2D(
        CONV_FILTERS[index],
        3,
        padding=padding,
        use_bias=False,
        kernel_initializer="glorot_normal",
        name=name,
    )


def _tt_conv(ranks):
    """Makes tensor-train convolutions of the ranks, from conv1_2 on."""

    def make(index, padding, name):
        input_modes, output_modes = CONV_MODES[index - 1]
        return tk.layers.TTConv2D(
            CONV_FILTERS[index],
            3,
            rank=ranks[index - 1],
            input_modes=input_modes,
            output_modes=output_modes,
            padding=padding,
            use_bias=False,
            kernel_initializer="glorot_normal",
            name=name,
        )

    return make


def _pooled_head(features):
    x = layers.AveragePooling2D(4, name="average_pool")(features)
    x = layers.Flatten(name="flatten")(x)
    return layers.Dense(10, use_bias=False, name="fc4_1")(x)
