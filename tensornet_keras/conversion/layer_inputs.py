"""Inputs of layers as rows of matrices: what a kernel is multiplied by.

A dense kernel meets the last axis, a convolution's the patches under its
window, an einsum kernel the axes that it sums over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import keras
import numpy as np
from keras import ops

from tensornet_keras.layer_calls import wrapped_call
from tensornet_keras.layers.einsum_equation import EinsumEquation

# Moments of more features than this would not fit: half a gigabyte.
MOST_FEATURES = 8192
# Numbers in the patches that are gathered at once.
MOST_NUMBERS = 2**25

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


def obstacle(layer) -> str | None:
    """Why the inputs of a layer are not gathered, or `None`.

    Args:
        layer: A built layer that has a factorized twin.
    """
    if isinstance(layer, keras.layers.EinsumDense):
        if _equation(layer).batch:
            return "a stack of kernels"
    elif isinstance(layer, _CONVOLUTIONS):
        if layer.groups > 1:
            return "groups"
        if layer.padding == "causal":
            return "causal padding"
    elif not isinstance(layer, keras.layers.Dense):
        return "no product of its input"
    if features(layer) > MOST_FEATURES:
        return f"more than {MOST_FEATURES} features"
    return None


def features(layer) -> int:
    """How many numbers an output of a layer is summed over.

    Args:
        layer: A layer without an obstacle.
    """
    if isinstance(layer, keras.layers.EinsumDense):
        equation = _equation(layer)
        sizes = dict(zip(equation.kernel, layer.kernel.shape, strict=True))
        return math.prod(sizes[label] for label in equation.contracted)
    return math.prod(layer.kernel.shape[:-1])


def rows_of(layer, inputs) -> Iterator[np.ndarray]:
    """The rows that a call of a layer multiplies its kernel by.

    Args:
        layer: A layer without an obstacle.
        inputs: The tensor that it is called on.

    Yields:
        Matrices in float32, of the layer's features; a few rows at a time.
    """
    inputs = ops.cast(inputs, "float32")
    if isinstance(layer, _CONVOLUTIONS):
        yield from _patches(layer, inputs)
        return
    if isinstance(layer, keras.layers.EinsumDense):
        equation = _equation(layer)
        order = (*equation.free, *equation.contracted)
        axes = [equation.inputs.index(label) for label in order]
        inputs = ops.transpose(inputs, axes)
    rows = ops.convert_to_numpy(inputs)
    yield rows.reshape(-1, features(layer))


def _patches(layer, inputs) -> Iterator[np.ndarray]:
    """The patches under the window, by a convolution that copies them."""
    count = features(layer)
    *window, channels, _ = layer.kernel.shape
    copies = np.eye(count, dtype="float32").reshape(*window, channels, count)
    last = layer.data_format == "channels_last"
    spatial = inputs.shape[1:-1] if last else inputs.shape[2:]
    most = max(1, MOST_NUMBERS // (count * math.prod(spatial)))
    for start in range(0, inputs.shape[0], most):
        patches = ops.conv(
            inputs[start : start + most],
            copies,
            strides=layer.strides,
            padding=layer.padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )
        if not last:
            patches = ops.moveaxis(patches, 1, -1)
        yield ops.convert_to_numpy(patches).reshape(-1, count)


def _equation(layer) -> EinsumEquation:
    ndim = len(layer.get_build_config()["input_shape"])
    return EinsumEquation.parse(layer.equation, ndim)


def heard(layer, hear: Callable[[object], None]) -> AbstractContextManager:
    """Context in which a function hears what a layer is called on.

    Args:
        layer: A Keras layer.
        hear: A function of the layer's first argument.
    """

    def hearing(call):
        def hearing_call(inputs, *args, **kwargs):
            hear(inputs)
            return call(inputs, *args, **kwargs)

        return hearing_call

    return wrapped_call(layer, hearing)
