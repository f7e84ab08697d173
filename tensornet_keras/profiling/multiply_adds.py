"""How many multiplications one call of a layer makes."""

import math

from keras import layers

from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.recurrent import FactorizedGRU, FactorizedLSTM
from tensornet_keras.layers.reversible_embedding import (
    FactorizedReversibleEmbedding,
)


def count(layer, input_shape, output_shape):
    """The multiplications of sums of products in one call of a layer.

    Layers that work number by number, pool, look up or move data count as 0:
    what they do is bounded by memory, not by arithmetic.

    Args:
        layer: A built Keras layer.
        input_shape: Shape of its (first) input, with the batch.
        output_shape: Shape of its (first) output, with the batch.

    Returns:
        A whole number; `None` for a layer that cannot be counted.

    Example:
        >>> import keras
        >>> from tensornet_keras.profiling.multiply_adds import count
        >>> layer = keras.layers.Dense(10)
        >>> layer.build((None, 20))
        >>> count(layer, (3, 20), (3, 10))
        600
    """
    # An adapter adds products of its own, which Keras may merge or not.
    if getattr(layer, "lora_enabled", False):
        return None
    if isinstance(layer, FactorizedReversibleEmbedding):
        # Rows have an axis more than ids, logits as many as hidden states.
        reverse = len(output_shape) == len(input_shape)
        return layer.plan(input_shape, reverse).multiply_adds
    if isinstance(layer, FactorizedLayer):
        return layer.plan(input_shape).multiply_adds
    if type(layer) in _FREE:
        return 0
    counter = _COUNTERS.get(type(layer))
    if counter is None:
        return None
    return counter(layer, input_shape, output_shape)


def is_known(layer):
    """Whether `count` knows layers of this type."""
    known = type(layer) in _COUNTERS or type(layer) in _FREE
    return known or isinstance(layer, FactorizedLayer)


def _dense(layer, input_shape, output_shape):
    return math.prod(input_shape) * layer.units


def _einsum_dense(layer, input_shape, output_shape):
    """Every entry of the kernel meets the input's axes that it lacks."""
    inputs, _, rest = layer.equation.partition(",")
    kernel = rest.partition("->")[0]
    before, _, after = inputs.partition("...")
    axes = before + "." * (len(input_shape) - len(before + after)) + after
    met = math.prod(
        size
        for axis, size in zip(axes, input_shape, strict=True)
        if axis not in kernel
    )
    return math.prod(layer.kernel.shape) * met


def _positions(layer, shape):
    """Batch times spatial positions."""
    last = layer.data_format == "channels_last"
    return math.prod(shape[:-1]) if last else shape[0] * math.prod(shape[2:])


def _conv(layer, input_shape, output_shape):
    return math.prod(layer.kernel.shape) * _positions(layer, output_shape)


def _conv_transpose(layer, input_shape, output_shape):
    return math.prod(layer.kernel.shape) * _positions(layer, input_shape)


def _separable_conv(layer, input_shape, output_shape):
    kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(
        layer.pointwise_kernel.shape
    )
    return kernels * _positions(layer, output_shape)


def _recurrent(layer, input_shape, output_shape):
    batch, steps = input_shape[:2]
    kernels = math.prod(layer.cell.kernel.shape) + math.prod(
        layer.cell.recurrent_kernel.shape
    )
    return kernels * batch * steps


def _factorized_recurrent(layer, input_shape, output_shape):
    batch, steps = input_shape[:2]
    inputs, states = layer.plan(input_shape), layer.recurrent_plan(batch, steps)
    return inputs.multiply_adds + states.multiply_adds


def _time_distributed(layer, input_shape, output_shape):
    batch, steps, *inputs = input_shape
    once = count(layer.layer, (batch, *inputs), (batch, *output_shape[2:]))
    return None if once is None else steps * once


_COUNTERS = {
    layers.Dense: _dense,
    layers.EinsumDense: _einsum_dense,
    layers.Conv1D: _conv,
    layers.Conv2D: _conv,
    layers.Conv3D: _conv,
    layers.DepthwiseConv1D: _conv,
    layers.DepthwiseConv2D: _conv,
    layers.Conv1DTranspose: _conv_transpose,
    layers.Conv2DTranspose: _conv_transpose,
    layers.Conv3DTranspose: _conv_transpose,
    layers.SeparableConv1D: _separable_conv,
    layers.SeparableConv2D: _separable_conv,
    layers.SimpleRNN: _recurrent,
    layers.GRU: _recurrent,
    layers.LSTM: _recurrent,
    FactorizedGRU: _factorized_recurrent,
    FactorizedLSTM: _factorized_recurrent,
    layers.TimeDistributed: _time_distributed,
}

_FREE_NAMES = {
    *("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"),
    *("Add", "Average", "Concatenate", "Maximum", "Minimum"),
    *("Multiply", "Subtract", "Rescaling", "Normalization"),
    *("BatchNormalization", "GroupNormalization", "LayerNormalization"),
    *("RMSNormalization", "UnitNormalization", "ActivityRegularization"),
    *("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise"),
    *("Embedding", "Flatten", "Identity", "InputLayer", "Masking"),
    *("Permute", "RepeatVector", "Reshape", "CenterCrop"),
    *(
        f"{kind}{dimensions}D"
        for dimensions in (1, 2, 3)
        for kind in (
            *("AveragePooling", "MaxPooling", "GlobalAveragePooling"),
            *("GlobalMaxPooling", "Cropping", "SpatialDropout"),
            *("UpSampling", "ZeroPadding"),
        )
    ),
}
_FREE = frozenset(getattr(layers, name) for name in _FREE_NAMES)
