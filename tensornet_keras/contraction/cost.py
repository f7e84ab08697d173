"""Predicted time of one step, from shapes alone.

Multiply-adds choose badly: thin products run far below the peak rate, and an
intermediate larger than the input costs its bytes. So the time of a step is
the larger of arithmetic and memory traffic, plus a fixed cost per operation.
The rates below are typical; `calibrate` measures those of a device.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Machine:
    """Rates of a device, in one type of numbers.

    Args:
        multiply_adds: Multiply-adds a second of a large matrix product.
        half_long: Rows or columns, whichever are more, at which a product
            runs at half the rate.
        half_short: The same of whichever are fewer.
        half_contracted: The same of the axis that is summed over.
        bytes_moved: Bytes a second read or written in order.
        bytes_cached: The same, of the first `cache_bytes` of a step.
        cache_bytes: Bytes that stay near the processor between two steps.
        bytes_shuffled: `bytes_moved` where the last axis is permuted; the
            first `cache_bytes` are faster by as much as they are in order.
        short_run: Bytes that stay together under a permutation at which the
            time is the mean of moving them and shuffling them.
        launch: Seconds that starting an operation takes.
        stacked: Seconds that each product of a stack takes on top.
        window_adds: Multiply-adds a second of a depthwise convolution.
        itemsize: Bytes of a number.
    """

    multiply_adds: float = 8e10
    half_long: float = 1.0
    half_short: float = 8.0
    half_contracted: float = 6.0
    bytes_moved: float = 1.3e10
    bytes_cached: float = 4e10
    cache_bytes: float = 1.6e7
    bytes_shuffled: float = 6e9
    short_run: float = 128.0
    launch: float = 2e-5
    stacked: float = 3e-8
    window_adds: float = 3e10
    itemsize: float = 4.0

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            number = isinstance(value, (int, float))
            if not number or not math.isfinite(value) or value <= 0:
                raise ValueError(
                    "A rate of a device must be a number above 0. "
                    f"Received: {name}={value!r}. "
                    "Measure the rates with `calibrate`."
                )

    @classmethod
    def from_dict(cls, rates: Mapping[str, float]) -> Machine:
        """A machine from plain data, as `dataclasses.asdict` gives them.

        Args:
            rates: A number for every rate.

        Raises:
            ValueError: If a rate is missing, unknown or not above 0.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(rates, Mapping) or set(rates) != names:
            raise ValueError(
                f"A machine has the rates {', '.join(sorted(names))}. "
                f"Received: rates={rates!r}. "
                "Measure them with `calibrate`."
            )
        return cls(**rates)


CPU = Machine()
# One of a data centre; the arithmetic is that of float32 in TF32 products.
GPU = Machine(
    multiply_adds=1e14,
    half_long=1024.0,
    half_short=128.0,
    half_contracted=64.0,
    bytes_moved=2e12,
    bytes_cached=5e12,
    cache_bytes=3e7,
    bytes_shuffled=1e12,
    short_run=64.0,
    launch=5e-6,
    stacked=1e-9,
    window_adds=1e12,
)


@dataclass(frozen=True)
class Shapes:
    """Kind of a step and the shapes it works on.

    Args:
        kind: `"matmul"` (left, right), `"convolve"` and `"depthwise"`
            (input, kernel, output), `"gather"` (table, output) or `"move"`
            (what is permuted or resized).
        operands: The shapes.
        axes: The permutation of a move; empty if axes are resized.
    """

    kind: Literal["matmul", "convolve", "depthwise", "gather", "move"]
    operands: tuple[tuple[int, ...], ...]
    axes: tuple[int, ...] = ()


def multiply_adds(shapes: Shapes) -> int:
    """Multiplications of a step.

    Args:
        shapes: Kind and shapes of the step.
    """
    if shapes.kind == "matmul":
        stack, rows, contracted, columns = _product(*shapes.operands)
        return stack * rows * contracted * columns
    if shapes.kind in ("convolve", "depthwise"):
        _, kernel, (batch, *positions, _) = shapes.operands
        return batch * math.prod(positions) * math.prod(kernel)
    return 0


def seconds(shapes: Shapes, machine: Machine = CPU) -> float:
    """Predicted time of a step.

    Args:
        shapes: Kind and shapes of the step.
        machine: Rates of the device.
    """
    return _work(shapes, machine) + machine.launch


def training_seconds(shapes: Shapes, machine: Machine = CPU) -> float:
    """Predicted time of a step and of its gradients.

    A product has two more products for gradients, a convolution two more
    convolutions; what is moved is moved back, and rows that were gathered
    are added up in a table.

    Args:
        shapes: Kind and shapes of the step.
        machine: Rates of the device.
    """
    forward = seconds(shapes, machine)
    if shapes.kind == "matmul":
        return forward + _product_gradients(*shapes.operands, machine)
    if shapes.kind == "gather":
        table = math.prod(shapes.operands[0]) * machine.itemsize
        return 2 * forward + _traffic(table, machine)
    if shapes.kind == "move":
        return 2 * forward
    return 3 * forward


def _work(shapes: Shapes, machine: Machine) -> float:
    """Time of a step that has started."""
    if shapes.kind == "matmul":
        lone = len(shapes.operands[0]) != len(shapes.operands[1])
        return _matmul(*_product(*shapes.operands), machine, lone)
    if shapes.kind == "convolve":
        return _convolution(*shapes.operands, machine)
    if shapes.kind == "depthwise":
        return _depthwise(shapes, machine)
    return _move(shapes, machine)


def _product(left, right) -> tuple[int, int, int, int]:
    """(stack, rows, contracted, columns) of a product."""
    stack = max(math.prod(left[:-2]), math.prod(right[:-2]))
    return stack, left[-2], left[-1], right[-1]


def _traffic(size: float, machine: Machine) -> float:
    """Time to read or write so many bytes in order."""
    near = min(size, machine.cache_bytes)
    return near / machine.bytes_cached + (size - near) / machine.bytes_moved


def _matmul(stack, rows, contracted, columns, machine, lone=True) -> float:
    # Both orders of the operands run alike: rows and columns are sorted.
    short, long = sorted((rows, columns))
    rate = machine.multiply_adds
    rate *= long / (long + machine.half_long)
    rate *= short / (short + machine.half_short)
    rate *= contracted / (contracted + machine.half_contracted)
    arithmetic = stack * rows * contracted * columns / rate
    # A lone matrix is read once, however often it is used in a stack.
    numbers = stack * (short * long + contracted * long)
    numbers += (1 if lone else stack) * contracted * short
    traffic = _traffic(numbers * machine.itemsize, machine)
    # A stack is shared out between processors, which is a start of its own.
    overhead = machine.launch + machine.stacked * stack if stack > 1 else 0.0
    return max(arithmetic, traffic) + overhead


def _product_gradients(left, right, machine) -> float:
    """Time of the two products that give the gradients of a product."""
    stack, rows, contracted, columns = _product(left, right)
    lone = len(left) != len(right)
    by_left = _matmul(stack, rows, columns, contracted, machine, False)
    by_right = _matmul(stack, contracted, rows, columns, machine, False)
    added = 0.0
    if lone and stack > 1:
        # The gradients that a stack has for one matrix are added up.
        weight = left if len(left) < len(right) else right
        numbers = (stack + 1) * math.prod(weight)
        added = _traffic(numbers * machine.itemsize, machine) + machine.launch
    return by_left + by_right + added + 2 * machine.launch


def _convolution(inputs, kernel, outputs, machine) -> float:
    *window, channels, filters = kernel
    batch, *positions, _ = outputs
    places = batch * math.prod(positions)
    patch = math.prod(window) * channels
    product = _matmul(1, places, patch, filters, machine)
    moved = math.prod(inputs) + math.prod(outputs)
    if math.prod(window) > 1:
        # The patches of few channels are gathered, not read in order.
        moved += places * patch / min(channels, 4)
    return product + _traffic(moved * machine.itemsize, machine)


def _depthwise(shapes, machine) -> float:
    inputs, _, outputs = shapes.operands
    moved = (math.prod(inputs) + math.prod(outputs)) * machine.itemsize
    arithmetic = multiply_adds(shapes) / machine.window_adds
    return arithmetic + _traffic(moved, machine)


def _move(shapes, machine) -> float:
    """Time to permute or resize, or to gather rows of a table."""
    shape = shapes.operands[-1]
    # An axis of size one may stand anywhere.
    axes = [axis for axis in shapes.axes if shape[axis] > 1]
    if shapes.axes and axes == sorted(axes):
        return 0.0
    size = 2 * math.prod(shape) * machine.itemsize
    last = max(axes, default=len(shape) - 1)
    stays = not axes or axes[-1] == last
    run = shape[last] * machine.itemsize if stays else 0
    together = run / (run + machine.short_run)
    slower = machine.bytes_moved / machine.bytes_shuffled
    return _traffic(size, machine) * (together + (1 - together) * slower)
