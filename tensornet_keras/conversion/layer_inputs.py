"""Inputs of layers as rows of matrices: what a kernel is multiplied by.

A dense kernel meets the last axis, a convolution's the patches under its
window, an einsum kernel the axes that it sums over, a recurrent one the states.
A table is looked up in.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from tensornet_keras.conversion.moments import Counts, Moments
from tensornet_keras.conversion.rules import equation_of
from tensornet_keras.layer_calls import wrapped_call
from tensornet_keras.surgery.twins import LOOPS, is_table, kernel_variables

# Moments of more features than this would not fit: half a gigabyte.
MOST_FEATURES = 8192
# Numbers in the patches that are gathered at once.
MOST_NUMBERS = 2**25

_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


class Heard(NamedTuple):
    """What was heard of a call.

    Args:
        operands: For each kernel the tensor that it is multiplied by.
        mask: Which steps of a loop count, `(batch, steps)`; `None` for all.
    """

    operands: tuple
    mask: np.ndarray | None = None


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
    if max(features(layer)) > MOST_FEATURES:
        return f"more than {MOST_FEATURES} features"
    return None


def features(layer) -> tuple[int, ...]:
    """How many numbers meet each kernel of a layer.

    Args:
        layer: A layer without an obstacle.
    """
    if isinstance(layer, keras.layers.EinsumDense):
        equation = equation_of(layer)
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


def rows_of(layer, heard: Heard) -> Iterator[Rows]:
    """The rows that a call of a layer multiplies its kernels by.

    Args:
        layer: A layer without an obstacle.
        heard: What was heard of the call.

    Yields:
        A few rows at a time. Steps of a loop that are masked, and the zeros
        of a table that masks them, are left out.
    """
    if is_table(layer):
        numbers = ops.convert_to_numpy(ops.cast(heard.operands[0], "int32"))
        yield Rows(0, numbers[numbers != 0] if layer.mask_zero else numbers)
        return
    for kernel, inputs in enumerate(heard.operands):
        inputs = ops.cast(inputs, "float32")
        if isinstance(layer, _CONVOLUTIONS):
            yield from _patches(layer, inputs)
        elif isinstance(layer, keras.layers.EinsumDense):
            yield from _stacks(layer, inputs)
        else:
            rows = ops.convert_to_numpy(inputs)
            counts = heard.mask
            if counts is not None and kernel and layer.go_backwards:
                # States come in the order of the loop.
                counts = counts[:, ::-1]
            rows = rows if counts is None else rows[counts]
            yield Rows(kernel, rows.reshape(-1, rows.shape[-1]))


def _stacks(layer, inputs) -> Iterator[Rows]:
    """The rows of an einsum kernel, one matrix of its stack after another."""
    equation = equation_of(layer)
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


@contextlib.contextmanager
def heard(layer, hear: Callable[[Heard], None]) -> Iterator[None]:
    """Context in which a function hears what kernels are multiplied by.

    Args:
        layer: A Keras layer.
        hear: A function of what is heard of each call.
    """
    is_loop = isinstance(layer, LOOPS)
    signature = inspect.signature(type(layer).call)

    def hearing(call):
        def hearing_call(*args, **kwargs):
            bound = signature.bind(layer, *args, **kwargs)
            _, inputs, *_ = bound.arguments.values()
            if is_loop:
                given = bound.arguments
                mask = given.get("mask")
                if mask is not None:
                    mask = ops.convert_to_numpy(mask).astype(bool)
                states = _states(layer, partial(call, *args, **kwargs), given)
                hear(Heard((inputs, states), mask))
            else:
                hear(Heard((inputs,)))
            return call(*args, **kwargs)

        return hearing_call

    with contextlib.ExitStack() as stack:
        if is_loop:
            # Two loops that a `Bidirectional` runs as one are not called.
            stack.enter_context(_having(layer, "use_cudnn", False))
        stack.enter_context(wrapped_call(layer, hearing))
        yield


def _states(layer, call: Callable, given: dict):
    """The states in front of every step of a loop."""
    with _having(layer, "return_sequences", True):
        outputs = call()
    if layer.return_state:
        outputs = outputs[0]
    initial = given.get("initial_state")
    if initial is None:
        first = ops.zeros_like(outputs[:, :1])
    else:
        state = keras.tree.flatten(initial)[0]
        first = ops.cast(ops.expand_dims(state, 1), outputs.dtype)
    return ops.concatenate([first, outputs[:, :-1]], 1)


@contextlib.contextmanager
def _having(layer, name: str, value) -> Iterator[None]:
    """Context in which an attribute of a layer has another value."""
    before = getattr(layer, name)
    setattr(layer, name, value)
    try:
        yield
    finally:
        setattr(layer, name, before)
