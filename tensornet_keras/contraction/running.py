"""Running: the steps of a plan in `keras.ops`, one after another."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from keras import ops

from tensornet_keras import backend
from tensornet_keras.contraction.plan import Plan
from tensornet_keras.contraction.steps import (
    BATCH,
    IN,
    OUT,
    Convolve,
    Gather,
    Groups,
    Matmul,
    Resize,
    Transpose,
    after,
    before,
)


@dataclass(frozen=True)
class Convolution:
    """How the window of a convolution slides over the input.

    Args:
        strides: Step per spatial axis.
        padding: `"valid"` or `"same"`.
        dilation_rate: Spacing of the kernel's entries per spatial axis.
        data_format: `"channels_last"` or `"channels_first"`.
        groups: Number of channel groups; above 1 only a plan that rebuilds
            the kernel can serve.
    """

    strides: tuple[int, ...]
    padding: str
    dilation_rate: tuple[int, ...]
    data_format: str = "channels_last"
    groups: int = 1


class Run:
    """One execution: the sizes that labels have now."""

    def __init__(self, network, inputs, convolution, moved):
        self.network = network
        self.convolution = convolution
        self.channels_last = moved or (
            convolution is None or convolution.data_format == "channels_last"
        )
        self.dtype = None if inputs is None else inputs.dtype
        # Sizes that are known only when the layer runs.
        self.dynamic_sizes = {}
        self.sizes = network.sizes | {
            IN: network.input_size,
            OUT: network.output_size,
        }
        if inputs is not None:
            self._measure(inputs)

    def steps(self, plan: Plan, weights: list, inputs=None):
        """Runs the steps not yet run; returns what the last one wrote."""
        cores = len(plan.network.cores)
        operands = [*weights[:cores], inputs]
        for number, step in enumerate(plan.steps, cores + 1):
            if step.weight_only and number < len(weights):
                operands.append(weights[number])
                continue
            values = [operands[n] for n in step.operands]
            operands.append(self.run(step, values))
        used = operands[-1]
        return operands[0] if used is None else used

    def shape(self, groups: Groups) -> tuple:
        """The shape of grouped labels, with -1 for one unknown axis."""
        shape = [self._size(group) for group in groups]
        unknown = [n for n, size in enumerate(shape) if size is None]
        for number in unknown[1:]:
            shape[number] = self._dynamic_size(groups[number])
        if unknown:
            shape[unknown[0]] = -1
        return tuple(shape)

    def _measure(self, inputs) -> None:
        """Reads the sizes of the batch and of the spatial axes."""
        shape, dynamic = inputs.shape, ops.shape(inputs)
        if self.convolution is None:
            rows = len(shape)
            if not self.network.labels_of("lookup"):
                rows -= 1 + len(self.network.labels_of("batch"))
            self.leading = dynamic[:rows]
            self.dynamic_sizes[BATCH] = dynamic[:rows]
            self.sizes[BATCH] = _known_product(shape[:rows])
            if sum(size is None for size in shape[:rows]) == 1:
                known = (-1 if size is None else size for size in shape[:rows])
                self.leading = tuple(known)
            return
        self.sizes[BATCH] = shape[0]
        self.dynamic_sizes[BATCH] = dynamic[:1]
        first = 1 if self.channels_last else 2
        for axis in range(len(shape) - 2):
            self.sizes[before(axis)] = shape[first + axis]
            here = slice(first + axis, first + axis + 1)
            self.dynamic_sizes[before(axis)] = dynamic[here]

    def _size(self, group) -> int | None:
        sizes = [self.sizes[label] for label in group]
        return _known_product(sizes)

    def _dynamic_size(self, group):
        size = 1
        for label in group:
            known = self.sizes[label]
            if known is None:
                known = math.prod(self.dynamic_sizes[label])
            size = size * known
        return size

    def run(self, step, values):
        """What one step makes of the values that it reads."""
        if isinstance(step, Matmul):
            left, right = self._same_type(values, step)
            shapes = _without_lone_stacks(
                self.shape(step.left), self.shape(step.right)
            )
            left, right = map(ops.reshape, (left, right), shapes)
            if not step.weight_only and len(shapes[0]) < len(shapes[1]):
                return _one_times_stack(left, right)
            return ops.matmul(left, right)
        if isinstance(step, Convolve):
            return self._convolve(step, *self._same_type(values, step))
        if isinstance(step, Gather):
            return self._gather(step, *values)
        if isinstance(step, Resize):
            return self._resize(step, *values)
        if isinstance(step, Transpose):
            grouped = ops.reshape(values[0], self.shape(step.groups))
            return ops.transpose(grouped, step.axes)
        raise TypeError(f"A plan has no such step. Received: {step!r}.")

    def _same_type(self, values, step):
        """Weights meet the input in the input's type."""
        if step.weight_only:
            return values
        return [ops.cast(value, self.dtype) for value in values]

    def _convolve(self, step, inputs, kernel):
        how = self.convolution
        if self.channels_last and how.groups == 1:
            inputs = ops.reshape(inputs, self.shape(step.inputs))
        kernel = ops.reshape(kernel, self.shape(step.kernel))
        slide = depthwise(inputs) if step.depthwise else ops.conv
        output = slide(
            inputs,
            kernel,
            strides=self._along(step, how.strides),
            padding=how.padding,
            data_format=(
                "channels_last" if self.channels_last else "channels_first"
            ),
            dilation_rate=self._along(step, how.dilation_rate),
        )
        first = 1 if self.channels_last else 2
        for axis in step.axes:
            self.sizes[after(axis)] = output.shape[first + axis]
            here = slice(first + axis, first + axis + 1)
            self.dynamic_sizes[after(axis)] = ops.shape(output)[here]
        return output

    def _along(self, step, values):
        """A setting of the window on the axes of this step, else 1."""
        return tuple(
            value if axis in step.axes else 1
            for axis, value in enumerate(values)
        )

    def _gather(self, step, table, ids):
        """Rows of the table, by those digits of the ids that index it."""
        rows = self.shape((step.table[0],))[0]
        table = ops.reshape(table, (rows, *self.shape((step.table[1],))))
        ids = ops.reshape(ids, (-1,))
        labels = self.network.labels_of("lookup")
        index = ops.zeros_like(ids)
        for label in step.table[0]:
            below = labels[labels.index(label) + 1 :]
            place = math.prod(self.sizes[x] for x in below)
            digit = ops.mod(ops.floor_divide(ids, place), self.sizes[label])
            index = index * self.sizes[label] + digit
        # The rows that pad a table are no rows of it: an id of theirs must
        # be refused like any other that is out of range.
        known = ops.logical_and(ids >= 0, ids < self.network.input_size)
        index = ops.where(known, index, rows)
        return ops.cast(ops.take(table, index, axis=0), self.dtype)

    def _resize(self, step, value):
        value = ops.reshape(value, self.shape(step.groups))
        before = [self._size(group) for group in step.groups]
        after = [self._size(group) for group in step.sizes]
        if all(
            b is None or a <= b for a, b in zip(after, before, strict=True) if a
        ):
            return value[
                tuple(
                    slice(None) if a == b else slice(a)
                    for a, b in zip(after, before, strict=True)
                )
            ]
        return ops.pad(
            value,
            [
                (0, 0) if a == b else (0, a - b)
                for a, b in zip(after, before, strict=True)
            ],
        )


def _without_lone_stacks(*shapes) -> list[tuple]:
    """Shapes of two matrices where those of a stack of one were given.

    A stack takes TensorFlow longer to start, whatever it holds.
    """
    if all(len(shape) < 3 or shape[0] == 1 for shape in shapes):
        return [shape[-2:] for shape in shapes]
    return list(shapes)


def _one_times_stack(matrix, stack):
    """A matrix times every one of a stack, `(n, k) @ (stack, k, m)`.

    TensorFlow's gradient of the matrix is a stack of matrices, one for every
    product, and their sum. XLA runs that several times slower than a single
    product that contracts the stack too.
    """
    if backend.name() != "tensorflow" or not backend.compiles_by_xla():
        return ops.matmul(matrix, stack)

    @ops.custom_gradient
    def product(matrix, stack):
        def gradients(*arguments, upstream=None):
            slope = arguments[0] if upstream is None else upstream
            rows = [
                ops.reshape(ops.transpose(x, (0, 2, 1)), (-1, x.shape[1]))
                for x in (slope, stack)
            ]
            return (
                ops.matmul(ops.transpose(rows[0]), rows[1]),
                ops.matmul(ops.transpose(matrix), slope),
            )

        return ops.matmul(matrix, stack), gradients

    return product(matrix, stack)


def _known_product(sizes) -> int | None:
    """The product of sizes, or `None` if one of them is unknown."""
    return None if any(size is None for size in sizes) else math.prod(sizes)


def depthwise(inputs):
    """The depthwise convolution that is fast here, as `ops.depthwise_conv`.

    On a CPU, XLA runs a depthwise convolution several times slower than a
    sum of shifted products, which it fuses.

    Args:
        inputs: What it is to slide over.
    """
    known = None not in inputs.shape[1:]
    # Whether there is an accelerator takes longest to tell.
    slow = known and backend.compiles_by_xla()
    if slow and backend.accelerator() is None:
        return _sum_of_shifts
    return ops.depthwise_conv


def _sum_of_shifts(
    inputs, kernel, strides, padding, data_format, dilation_rate
):
    """A depthwise convolution, channels last, entry by entry of the window."""
    del data_format
    *window, channels, multiplier = kernel.shape
    axes = tuple(
        zip(inputs.shape[1:-1], window, strides, dilation_rate, strict=True)
    )
    sizes = [_positions(padding, *axis) for axis in axes]
    if padding == "same":
        pads = [
            max(0, (count - 1) * stride + (size - 1) * dilation + 1 - extent)
            for count, (extent, size, stride, dilation) in zip(
                sizes, axes, strict=True
            )
        ]
        pads = [(pad // 2, pad - pad // 2) for pad in pads]
        inputs = ops.pad(inputs, ((0, 0), *pads, (0, 0)))
    inputs = ops.expand_dims(inputs, -1)
    total = 0
    for entry in itertools.product(*map(range, window)):
        where = tuple(
            slice(
                start * dilation,
                start * dilation + (count - 1) * stride + 1,
                stride,
            )
            for start, count, (_, _, stride, dilation) in zip(
                entry, sizes, axes, strict=True
            )
        )
        total = total + inputs[(slice(None), *where)] * kernel[entry]
    shape = (-1, *sizes, channels * multiplier)
    return ops.reshape(total, shape)


def _positions(padding, extent, size, stride, dilation) -> int:
    """How many positions a window takes along an axis."""
    if padding == "valid":
        extent -= (size - 1) * dilation
    return -(-extent // stride)
