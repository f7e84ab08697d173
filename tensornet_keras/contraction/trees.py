"""Trees of cores: which weights are merged, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

# A tree of cores: the number of one, or a pair of trees to be merged.
Tree = int | tuple["Tree", "Tree"]
Order = tuple[Tree, ...]


def left_fold(trees: Iterable[Tree]) -> Tree:
    """The tree that merges these trees one after another.

    Args:
        trees: Numbers of cores, or trees of them.
    """
    first, *rest = trees
    for tree in rest:
        first = (first, tree)
    return first


def as_order(trees) -> Order:
    """An order from nested lists, as JSON holds it.

    Args:
        trees: Numbers of cores, and pairs of such trees.

    Raises:
        ValueError: If it is anything else.
    """

    def tree_of(value) -> Tree:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, (list, tuple)) and len(value) == 2:
            return tuple(map(tree_of, value))
        raise ValueError(
            "An order is made of numbers of cores and of pairs of trees. "
            f"Received: {value!r} in {trees!r}. Let `autotune` find orders."
        )

    return tuple(map(tree_of, trees))


def leaves(tree: Tree) -> list[int]:
    """Numbers of the cores in a tree.

    Args:
        tree: A tree of cores.
    """
    if isinstance(tree, int):
        return [tree]
    return [leaf for branch in tree for leaf in leaves(branch)]
