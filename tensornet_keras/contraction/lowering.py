"""Lowering: from an order of contraction to the steps of a plan.

An order is a tuple of trees of cores; each tree is merged (weights only),
and the input meets the merged weights one after another. An activation in
row-major order is never permuted when the contracted labels stand together
in memory: with the labels before them as a stack, the weight multiplies from
the left, `(new, contracted) @ (contracted, rest)`, so that the tensor train
of a matrix, swept from either end, needs no transposition of an activation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tensornet_keras.contraction.plan import (
    AFTER,
    BATCH,
    BEFORE,
    IN,
    OUT,
    Convolve,
    Groups,
    Labels,
    Matmul,
    Resize,
    Step,
    Transpose,
)
from tensornet_keras.network import TensorNetwork

MOST_AXES = 6

# A tree of cores: the number of one, or a pair of trees to be merged.
Tree = int | tuple["Tree", "Tree"]
Order = tuple[Tree, ...]


@dataclass(frozen=True)
class Operand:
    """A tensor on the way: its number, and its labels in memory order."""

    number: int
    labels: Labels
    weight_only: bool


def lower(network: TensorNetwork, order: Order) -> tuple[Step, ...]:
    """The steps that apply `network` to an input in this order.

    Args:
        network: The network to contract.
        order: Trees of core numbers, in the order in which they meet the
            input. A single tree rebuilds the dense kernel.
    """
    lowering = _Lowering(network)
    if len(order) == 1:
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


def left_fold(trees: Iterable[Tree]) -> Tree:
    """The tree that merges these trees one after another.

    Args:
        trees: Numbers of cores, or trees of them.
    """
    first, *rest = trees
    for tree in rest:
        first = (first, tree)
    return first


class _Lowering:
    """Collects the steps of one plan."""

    def __init__(self, network: TensorNetwork):
        self.network = network
        self.steps: list[Step] = []
        self.window = network.labels_of("window")
        self.ins = network.labels_of("in")
        self.outs = network.labels_of("out")
        self.resized = network.weight_shape != network.padded_shape
        self.spatial = (BEFORE,) if self.window else ()
        channels = (IN,) if self.resized else self.ins
        self.input = Operand(
            len(network.cores), (BATCH, *self.spatial, *channels), False
        )

    def merge(self, tree: Tree) -> Operand:
        """Merges a tree of cores into one weight, in canonical order."""
        if isinstance(tree, int):
            return Operand(tree, self.network.cores[tree], True)
        left, right = (self.merge(branch) for branch in tree)
        shared = tuple(x for x in left.labels if x in right.labels)
        rest = _without(left.labels, shared), _without(right.labels, shared)
        left = self.transpose(left, rest[0] + shared)
        right = self.transpose(right, shared + rest[1])
        merged = self._matmul(left, right, (rest[0], shared), (shared, rest[1]))
        return self.transpose(merged, self._canonical(tree, merged.labels))

    def kernel(self, tree: Tree) -> Operand:
        """Merges all cores into the dense weight, cropped to its size."""
        kernel = self.merge(tree)
        kernel = self.transpose(kernel, self.window + self.ins + self.outs)
        if not self.resized:
            return kernel
        window = tuple((label,) for label in self.window)
        return self._resize(
            kernel,
            (*window, self.ins, self.outs),
            (*window, (IN,), (OUT,)),
        )

    def apply_kernel(self, kernel: Operand) -> None:
        """Applies the rebuilt kernel to the input."""
        channels = _without(self.input.labels, (BATCH, BEFORE))
        outs = _without(kernel.labels, self.window + channels)
        if self.window:
            self._convolve(self.input, kernel, channels, outs)
        else:
            self._matmul(
                self.input, kernel, ((BATCH,), channels), (channels, outs)
            )

    def sweep(self, weights: list[Operand]) -> None:
        """Lets the input meet one weight after another."""
        current = self.input
        if self.resized:
            current = self._resize(
                current,
                ((BATCH, *self.spatial), (IN,)),
                ((BATCH, *self.spatial), self.ins),
            )
        for number, weight in enumerate(weights):
            following = weights[number + 1 : number + 2]
            upcoming = following[0].labels if following else ()
            current = self._meet(current, weight, upcoming)
        spatial = (AFTER,) if self.window else ()
        current = self.transpose(current, (BATCH, *spatial, *self.outs))
        if self.resized:
            self._resize(
                current,
                ((BATCH, *spatial), self.outs),
                ((BATCH, *spatial), (OUT,)),
            )

    def transpose(self, operand: Operand, labels: Labels) -> Operand:
        """Brings an operand into another order, six axes at a time."""
        while operand.labels != labels:
            groups, axes = _one_transposition(operand.labels, labels)
            moved = tuple(x for axis in axes for x in groups[axis])
            operand = self._add(
                Transpose((operand.number,), operand.weight_only, groups, axes),
                moved,
            )
        return operand

    def _meet(self, current, weight, upcoming) -> Operand:
        shared = tuple(x for x in current.labels if x in weight.labels)
        new = _without(weight.labels, shared + self.window)
        if any(label in weight.labels for label in self.window):
            kept = _without(current.labels, (BEFORE, *shared))
            current = self.transpose(current, (*kept, BEFORE, *shared))
            weight = self.transpose(weight, self.window + shared + new)
            return self._convolve(current, weight, shared, new)
        count = len(current.labels)
        start = current.labels.index(shared[0]) if shared else count
        if current.labels[start : start + len(shared)] != shared:
            kept = _without(current.labels, shared)
            current = self.transpose(current, kept + shared)
            start = len(kept)
        before = current.labels[:start]
        after = current.labels[start + len(shared) :]
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
        last = max(_leaves(tree))
        bonds = [
            x for x in labels if x not in self.window + self.ins + self.outs
        ]
        right = {
            x
            for x in bonds
            if any(x in core for core in self.network.cores[last + 1 :])
        }
        order = (
            *self.window,
            *(x for x in bonds if x not in right),
            *self.ins,
            *self.outs,
            *(x for x in bonds if x in right),
        )
        return tuple(x for x in order if x in labels)

    def _matmul(self, left, right, left_groups, right_groups) -> Operand:
        operands = (left.number, right.number)
        weight_only = left.weight_only and right.weight_only
        stack = (*left_groups[:-2], *right_groups[:-2])
        labels = sum(stack, ()) + left_groups[-2] + right_groups[-1]
        step = Matmul(operands, weight_only, left_groups, right_groups)
        return self._add(step, labels)

    def _convolve(self, current, kernel, shared, new) -> Operand:
        kept = _without(current.labels, (BEFORE, *shared))
        window = tuple((label,) for label in self.window)
        step = Convolve(
            (current.number, kernel.number),
            False,
            (kept, (BEFORE,), shared),
            (*window, shared, new),
        )
        return self._add(step, (*kept, AFTER, *new))

    def _resize(self, operand, groups: Groups, sizes: Groups) -> Operand:
        step = Resize((operand.number,), operand.weight_only, groups, sizes)
        return self._add(step, sum(sizes, ()))

    def _add(self, step: Step, labels: Labels) -> Operand:
        number = len(self.network.cores) + 1 + len(self.steps)
        self.steps.append(step)
        return Operand(number, labels, step.weight_only)


def _leaves(tree: Tree) -> list[int]:
    if isinstance(tree, int):
        return [tree]
    return [leaf for branch in tree for leaf in _leaves(branch)]


def _without(labels: Labels, removed: Labels) -> Labels:
    return tuple(label for label in labels if label not in removed)


def _one_transposition(
    labels: Labels, goal: Labels
) -> tuple[Groups, tuple[int, ...]]:
    """Groups and axes of one step from `labels` towards `goal`.

    Labels that stay neighbours form one axis. More than six axes are brought
    into order one block at a time, which is a permutation of four.
    """
    position = {label: number for number, label in enumerate(goal)}
    groups: list[Labels] = []
    for label in labels:
        last = groups[-1][-1] if groups else None
        if last is not None and position[label] == position[last] + 1:
            groups[-1] = (*groups[-1], label)
        else:
            groups.append((label,))
    ordered = sorted(groups, key=lambda group: position[group[0]])
    if len(groups) <= MOST_AXES:
        return tuple(groups), tuple(groups.index(group) for group in ordered)
    start = next(
        n
        for n, pair in enumerate(zip(groups, ordered, strict=True))
        if pair[0] != pair[1]
    )
    found = groups.index(ordered[start])
    blocks = (
        groups[:start],
        groups[start:found],
        [groups[found]],
        groups[found + 1 :],
    )
    axes = (0, 2, 1, 3)
    kept = [n for n in range(4) if blocks[n]]
    return (
        tuple(sum(blocks[n], ()) for n in kept),
        tuple(kept.index(axis) for axis in axes if axis in kept),
    )
