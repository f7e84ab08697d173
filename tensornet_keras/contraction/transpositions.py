"""Permutations of labels as transpositions of at most six axes."""

from __future__ import annotations

from tensornet_keras.contraction.steps import (
    Groups,
    Labels,
)

MOST_AXES = 6


def one_transposition(
    labels: Labels, goal: Labels
) -> tuple[Groups, tuple[int, ...]]:
    """Groups and axes of one step from `labels` towards `goal`.

    Labels that stay neighbours form one axis. More than six axes are brought
    into order one block at a time, which is a permutation of four.

    Args:
        labels: Labels in the order they have.
        goal: The same labels in the order wanted.
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
