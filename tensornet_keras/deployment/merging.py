"""Merging: what a kernel's cores may become once and for all.

The cores that a plan's steps of the input read, merged and in the memory order
in which they are read, are a network of their own. The input meets it by the
same steps, and nothing is left to do among the weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from keras import ops

from tensornet_keras import backend
from tensornet_keras.contraction import Plan, candidates, plan_for
from tensornet_keras.contraction.cost import Machine
from tensornet_keras.contraction.execute import dense_kernel, merged_weights
from tensornet_keras.contraction.plan import FROZEN, INFERENCE
from tensornet_keras.contraction.search import BATCHES
from tensornet_keras.contraction.steps import (
    Convolve,
    Gather,
    Groups,
    Labels,
    Matmul,
    Positions,
    Step,
)
from tensornet_keras.formats import Format, Merged
from tensornet_keras.network import TensorNetwork

# Bonds are padded to multiples of so many numbers, if they grow by no more
# than this share.
VECTOR, MOST_PADDING = 16, 1 / 8
# A merged network whose cores are not yet as its own steps read them is
# merged again; each time, fewer cores are out of order.
MOST_ROUNDS = 3


@dataclass(frozen=True)
class Meeting:
    """One way in which inputs meet a kernel.

    Args:
        network_of: The network that plans see, from a format's.
        batch: Batch size that is planned for, `None` if unknown.
        positions: As in `plan_for`.
        uses: As in `plan_for`.
        rebuild_only: As in `plan_for`.
        machine: The device whose rates predict the time.
        examples: Batch size of the layer, `None` if unknown; the batch may
            be of distinct ids.
        max_memory: As in `plan_for`.
    """

    network_of: Callable[[TensorNetwork], TensorNetwork]
    batch: int | None
    positions: Positions
    uses: int
    rebuild_only: bool
    machine: Machine
    examples: int | None = None
    max_memory: int | None = None

    def plan(self, format: Format) -> Plan:
        """The plan by which inputs meet a kernel of this format.

        Args:
            format: A bound format.
        """
        return plan_for(
            self.network_of(format.network),
            self.batch,
            self.positions,
            self.rebuild_only,
            self.uses,
            mode=FROZEN if isinstance(format, Merged) else INFERENCE,
            machine=self.machine,
            max_memory=self.max_memory,
        )


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a kernel may become, and what it would cost.

    Args:
        format: `Merged` cores, or the source's format for cores that stay
            as they are.
        merges: The plans whose steps among the weights make the cores, one
            after another.
        meetings: The ways in which inputs meet it.
        itemsize: Bytes of a stored number.

    Raises:
        ValueError: If no plan keeps to the memory of a meeting.
    """

    format: Format
    merges: tuple[Plan, ...]
    meetings: tuple[Meeting, ...]
    itemsize: int = 4

    def __post_init__(self):
        # They are made here, not when they are first asked for.
        _ = self.plans

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        """The plan of every meeting."""
        return tuple(meeting.plan(self.format) for meeting in self.meetings)

    @property
    def is_dense(self) -> bool:
        """Whether it is the dense kernel."""
        return isinstance(self.format, Merged) and len(self.format.cores) == 1

    @property
    def is_source(self) -> bool:
        """Whether the cores stay as they are."""
        return not isinstance(self.format, Merged)

    @property
    def numbers(self) -> int:
        """How many numbers are stored."""
        return self.format.num_params

    @property
    def stored_bytes(self) -> int:
        """Bytes of the stored numbers."""
        return self.numbers * self.itemsize

    @property
    def weight_bytes(self) -> int:
        """Bytes of the stored numbers, and as the type of inputs has them."""
        met = int(self.plans[0].machine.itemsize)
        copies = 0 if met == self.itemsize else self.numbers * met
        return self.stored_bytes + copies

    @property
    def peak(self) -> int:
        """Bytes of the largest intermediates, beyond input and output.

        For an unknown batch they are those at the largest one planned for.
        """
        return max(
            plan.peak_bytes_at(plan.batch or BATCHES[-1]) for plan in self.plans
        )

    @property
    def memory(self) -> int:
        """Bytes held while it runs: stored numbers and intermediates."""
        return self.weight_bytes + self.peak

    @cached_property
    def least_peak(self) -> int:
        """The peak of the plans that have the least one."""
        found = self
        while smaller := found.within(found.peak - 1):
            found = smaller
        return found.peak

    def within(self, peak: int) -> Self | None:
        """The same by plans that keep to a peak, `None` if there are none.

        Args:
            peak: Most bytes of intermediates.
        """
        if peak < 0:
            return None
        # A plan without any intermediates keeps to one byte.
        meetings = tuple(
            dataclasses.replace(each, max_memory=max(1, peak))
            for each in self.meetings
        )
        try:
            return dataclasses.replace(self, meetings=meetings)
        except ValueError:
            return None

    def padded(self) -> Self:
        """The same with bonds padded with zeros to what vectors hold.

        Raises:
            ValueError: If no plan keeps to the memory of a meeting.
        """
        if self.is_source:
            return self
        format = self.format.padded(VECTOR, MOST_PADDING)
        return dataclasses.replace(self, format=format)

    def seconds_at(self, batch: int) -> float:
        """Predicted time of all meetings.

        Args:
            batch: The batch size; a plan that has its own keeps it.
        """
        return sum(plan.seconds_at(plan.batch or batch) for plan in self.plans)

    def cores(self, kernel) -> list:
        """The cores' numbers, made of those of a kernel.

        Args:
            kernel: The factorized kernel, which has `cores` and a `format`.
        """
        # A core that is left alone is the layer's own: JAX takes its memory
        # when the layer is trained on.
        if self.is_dense:
            dense = dense_kernel(kernel.format.network, kernel.cores)
            dense = ops.reshape(dense, self.format.core_shapes[0])
            return [backend.copied(dense)]
        cores = [ops.copy(core) for core in kernel.cores]
        for plan in self.merges:
            dtype = kernel.variable_dtype
            operands = merged_weights(plan, cores, dtype)
            shapes = read_shapes(plan)
            cores = [
                ops.reshape(operands[number], shape)
                for number, shape in shapes.items()
            ]
        if self.is_source:
            return cores
        return list(map(_with_zeros, cores, self.format.core_shapes))


def candidates_of(
    format: Format, meetings: tuple[Meeting, ...], itemsize: int = 4
):
    """All that a kernel may become.

    Args:
        format: The kernel's bound format.
        meetings: The ways in which inputs meet it.
        itemsize: Bytes of a stored number.

    Returns:
        A list of `Candidate`: the dense kernel first, the cores as they are,
        then what the plans of every meeting make of them.
    """
    found: dict[Format, tuple[Plan, ...]] = {}
    for meeting in meetings:
        if meeting.rebuild_only:
            continue
        network = meeting.network_of(format.network)
        for plan in candidates(network, meeting.positions):
            if plan.rebuilds:
                continue
            merged, merges = _merged(plan, format, meeting)
            found.setdefault(merged, merges)
    # The source may be merged already.
    pairs = [(Merged.dense(format), ()), (format, ()), *found.items()]
    return [
        Candidate(each, merges, meetings, itemsize) for each, merges in pairs
    ]


def _with_zeros(core, shape: tuple[int, ...]):
    """A core with zeros at the end of the axes that are to be larger."""
    pads = [(0, n - m) for n, m in zip(shape, core.shape, strict=True)]
    return ops.pad(core, pads) if any(map(any, pads)) else core


def _merged(plan: Plan, format: Format, meeting: Meeting):
    """The format of a plan's merged cores, and the plans that merge them."""
    merges = []
    while any(step.weight_only for step in plan.steps) or not merges:
        merges.append(plan)
        cores = tuple(_read(plan).values())
        merged = Merged.of(format, cores)
        network = meeting.network_of(merged.network)
        if not network.settled or len(merges) == MOST_ROUNDS:
            break
        (plan,) = candidates(network, meeting.positions)
    return merged, tuple(merges)


def read_shapes(plan: Plan) -> dict[int, tuple[int, ...]]:
    """Numbers and shapes of the weights that the input's steps read.

    Args:
        plan: A plan that does not rebuild the kernel.
    """
    sizes = plan.network.sizes
    return {
        number: tuple(sizes[label] for label in labels)
        for number, labels in _read(plan).items()
    }


def _read(plan: Plan) -> dict[int, Labels]:
    """Numbers and labels of these weights, in the order of the steps."""
    cores = len(plan.network.cores)
    written = {
        cores + 1 + at for at, x in enumerate(plan.steps) if x.weight_only
    }
    weights = {*range(cores), *written}
    return {
        number: sum(groups, ())
        for step in plan.steps
        if not step.weight_only
        for number, groups in zip(step.operands, _groups(step), strict=False)
        if number in weights
    }


def _groups(step: Step) -> tuple[Groups, ...]:
    """Labels of the operands of a step, in the order of `step.operands`."""
    if isinstance(step, Matmul):
        return step.left, step.right
    if isinstance(step, Convolve):
        return step.inputs, step.kernel
    if isinstance(step, Gather):
        return (step.table,)
    return (step.groups,)
