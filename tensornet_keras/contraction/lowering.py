"""Lowering: from an order of contraction to the steps of a plan.

An order is a tuple of trees of cores; each tree is merged (weights only),
and the input meets the merged weights one after another. A label that both
operands have is contracted once nothing to come has it; until then, or when
the output has it, it is a stack of products. An activation in row-major order
is never permuted when the contracted labels stand together in memory: with
the labels before them as a stack, the weight multiplies from the left,
`(new, contracted) @ (contracted, rest)`, so that the tensor train of a
matrix, swept from either end, needs no transposition of an activation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from tensornet_keras.contraction.steps import (
    BATCH,
    IN,
    OUT,
    Convolve,
    Gather,
    Groups,
    Labels,
    Matmul,
    Resize,
    Step,
    Transpose,
    after,
    before,
)
from tensornet_keras.contraction.transpositions import one_transposition
from tensornet_keras.contraction.trees import Order, Tree, leaves, left_fold
from tensornet_keras.network import TensorNetwork

# Keras has depthwise convolutions of one and two axes.
MOST_DEPTHWISE_AXES = 2


class CannotLower(Exception):
    """An order needs an operation that Keras has not."""


@dataclass(frozen=True)
class Operand:
    """A tensor on the way: its number, and its labels in memory order.

    What meets it next goes by the labels of `order`, if there are any: a
    merged weight is permuted once, into what that step reads.
    """

    number: int
    labels: Labels
    weight_only: bool
    order: Labels = ()


def lower(network: TensorNetwork, order: Order) -> tuple[Step, ...]:
    """The steps that apply `network` to an input in this order.

    Args:
        network: The network to contract.
        order: Trees of core numbers, in the order in which they meet the
            input. A single tree rebuilds the dense kernel.

    Raises:
        CannotLower: If the order needs an operation that Keras has not.
    """
    lowering = _Lowering(network)
    if lowering.lookups:
        lowering.look_up([lowering.merge(tree) for tree in order])
    elif len(order) == 1:
        lowering.apply_kernel(lowering.kernel(order[0]))
    else:
        lowering.sweep([lowering.merge(tree) for tree in order])
    return tuple(lowering.steps)


def lower_kernel(network: TensorNetwork) -> tuple[Step, ...]:
    """The steps that contract the cores alone into the dense weight.

    Args:
        network: The network to contract.
    """
    lowering = _Lowering(network)
    lowering.kernel(left_fold(range(len(network.cores))))
    return tuple(lowering.steps)


class _Lowering:
    """Collects the steps of one plan."""

    def __init__(self, network: TensorNetwork):
        self.network = network
        self.steps: list[Step] = []
        self.window = network.labels_of("window")
        self.batch = network.labels_of("batch")
        self.lookups = network.labels_of("lookup")
        self.ins = network.labels_of("in")
        self.outs = network.labels_of("out")
        whole, true = network.padded_shape, network.weight_shape
        self.pads = whole[-2] != true[-2] and not self.lookups
        self.crops = whole[-1] != true[-1]
        axes = range(len(self.window))
        self.spatial = tuple(before(axis) for axis in axes)
        self.slid = tuple(after(axis) for axis in axes)
        # What no meeting contracts.
        self.open = {BATCH, OUT, *self.batch, *self.outs}
        channels = (IN,) if self.pads else self.ins
        labels = (BATCH, *self.spatial, *self.batch, *channels)
        self.input = Operand(len(network.cores), labels, False)

    def merge(self, tree: Tree) -> Operand:
        """Merges a tree of cores into one weight."""
        if isinstance(tree, int):
            return Operand(tree, self.network.cores[tree], True)
        left, right = (self.merge(branch) for branch in tree)
        outside = self._outside(leaves(tree))
        shared = tuple(x for x in left.labels if x in right.labels)
        stack = tuple(x for x in shared if x in outside)
        shared = _without(shared, stack)
        rest = [_without(x.labels, shared + stack) for x in (left, right)]
        left = self.transpose(left, stack + rest[0] + shared)
        right = self.transpose(right, stack + shared + rest[1])
        front = (stack,) if stack else ()
        merged = self._matmul(
            left, right, (*front, rest[0], shared), (*front, shared, rest[1])
        )
        order = self._canonical(tree, merged.labels)
        return dataclasses.replace(merged, order=order)

    def _outside(self, leaves: list[int]) -> set[str]:
        """Labels that are still needed when these cores are merged."""
        others = (
            core
            for number, core in enumerate(self.network.cores)
            if number not in leaves
        )
        legs = {leg.label for leg in self.network.legs}
        return legs.union(*others)

    def kernel(self, tree: Tree) -> Operand:
        """Merges all cores into the dense weight, cropped to its size."""
        kernel = self.merge(tree)
        ins = self.ins or self.lookups
        front = self.window + self.batch
        kernel = self.transpose(kernel, front + ins + self.outs)
        if self.network.weight_shape == self.network.padded_shape:
            return kernel
        # A table of padded rows is cropped too when it is asked for whole.
        cropped = self.network.padded_shape[-2] != self.network.input_size
        sides = ((IN,) if cropped else ins, (OUT,) if self.crops else self.outs)
        grouped = tuple((label,) for label in front)
        return self._resize(
            kernel, (*grouped, ins, self.outs), (*grouped, *sides)
        )

    def apply_kernel(self, kernel: Operand) -> None:
        """Applies the rebuilt kernel to the input."""
        output = self._meet(self.input, kernel, ())
        outs = (OUT,) if self.crops else self.outs
        self.transpose(output, (BATCH, *self.slid, *self.batch, *outs))

    def sweep(self, weights: list[Operand]) -> None:
        """Lets the input meet one weight after another."""
        self._refuse_split_windows(weights)
        current = self.input
        if self.pads:
            rows = (BATCH, *self.spatial, *self.batch)
            current = self._resize(current, (rows, (IN,)), (rows, self.ins))
        self._finish(current, weights)

    def look_up(self, weights: list[Operand]) -> None:
        """Gathers rows of every weight that ids index, and joins them."""
        gathered = [self._gather(weight) for weight in weights]
        self._finish(gathered[0], gathered[1:])

    def _finish(self, current: Operand, weights: list[Operand]) -> None:
        for number, weight in enumerate(weights):
            later = [other.labels for other in weights[number + 1 :]]
            current = self._meet(current, weight, later)
        rows = (BATCH, *self.slid, *self.batch)
        current = self.transpose(current, (*rows, *self.outs))
        if self.crops:
            self._resize(current, (rows, self.outs), (rows, (OUT,)))

    def _refuse_split_windows(self, weights: list[Operand]) -> None:
        for label in self.window:
            if sum(label in weight.labels for weight in weights) > 1:
                raise CannotLower("A window axis slides once.")

    def _gather(self, weight: Operand) -> Operand:
        ids = tuple(x for x in self.lookups if x in weight.labels)
        if not ids:
            return weight
        rest = _without(weight.order or weight.labels, ids)
        weight = self.transpose(weight, ids + rest)
        step = Gather((weight.number, self.input.number), False, (ids, rest))
        return self._add(step, (BATCH, *rest))

    def transpose(self, operand: Operand, labels: Labels) -> Operand:
        """Brings an operand into another order, six axes at a time."""
        while operand.labels != labels:
            groups, axes = one_transposition(operand.labels, labels)
            moved = tuple(x for axis in axes for x in groups[axis])
            operand = self._add(
                Transpose((operand.number,), operand.weight_only, groups, axes),
                moved,
            )
        return operand

    def _meet(self, current, weight, later: Iterable[Labels]) -> Operand:
        """The input, as far as it has come, times one weight.

        Args:
            current: What has become of the input.
            weight: The weight that it meets.
            later: Labels of the weights that it will meet after that.
        """
        later = list(later)
        needed = self.open.union(*later)
        shared = tuple(x for x in current.labels if x in weight.labels)
        stack = tuple(x for x in shared if x in needed)
        shared = _without(shared, stack)
        new = weight.order or weight.labels
        new = _without(new, shared + stack + self.window)
        if any(label in weight.labels for label in self.window):
            return self._slide(current, weight, stack, shared, new)
        if stack:
            return self._stacked(current, weight, stack, shared, new)
        count = len(current.labels)
        start = current.labels.index(shared[0]) if shared else count
        if current.labels[start : start + len(shared)] != shared:
            kept = _without(current.labels, shared)
            current = self.transpose(current, kept + shared)
            start = len(kept)
        before = current.labels[:start]
        after = current.labels[start + len(shared) :]
        upcoming = later[0] if later else ()
        new = self._arranged(new, before, after, upcoming)
        if not after:
            weight = self.transpose(weight, shared + new)
            return self._matmul(
                current, weight, (before, shared), (shared, new)
            )
        weight = self.transpose(weight, new + shared)
        return self._matmul(
            weight, current, (new, shared), (before, shared, after)
        )

    def _stacked(self, current, weight, stack, shared, new) -> Operand:
        """A product for every entry of the labels that both keep."""
        kept = _without(current.labels, stack + shared)
        if current.labels == stack + shared + kept and kept:
            weight = self.transpose(weight, stack + new + shared)
            return self._matmul(
                weight, current, (stack, new, shared), (stack, shared, kept)
            )
        current = self.transpose(current, stack + kept + shared)
        weight = self.transpose(weight, stack + shared + new)
        return self._matmul(
            current, weight, (stack, kept, shared), (stack, shared, new)
        )

    def _slide(self, current, weight, stack, shared, new) -> Operand:
        """The convolution with a weight that has axes of the window."""
        spatial = tuple(
            sorted(
                (x for x in current.labels if x in self.spatial + self.slid),
                key=lambda label: label[-1],
            )
        )
        kept = _without(current.labels, spatial + stack + shared)
        window = tuple(x for x in self.window if x in weight.labels)
        axes = tuple(self.window.index(label) for label in window)
        if stack and (shared or len(self.window) > MOST_DEPTHWISE_AXES):
            raise CannotLower("Keras has no such grouped convolution.")
        channels = stack + shared
        current = self.transpose(current, (*kept, *spatial, *channels))
        weight = self.transpose(weight, window + channels + new)
        step = Convolve(
            (current.number, weight.number),
            False,
            (kept, *((label,) for label in spatial), channels),
            (
                *((x,) if x in window else () for x in self.window),
                channels,
                new,
            ),
            axes,
            bool(stack),
        )
        moved = (after(n) if n in axes else x for n, x in enumerate(spatial))
        return self._add(step, (*kept, *moved, *stack, *new))

    def _arranged(self, new, before, after, upcoming) -> Labels:
        """Puts new bonds on the side where the next weight will meet them."""
        bonds = tuple(x for x in new if x in upcoming)
        rest = _without(new, bonds)
        partners = [x for x in upcoming if x in before and x != BATCH]
        if partners or not any(x in after for x in upcoming):
            return bonds + rest
        return rest + bonds

    def _canonical(self, tree: Tree, labels: Labels) -> Labels:
        """Window, bonds to the left, in legs, out legs, bonds to the right."""
        last = max(leaves(tree))
        legs = {leg.label for leg in self.network.legs}
        bonds = [x for x in labels if x not in legs]
        right = {
            x
            for x in bonds
            if any(x in core for core in self.network.cores[last + 1 :])
        }
        order = (
            *self.window,
            *self.batch,
            *self.lookups,
            *(x for x in bonds if x not in right),
            *self.ins,
            *self.outs,
            *(x for x in bonds if x in right),
        )
        return tuple(x for x in order if x in labels)

    def _matmul(self, left, right, left_groups, right_groups) -> Operand:
        operands = (left.number, right.number)
        weight_only = left.weight_only and right.weight_only
        stack = left_groups[:-2] or right_groups[:-2]
        labels = sum(stack, ()) + left_groups[-2] + right_groups[-1]
        step = Matmul(operands, weight_only, left_groups, right_groups)
        return self._add(step, labels)

    def _resize(self, operand, groups: Groups, sizes: Groups) -> Operand:
        step = Resize((operand.number,), operand.weight_only, groups, sizes)
        return self._add(step, sum(sizes, ()))

    def _add(self, step: Step, labels: Labels) -> Operand:
        number = len(self.network.cores) + 1 + len(self.steps)
        self.steps.append(step)
        return Operand(number, labels, step.weight_only)


def _without(labels: Labels, removed: Labels) -> Labels:
    return tuple(label for label in labels if label not in removed)
