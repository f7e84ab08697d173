"""Plans: the steps that contract a network with a layer's input.

A step reads operands and writes one: first come the cores, then the input,
then the result of each step.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

from tensornet_keras.contraction import cost, memory
from tensornet_keras.contraction.steps import (
    Convolve,
    Gather,
    Matmul,
    Positions,
    Step,
    describe,
    label_sizes,
    step_shapes,
)
from tensornet_keras.contraction.trees import Order
from tensornet_keras.network import TensorNetwork

# Bytes of a number at least, in the steps among the weights.
WEIGHTS_ITEMSIZE = 4
INFERENCE, TRAINING, FROZEN = MODES = ("inference", "training", "frozen")


@dataclass(frozen=True)
class Plan:
    """The steps that apply a network to a layer's input, and their cost.

    Print it to read it. `seconds` is the time that the cost model predicts
    for one pass, `multiply_adds` counts the multiplications of the way
    forward.

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
        order: The trees of cores in the order in which they meet the input.
        mode: What it is made for: `"inference"`, `"training"` (the way back
            counts too) or `"frozen"` (what is done among the weights is done
            already).
        machine: The device whose rates predict the time.
        tiles: Into how many parts the batch is cut, of one size but for the
            last; the input's steps run part by part.
        ranges: `(batch, plan)`: which plan is taken from which batch on,
            where the batch is known only when the layer runs and no plan is
            good for all; the first begins at 1. Where there are no branches,
            this plan itself is taken whatever the batch.
        tuned: Whether it was measured to be the fastest, not predicted.
    """

    network: TensorNetwork
    title: str
    steps: tuple[Step, ...]
    batch: int | None = None
    positions: Positions = ((), ())
    rivals: tuple[tuple[str, float], ...] = ()
    uses: int = 1
    order: Order = ()
    mode: str = INFERENCE
    machine: cost.Machine = cost.CPU
    tiles: int = 1
    ranges: tuple[tuple[int, Plan], ...] = ()
    tuned: bool = False

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

    def at(self, batch: int) -> Plan:
        """The plan that a batch takes: this one, or that of its range.

        Args:
            batch: The batch size.
        """
        plans = [plan for first, plan in self.ranges if first <= batch]
        return plans[-1] if plans else self

    @property
    def full_title(self) -> str:
        """The title, and into how many parts the batch is cut."""
        parts = f", in {self.tiles} parts" if self.tiles > 1 else ""
        return self.title + parts

    @property
    def shown_batch(self) -> int:
        """The batch that `seconds` and `multiply_adds` speak of."""
        return self.batch or 32

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Size of every label at the shown batch, in one part of it."""
        return self._sizes_at(self.shown_batch)

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
        """Predicted time of one pass at the shown batch."""
        return self.seconds_at(self.shown_batch)

    def seconds_at(self, batch: int) -> float:
        """Predicted time of one pass: forward, or in training both ways.

        Args:
            batch: The batch size.
        """
        plan = self.at(batch)
        if plan is not self:
            return plan.seconds_at(batch)
        sizes = self._sizes_at(batch)
        return sum(
            self._runs(step) * self.seconds_of(step, sizes)
            for step in self.steps
        )

    def seconds_of(self, step: Step, sizes: dict[str, int]) -> float:
        """Predicted time of one run of a step.

        Args:
            step: A step of this plan.
            sizes: Size of every label.
        """
        shapes = step_shapes(step, sizes)
        if self.mode == TRAINING:
            return cost.training_seconds(shapes, self.machine)
        return cost.seconds(shapes, self.machine)

    @property
    def peak_bytes(self) -> int:
        """Predicted memory beyond input and output at the shown batch."""
        return self.peak_bytes_at(self.shown_batch)

    def peak_bytes_at(self, batch: int) -> int:
        """Predicted memory of one pass beyond its input and its output.

        What is merged among the weights counts too, the cores do not. Of a
        batch in parts, the copy of one part and the outputs of all count. In
        training it is what is kept for the way back and the gradients there.

        Args:
            batch: The batch size.
        """
        plan = self.at(batch)
        if plan is not self:
            return plan.peak_bytes_at(batch)
        given = len(self.network.cores) + 1
        training = self.mode == TRAINING
        # Every part of the batch is kept for the way back.
        sizes = label_sizes(
            self.network,
            batch if training else -(-batch // self.tiles),
            self.positions,
        )
        itemsize = int(self.machine.itemsize)
        wide = max(1, WEIGHTS_ITEMSIZE // itemsize)
        steps = memory.traffic(self.steps, sizes, given, wide)
        if training:
            return itemsize * memory.training_peak(steps, given)
        peak = memory.forward_peak(steps, given)
        if self.tiles > 1:
            part, output = memory.ends(self.network, sizes)
            peak += part + self.tiles * output
        return itemsize * peak

    def _sizes_at(self, batch: int) -> dict[str, int]:
        """Sizes of all labels in one part of a batch."""
        part = -(-batch // self.tiles)
        return label_sizes(self.network, part, self.positions)

    def _runs(self, step: Step) -> int:
        """How often a step runs in one pass."""
        if step.weight_only:
            return 0 if self.mode == FROZEN else 1
        return self.uses * self.tiles

    @property
    def _how_found(self) -> str:
        return ", autotuned" if self.tuned else ""

    def __str__(self) -> str:
        # The steps below are this plan's, whatever others its ranges name.
        alone = dataclasses.replace(self, ranges=())
        lines = [
            f"{self.full_title}{self._how_found}: "
            f"{self.multiply_adds:,} multiply-adds, "
            f"{alone.seconds * 1e6:,.0f} us predicted, "
            f"{alone.peak_bytes:,} bytes at batch "
            f"{self.shown_batch}{self._circumstances()}"
        ]
        for number, step in enumerate(self.steps, start=1):
            shapes = step_shapes(step, self.sizes)
            once = "weights" if step.weight_only else "input"
            lines.append(
                f"{number:3d}  {once:7s}  {type(step).__name__.lower():9s}  "
                f"{describe(shapes):48s}  "
                f"{self.multiply_adds_of(step):>14,}  "
                f"{self.seconds_of(step, self.sizes) * 1e6:>10,.1f} us"
            )
        lines += [
            f"     instead of {title}: {seconds * 1e6:,.0f} us"
            for title, seconds in self.rivals
        ]
        lines += [
            f"     from batch {batch} on: {plan.full_title}{plan._how_found}"
            for batch, plan in self.ranges
        ]
        return "\n".join(lines)

    def _circumstances(self) -> str:
        """What the plan was made for, as far as it is out of the ordinary."""
        parts = [
            "" if self.batch else "unknown batch",
            f"{self.uses} inputs" if self.uses > 1 else "",
            "" if self.mode == INFERENCE else self.mode,
        ]
        return "".join(f", {part}" for part in parts if part)
