"""Predicted time of one step, from shapes alone.

Multiply-adds choose badly: thin products run far below the peak rate, and an
intermediate larger than the input costs its bytes. So the time of a step is
the larger of arithmetic and memory traffic, plus a fixed cost per operation.
The rates below are typical of two cores of a server processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Machine:
    """Rates of a device.

    Args:
        multiply_adds: Multiply-adds a second of a large matrix product.
        bytes_moved: Bytes a second read or written in order.
        bytes_shuffled: Bytes a second when axes are permuted.
        launch: Seconds that starting an operation takes.
        stacked: Seconds that each product of a stack takes on top.
        window_adds: Multiply-adds a second of a depthwise convolution.
        thin: Extents of (rows, columns, contracted) at which a product runs
            at half the rate.
        itemsize: Bytes of a number.
        cache_bytes: Bytes that stay near the processor between two steps.
    """

    multiply_adds: float = 6e10
    bytes_moved: float = 1.2e10
    bytes_shuffled: float = 3e9
    launch: float = 1.2e-5
    stacked: float = 1.5e-7
    window_adds: float = 6e9
    thin: tuple[float, float, float] = (8.0, 12.0, 12.0)
    itemsize: int = 4
    cache_bytes: int = 2**20


CPU = Machine()


@dataclass(frozen=True)
class Shapes:
    """Kind of a step and the shapes it works on.

    Args:
        kind: `"matmul"` (left, right), `"convolve"` and `"depthwise"`
            (input, kernel, output), `"gather"` (table, output) or `"move"`
            (what is permuted or resized).
        operands: The shapes.
    """

    kind: Literal["matmul", "convolve", "depthwise", "gather", "move"]
    operands: tuple[tuple[int, ...], ...]


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
    if shapes.kind == "matmul":
        lone = len(shapes.operands[0]) != len(shapes.operands[1])
        return _matmul_seconds(*_product(*shapes.operands), machine, lone)
    if shapes.kind == "convolve":
        return _convolve_seconds(*shapes.operands, machine)
    if shapes.kind == "depthwise":
        return _depthwise_seconds(shapes, machine)
    traffic = 2 * math.prod(shapes.operands[-1]) * machine.itemsize
    return traffic / machine.bytes_shuffled + machine.launch


def training_seconds(shapes: Shapes, machine: Machine = CPU) -> float:
    """Predicted time of a step and of its gradients.

    Args:
        shapes: Kind and shapes of the step.
        machine: Rates of the device.
    """
    forward = seconds(shapes, machine)
    if shapes.kind == "matmul":
        return forward + sum(
            seconds(Shapes("matmul", pair), machine)
            for pair in _gradient_products(*shapes.operands)
        )
    products = shapes.kind in ("convolve", "depthwise")
    return (3 if products else 2) * forward


def _gradient_products(left, right):
    """Shapes of the products that give the gradients of a product."""
    stack, rows, contracted, columns = _product(left, right)
    front = (stack,)
    if len(left) == len(right):
        front = front if len(left) > 2 else ()
        return (
            ((*front, rows, columns), (*front, columns, contracted)),
            ((*front, contracted, rows), (*front, rows, columns)),
        )
    # A lone weight gathers what all products of the stack say of it.
    if len(left) > len(right):
        long = stack * rows
        return (
            ((long, columns), (columns, contracted)),
            ((contracted, long), (long, columns)),
        )
    return (
        ((rows, stack * columns), (stack * columns, contracted)),
        ((contracted, rows), (*front, rows, columns)),
    )


def _product(left, right) -> tuple[int, int, int, int]:
    """(stack, rows, contracted, columns) of a product."""
    stack = max(math.prod(left[:-2]), math.prod(right[:-2]))
    return stack, left[-2], left[-1], right[-1]


def _matmul_seconds(
    stack, rows, contracted, columns, machine, lone=True
) -> float:
    # Both orders of the operands run alike: rows and columns are sorted.
    short, long = sorted((rows, columns))
    extents = (long, short, contracted)
    rate = machine.multiply_adds * math.prod(
        extent / (extent + half)
        for extent, half in zip(extents, machine.thin, strict=True)
    )
    arithmetic = stack * rows * contracted * columns / rate
    numbers = rows * columns + contracted * max(rows, columns)
    traffic = stack * numbers * machine.itemsize / machine.bytes_moved
    # A lone matrix is read once, however often it is used in a stack.
    reads = 1 if lone else stack
    traffic += (
        reads * contracted * short * machine.itemsize / machine.bytes_moved
    )
    overhead = machine.stacked * stack if stack > 1 else 0.0
    return max(arithmetic, traffic) + overhead + machine.launch


def _convolve_seconds(inputs, kernel, outputs, machine) -> float:
    *window, channels, filters = kernel
    batch, *positions, _ = outputs
    places = batch * math.prod(positions)
    patch = math.prod(window) * channels
    product = _matmul_seconds(1, places, patch, filters, machine)
    moved = math.prod(inputs) + math.prod(outputs)
    if math.prod(window) > 1:
        # The patches of few channels are gathered, not read in order.
        moved += places * patch / min(channels, 4)
    return product + moved * machine.itemsize / machine.bytes_moved


def _depthwise_seconds(shapes, machine) -> float:
    inputs, _, outputs = shapes.operands
    moved = (math.prod(inputs) + math.prod(outputs)) * machine.itemsize
    arithmetic = multiply_adds(shapes) / machine.window_adds
    return arithmetic + moved / machine.bytes_moved + machine.launch
