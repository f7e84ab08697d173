"""Inputs of layers as rows of matrices: what a kernel is multiplied by.

A dense kernel meets the last axis, a convolution's the patches under its
window, an einsum kernel the axes that it sums over, a recurrent one the states.
A table is looked up in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from tensornet_keras.conversion.moments import Counts, Moments
from tensornet_keras.layer_calls import wrapped_call
from tensornet_keras.layers.einsum_equation import EinsumEquation
from tensornet_keras.surgery.twins import is_table, kernel_variables

# Moments of more features than this would not fit: half a gigabyte.
MOST_FEATURES = 8192
# Numbers in the patches that are gathered at once.
MOST_NUMBERS = 2**25

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
_LOOPS = (keras.layers.LSTM, keras.layers.GRU)


class Rows(NamedTuple):
    """Rows that a kernel is multiplied by, or row numbers of a table.

    Args:
        kernel: Which of the layer's kernels.
        array: The rows in float32, or the numbers.
        first: The feature that the rows begin with.
    """

    kernel: int
    array: np.ndarray
    first: int = 0


def obstacle(layer) -> str | None:
    """Why the inputs of a layer are not gathered, or `None`.

    Args:
        layer: A built layer that has a factorized twin.
    """
    if isinstance(layer, keras.layers.ReversibleEmbedding):
        return "a table read both ways"
    if is_table(layer):
        return None
    if isinstance(layer, _CONVOLUTIONS) and layer.groups > 1:
        return "groups"
    if isinstance(layer, _LOOPS) and layer.stateful:
        return "states kept between calls"
    if max(features(layer)) > MOST_FEATURES:
        return f"more than {MOST_FEATURES} features"
    return None


def features(layer) -> tuple[int, ...]:
    """How many numbers meet each kernel of a layer.

    Args:
        layer: A layer without an obstacle.
    """
    if isinstance(layer, keras.layers.EinsumDense):
        equation = _equation(layer)
        sizes = dict(zip(equation.kernel, layer.kernel.shape, strict=True))
        labels = (*equation.batch, *equation.contracted)
        return (math.prod(sizes[label] for label in labels),)
    return tuple(
        math.prod(kernel.shape[:-1]) for kernel in kernel_variables(layer)
    )


def no_moments(layer) -> tuple[Moments | Counts, ...]:
    """Moments of the inputs of a layer's kernels, without any rows yet.

    Args:
        layer: A layer without an obstacle.
    """
    kind = Counts if is_table(layer) else Moments
    return tuple(map(kind, features(layer)))


def rows_of(layer, operands: tuple) -> Iterator[Rows]:
    """The rows that a call of a layer multiplies its kernels by.

    Args:
        layer: A layer without an obstacle.
        operands: What was heard of the call.

    Yields:
        A few rows at a time.
    """
    if is_table(layer):
        numbers = ops.convert_to_numpy(ops.cast(operands[0], "int32"))
        yield Rows(0, numbers.reshape(-1))
        return
    for kernel, inputs in enumerate(operands):
        inputs = ops.cast(inputs, "float32")
        if isinstance(layer, _CONVOLUTIONS):
            yield from _patches(layer, inputs)
        elif isinstance(layer, keras.layers.EinsumDense):
            yield from _stacks(layer, inputs)
        else:
            rows = ops.convert_to_numpy(inputs)
            yield Rows(kernel, rows.reshape(-1, rows.shape[-1]))


def _stacks(layer, inputs) -> Iterator[Rows]:
    """The rows of an einsum kernel, one matrix of its stack after another."""
    equation = _equation(layer)
    order = (*equation.batch, *equation.free, *equation.contracted)
    axes = [equation.inputs.index(label) for label in order]
    sizes = dict(zip(equation.kernel, layer.kernel.shape, strict=True))
    count = math.prod(sizes[label] for label in equation.contracted)
    stack = math.prod(sizes[label] for label in equation.batch)
    rows = ops.convert_to_numpy(ops.transpose(inputs, axes))
    for number, each in enumerate(rows.reshape(stack, -1, count)):
        yield Rows(0, each, number * count)


def _patches(layer, inputs) -> Iterator[Rows]:
    """The patches under the window, by a convolution that copies them."""
    (count,) = features(layer)
    *window, channels, _ = layer.kernel.shape
    copies = np.eye(count, dtype="float32").reshape(*window, channels, count)
    last = layer.data_format == "channels_last"
    padding = layer.padding
    if padding == "causal":
        missing = (window[0] - 1) * layer.dilation_rate[0]
        pads = [[0, 0], [missing, 0], [0, 0]] if last else None
        inputs = ops.pad(inputs, pads or [[0, 0], [0, 0], [missing, 0]])
        padding = "valid"
    spatial = inputs.shape[1:-1] if last else inputs.shape[2:]
    most = max(1, MOST_NUMBERS // (count * math.prod(spatial)))
    for start in range(0, inputs.shape[0], most):
        patches = ops.conv(
            inputs[start : start + most],
            copies,
            strides=layer.strides,
            padding=padding,
            data_format=layer.data_format,
            dilation_rate=layer.dilation_rate,
        )
        if not last:
            patches = ops.moveaxis(patches, 1, -1)
        yield Rows(0, ops.convert_to_numpy(patches).reshape(-1, count))


def _equation(layer) -> EinsumEquation:
    ndim = len(layer.get_build_config()["input_shape"])
    return EinsumEquation.parse(layer.equation, ndim)


def heard(layer, hear: Callable[[tuple], None]) -> AbstractContextManager:
    """Context in which a function hears what kernels are multiplied by.

    Args:
        layer: A Keras layer.
        hear: A function of one tensor for each kernel of the layer: its first
            argument, and the states that a recurrent kernel gets.
    """

    def hearing(call):
        def hearing_call(inputs, *args, **kwargs):
            operands = (inputs,)
            if isinstance(layer, _LOOPS):
                operands += (_states(layer, call, inputs, *args, **kwargs),)
            hear(operands)
            return call(inputs, *args, **kwargs)

        return hearing_call

    return wrapped_call(layer, hearing)


def _states(layer, call, inputs, initial_state=None, **kwargs):
    """The states in front of every step of a loop."""
    before = layer.return_sequences
    layer.return_sequences = True
    try:
        outputs = call(inputs, initial_state=initial_state, **kwargs)
    finally:
        layer.return_sequences = before
    if layer.return_state:
        outputs = outputs[0]
    if initial_state is None:
        first = ops.zeros_like(outputs[:, :1])
    else:
        state = keras.tree.flatten(initial_state)[0]
        first = ops.cast(ops.expand_dims(state, 1), outputs.dtype)
    return ops.concatenate([first, outputs[:, :-1]], 1)
