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


def leaves(tree: Tree) -> list[int]:
    """Numbers of the cores in a tree.

    Args:
        tree: A tree of cores.
    """
    if isinstance(tree, int):
        return [tree]
    return [leaf for branch in tree for leaf in leaves(branch)]
