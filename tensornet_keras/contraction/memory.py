"""Memory that a plan takes beyond its input, its cores and its output.

Numbers are counted, of what is alive at the same time: an intermediate from
the step that writes it to the last one that reads it. With gradients, what a
product or a convolution reads is kept for the way back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tensornet_keras.contraction.steps import (
    BATCH,
    Convolve,
    Gather,
    Matmul,
    Resize,
    Step,
    after,
    before,
    group_sizes,
    step_shapes,
)
from tensornet_keras.network import TensorNetwork


@dataclass(frozen=True)
class Traffic:
    """A step as memory sees it: what it reads and how much it writes.

    Args:
        reads: Numbers of the operands read.
        writes: How many numbers it writes.
        keeps: Whether its gradient needs what it read.
    """

    reads: tuple[int, ...]
    writes: int
    keeps: bool


def written(step: Step, sizes: dict[str, int]) -> int:
    """How many numbers a step writes.

    Args:
        step: A step of a plan.
        sizes: Size of every label.
    """
    if isinstance(step, Matmul):
        left, right = (
            group_sizes(groups, sizes) for groups in (step.left, step.right)
        )
        stack = max(math.prod(left[:-2]), math.prod(right[:-2]))
        return stack * left[-2] * right[-1]
    if isinstance(step, (Convolve, Gather)):
        return math.prod(step_shapes(step, sizes).operands[-1])
    groups = step.sizes if isinstance(step, Resize) else step.groups
    return math.prod(group_sizes(groups, sizes))


def traffic(
    steps: Sequence[Step], sizes: dict[str, int], given: int, wide: int = 1
) -> list[Traffic]:
    """The steps of a plan as memory sees them.

    Args:
        steps: The steps, in order.
        sizes: Size of every label.
        given: How many operands there are before the first step.
        wide: How many numbers of the input's type one of the weights takes,
            2 where they are merged in float32 and met in 16 bits.
    """
    met = {n for step in steps if not step.weight_only for n in step.operands}
    found = []
    for at, step in enumerate(steps):
        writes = written(step, sizes)
        if step.weight_only and wide > 1:
            # What the input meets is there in its type too.
            writes *= wide + (given + at in met)
        keeps = isinstance(step, (Matmul, Convolve, Gather))
        found.append(Traffic(step.operands, writes, keeps))
    return found


def ends(network: TensorNetwork, sizes: dict[str, int]) -> tuple[int, int]:
    """How many numbers the input and the output have.

    Args:
        network: The network of a plan.
        sizes: Size of every label.
    """
    rows = sizes[BATCH] * math.prod(
        sizes[label] for label in network.labels_of("batch")
    )
    axes = range(len(network.labels_of("window")))
    inner, outer = (
        math.prod(sizes[side(axis)] for axis in axes)
        for side in (before, after)
    )
    entries = 1 if network.labels_of("lookup") else network.input_size
    return rows * inner * entries, rows * outer * network.output_size


def forward_peak(steps: Sequence[Traffic], given: int) -> int:
    """Most numbers alive at once in a forward pass.

    Args:
        steps: The steps, in order.
        given: How many operands there are before the first step; they are
            not counted, nor is what the last step writes.
    """
    last_read = {n: at for at, step in enumerate(steps) for n in step.reads}
    size = {given + at: step.writes for at, step in enumerate(steps)}
    if size:
        size[given + len(steps) - 1] = 0
    alive = peak = 0
    for at, step in enumerate(steps):
        alive += size[given + at]
        peak = max(peak, alive)
        alive -= sum(
            size.get(n, 0) for n in set(step.reads) if last_read[n] == at
        )
    return peak


def training_peak(steps: Sequence[Traffic], given: int) -> int:
    """Most numbers alive at once in a forward and a backward pass.

    Args:
        steps: The steps, in order.
        given: How many operands there are before the first step; they are
            not counted, nor their gradients, nor the output and its own.
    """
    size = {given + at: step.writes for at, step in enumerate(steps)}
    if size:
        size[given + len(steps) - 1] = 0
    first_kept = {}
    for at, step in enumerate(steps):
        for n in step.reads if step.keeps else ():
            first_kept.setdefault(n, at)
    kept = sum(size.get(n, 0) for n in first_kept)
    # On the way back an operand's gradient joins it until it is passed on.
    peak, gradients = kept + max(size.values(), default=0), set()
    for at in reversed(range(len(steps))):
        read = set(steps[at].reads)
        gradients |= read
        peak = max(peak, kept + sum(size.get(n, 0) for n in gradients))
        gradients.discard(given + at)
        kept -= sum(size.get(n, 0) for n in read if first_kept.get(n) == at)
    return peak
