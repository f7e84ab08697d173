"""Plans: the steps that contract a network with a layer's input.

A plan is made of labels, not of numbers, so that one plan serves any batch.
A step reads operands and writes one: first come the cores, then the input,
then the result of each step. `BATCH` stands for all leading axes of the
input, `before(axis)` and `after(axis)` for the positions along a spatial axis
on either side of the window, `IN` and `OUT` for the layer's true input and
output axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

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


@dataclass(frozen=True)
class Plan:
    """The steps that apply a network to a layer's input, and their cost.

    Print it to read it. `seconds` is the time that the cost model predicts
    for one forward pass, `multiply_adds` counts the multiplications.

    Args:
        network: The network that is contracted.
        title: What kind of plan it is, in words.
        steps: The operations, in order.
        batch: The batch size it was made for; `None` if unknown.
        positions: Sizes of the spatial axes, before and after a convolution;
            for a matrix, twice the rows per example.
        rivals: `(title, seconds)` of the next best candidates.
        uses: How many inputs meet the same weights in one forward pass, as
            in a loop over time. The steps among the weights run once for all
            of them.
    """

    network: TensorNetwork
    title: str
    steps: tuple[Step, ...]
    batch: int | None = None
    positions: Positions = ((), ())
    rivals: tuple[tuple[str, float], ...] = ()
    uses: int = 1

    @property
    def rebuilds(self) -> bool:
        """Whether the dense kernel is rebuilt and then used as it is."""
        meetings = [
            step
            for step in self.steps
            if isinstance(step, (Matmul, Convolve, Gather))
            and not step.weight_only
        ]
        return len(meetings) == 1

    @property
    def shown_batch(self) -> int:
        """The batch that `seconds` and `multiply_adds` speak of."""
        return self.batch or 32

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Size of every label at the shown batch."""
        return label_sizes(self.network, self.shown_batch, self.positions)

    @property
    def multiply_adds(self) -> int:
        """Multiplications of one forward pass at the shown batch."""
        return sum(
            self._runs(step) * self.multiply_adds_of(step)
            for step in self.steps
        )

    def multiply_adds_of(self, step: Step) -> int:
        """Multiplications of one run of a step at the shown batch.

        Args:
            step: A step of this plan.
        """
        return cost.multiply_adds(step_shapes(step, self.sizes))

    @property
    def seconds(self) -> float:
        """Predicted time of one forward pass at the shown batch."""
        return self.seconds_at(self.shown_batch)

    def seconds_at(self, batch: int) -> float:
        """Predicted time of one forward pass.

        Args:
            batch: The batch size.
        """
        sizes = label_sizes(self.network, batch, self.positions)
        return sum(
            self._runs(step) * cost.seconds(step_shapes(step, sizes))
            for step in self.steps
        )

    def _runs(self, step: Step) -> int:
        """How often a step runs in one forward pass."""
        return 1 if step.weight_only else self.uses

    def __str__(self) -> str:
        known = "" if self.batch else ", unknown batch"
        if self.uses > 1:
            known += f", {self.uses} inputs"
        lines = [
            f"{self.title}: {self.multiply_adds:,} multiply-adds, "
            f"{self.seconds * 1e6:,.0f} us predicted at batch "
            f"{self.shown_batch}{known}"
        ]
        for number, step in enumerate(self.steps, start=1):
            shapes = step_shapes(step, self.sizes)
            once = "weights" if step.weight_only else "input"
            lines.append(
                f"{number:3d}  {once:7s}  {type(step).__name__.lower():9s}  "
                f"{describe(shapes):48s}  "
                f"{self.multiply_adds_of(step):>14,}  "
                f"{cost.seconds(shapes) * 1e6:>10,.1f} us"
            )
        lines += [
            f"     instead of {title}: {seconds * 1e6:,.0f} us"
            for title, seconds in self.rivals
        ]
        return "\n".join(lines)


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
    return cost.Shapes("move", (group_sizes(step.groups, sizes),))


def describe(shapes: cost.Shapes) -> str:
    """Shapes of a step on one line."""
    return " @ ".join("x".join(map(str, shape)) for shape in shapes.operands)
