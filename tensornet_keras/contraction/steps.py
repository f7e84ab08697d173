"""Steps of a plan: what one operation reads, and what it makes of it.

A step is made of labels, not of numbers, so that one plan serves any batch.
`BATCH` stands for all leading axes of the input, `before(axis)` and
`after(axis)` for the positions along a spatial axis on either side of the
window, `IN` and `OUT` for the layer's true input and output axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tensornet_keras.contraction import cost
from tensornet_keras.network import TensorNetwork

BATCH = "batch"
IN = "in"
OUT = "out"

Labels = tuple[str, ...]
Groups = tuple[Labels, ...]
# Sizes of the spatial axes before and after the window; for a network without
# a window, the rows per example, twice.
Positions = tuple[tuple[int, ...], tuple[int, ...]]


def before(axis: int) -> str:
    """Label of the positions along a spatial axis that the window slides over.

    Args:
        axis: Number of the spatial axis.
    """
    return f"before{axis}"


def after(axis: int) -> str:
    """Label of the positions along a spatial axis that the window takes.

    Args:
        axis: Number of the spatial axis.
    """
    return f"after{axis}"


@dataclass(frozen=True)
class Step:
    """One operation of a plan.

    Args:
        operands: Numbers of the operands read.
        weight_only: Whether the input has no part in it, so that it can be
            done once for all batches.
    """

    operands: tuple[int, ...]
    weight_only: bool


@dataclass(frozen=True)
class Transpose(Step):
    """A permutation of axes, of at most six after grouping.

    Args:
        groups: The operand's labels, grouped into axes.
        axes: The permutation of these axes.
    """

    groups: Groups
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Matmul(Step):
    """A matrix product, of matrices or of stacks of matrices.

    Args:
        left: Labels of the left operand, grouped into 2 or 3 axes; the first
            of three is a stack.
        right: Labels of the right operand, likewise. Two stacks are the same
            one.
    """

    left: Groups
    right: Groups


@dataclass(frozen=True)
class Convolve(Step):
    """A convolution of the input with a kernel, over some spatial axes.

    Args:
        inputs: Labels of the input: those that ride along with the batch,
            one group per spatial axis, the channels.
        kernel: Labels of the kernel: one group per spatial axis (an empty
            one where it does not slide), contracted channels, new channels.
        axes: The spatial axes over which it slides.
        depthwise: Whether every channel has a window of its own. The last
            group but one of the kernel is then the channels, the last what
            each of them is multiplied into.
    """

    inputs: Groups
    kernel: Groups
    axes: tuple[int, ...]
    depthwise: bool = False


@dataclass(frozen=True)
class Gather(Step):
    """Rows of a table, one per id.

    Args:
        table: Labels of the table: those that ids index, the others.
    """

    table: Groups


@dataclass(frozen=True)
class Resize(Step):
    """Zeros added to, or entries cut from, the end of axes.

    Args:
        groups: The operand's labels, grouped into axes.
        sizes: Labels whose size each axis has afterwards, one group each.
    """

    groups: Groups
    sizes: Groups


def label_sizes(
    network: TensorNetwork, batch: int, positions: Positions
) -> dict[str, int]:
    """Sizes of all labels of a plan of `network`, at one batch size."""
    sizes = {IN: network.input_size, OUT: network.output_size}
    axes = len(network.labels_of("window"))
    rows = 1 if axes else math.prod(positions[0])
    # Positions left out are single ones.
    inner, outer = (side or (1,) * axes for side in positions)
    for axis in range(axes):
        sizes[before(axis)] = inner[axis]
        sizes[after(axis)] = outer[axis]
    return network.sizes | sizes | {BATCH: batch * rows}


def group_sizes(groups: Groups, sizes: dict[str, int]) -> tuple[int, ...]:
    """The shape that groups of labels have."""
    return tuple(math.prod(sizes[label] for label in group) for group in groups)


def step_shapes(step: Step, sizes: dict[str, int]) -> cost.Shapes:
    """The numbers that the cost of a step depends on."""
    if isinstance(step, Matmul):
        left = group_sizes(step.left, sizes)
        right = group_sizes(step.right, sizes)
        return cost.Shapes("matmul", (left, right))
    if isinstance(step, Convolve):
        inputs = group_sizes(step.inputs, sizes)
        kernel = group_sizes(step.kernel, sizes)
        slid = [
            (after(axis),) if axis in step.axes else group
            for axis, group in enumerate(step.inputs[1:-1])
        ]
        channels = math.prod(kernel[-2:]) if step.depthwise else kernel[-1]
        outputs = (inputs[0], *group_sizes(tuple(slid), sizes), channels)
        kind = "depthwise" if step.depthwise else "convolve"
        return cost.Shapes(kind, (inputs, kernel, outputs))
    if isinstance(step, Gather):
        table = group_sizes(step.table, sizes)
        return cost.Shapes("gather", (table, (sizes[BATCH], table[1])))
    axes = step.axes if isinstance(step, Transpose) else ()
    return cost.Shapes("move", (group_sizes(step.groups, sizes),), axes)


def describe(shapes: cost.Shapes) -> str:
    """Shapes of a step on one line."""
    return " @ ".join("x".join(map(str, shape)) for shape in shapes.operands)
