"""A network's cores by successive SVDs along a tree that spans it.

For a network without loops this is the hierarchical SVD (Grasedyck 2010,
"Hierarchical Singular Value Decomposition of Tensors", SIAM J. Matrix Anal.
Appl. 31(4)): leaves first, one truncated SVD for each bond, exact at full
rank. In a network with loops the bonds outside the tree keep a size of 1, so
that the tree alone stands for the weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.svd import (
    smallest_rank,
    split,
    truncated_svd,
)
from tensornet_keras.decomposition.unfolding import Unfolding
from tensornet_keras.network import TensorNetwork


@dataclass(frozen=True)
class Step:
    """What is split off when a core leaves the rest of the network.

    Args:
        core: Number of the core.
        bond: The bond that joins it to the rest, `None` where only a leg
            does.
        batch: Legs that the core and the rest both keep.
        rows: Legs and links that the core takes with it.
        columns: Legs and links of the rest, without the batch.
    """

    core: int
    bond: str | None
    batch: tuple[str, ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class SpanningTree:
    """In which order cores are split off, until the root is left.

    A bond of several children is as many *links*, one for each: its index
    counts through all theirs.

    Args:
        network: The network.
        root: The core that is left.
        steps: One for each other core, in order.
        heads: For every bond, the core above it and its children.
    """

    network: TensorNetwork
    root: int
    steps: tuple[Step, ...]
    heads: dict[str, tuple[int, tuple[int, ...]]] = field(repr=False)

    def full_links(self) -> dict[int, int]:
        """Size of the link of each core but the root, nothing dropped."""
        sizes = dict(self.network.sizes)
        links = {}
        for step in self.steps:
            sides = (step.rows, step.columns)
            counts = [math.prod(sizes[x] for x in side) for side in sides]
            links[step.core] = 1 if step.bond is None else min(counts)
            sizes[link(step.core)] = links[step.core]
        return links

    def bond_sizes(self, links: dict[int, int]) -> dict[str, int]:
        """Size of every bond that holds these links.

        Args:
            links: Size of the link of each core but the root.
        """
        return {
            bond: math.prod(links[child] for child in self.heads[bond][1])
            for bond, _ in self.network.bonds
        }

    def links_within(self, bonds: dict[str, int]) -> dict[int, int]:
        """Sizes of links that fit bonds of these sizes.

        Args:
            bonds: Size of every bond.
        """
        full = self.full_links()
        found = dict.fromkeys(full, 1)
        for bond, (_, children) in self.heads.items():
            room = bonds[bond]
            # The smallest first: what they leave goes to the others.
            order = sorted(children, key=full.get)
            for count, child in zip(
                range(len(order), 0, -1), order, strict=True
            ):
                share = room if count == 1 else _root(room, count)
                if math.prod(full[c] for c in order[-count:]) <= room:
                    share = full[child]
                found[child] = min(share, full[child])
                room //= found[child]
        return found


def link(core: int) -> str:
    """Label of the bond between a core and what is above it.

    Args:
        core: Number of the core. No label of a network has a blank.
    """
    return f"link {core}"


def spanning_tree(network: TensorNetwork, limits: dict[str, int]):
    """The tree whose full rank exceeds the limits of the bonds least.

    Args:
        network: The network.
        limits: The largest size of every bond.
    """

    def excess(tree: SpanningTree) -> float:
        needed = tree.bond_sizes(tree.full_links())
        return sum(
            max(0.0, math.log(size / limits[bond]))
            for bond, size in needed.items()
        )

    roots = reversed(range(len(network.cores)))
    return min((_rooted(network, root) for root in roots), key=excess)


def _rooted(network: TensorNetwork, root: int) -> SpanningTree:
    above, heads = _visited(network, root)
    left = list(range(len(network.cores)))
    open_labels = list(network.weight_labels)
    legs = set(open_labels)
    steps = []
    for core, (parent, bond) in reversed(above.items()):
        left.remove(core)
        rest = set().union(*(network.cores[other] for other in left))
        own = legs & set(network.cores[core])
        children = {link(c) for c, (p, _) in above.items() if p == core}
        rows = {label for label in own if label not in rest} | children
        # A leg that goes on elsewhere but not above is left to the rest.
        batch = own & rest & set(network.cores[parent])
        steps.append(
            Step(
                core,
                bond,
                tuple(x for x in open_labels if x in batch),
                tuple(x for x in open_labels if x in rows),
                tuple(x for x in open_labels if x not in batch | rows),
            )
        )
        open_labels = [link(core)] + [x for x in open_labels if x not in rows]
    return SpanningTree(network, root, tuple(steps), heads)


def _visited(network: TensorNetwork, root: int):
    """Cores by distance from the root, and how each is reached.

    Returns:
        For every core but the root, the core above it and the bond between;
        for every bond, the core above it and its children.
    """
    cores = network.cores
    bonds = [label for label, _ in network.bonds]
    above: dict[int, tuple[int, str | None]] = {}
    heads: dict[str, tuple[int, tuple[int, ...]]] = {}
    queue = [root]
    for core in queue:
        for bond in (x for x in cores[core] if x in bonds and x not in heads):
            children = tuple(
                k for k, c in enumerate(cores) if bond in c and k not in queue
            )
            heads[bond] = (core, children)
            above.update((child, (core, bond)) for child in children)
            queue.extend(children)
        if core == queue[-1] and len(queue) < len(cores):
            # Only a leg joins what is left: a product, a link of 1.
            child, parent = next(
                (k, p)
                for k, c in enumerate(cores)
                for p in queue
                if k not in queue and not set(c).isdisjoint(cores[p])
            )
            above[child] = (parent, None)
            queue.append(child)
    return above, heads


def spanning_cores(
    tensor: np.ndarray,
    tree: SpanningTree,
    links: dict[int, int] | None,
    tail: float | None = None,
):
    """Cores that stand for a tensor by the bonds of a tree.

    Args:
        tensor: One axis per open leg of the tree's network.
        tree: The order of the splits.
        links: Largest size of each link. `None` sets no limit.
        tail: Largest norm that one split may drop. `None` drops only what
            the limits demand.

    Returns:
        The cores, the size of every bond, and the norm that they keep.
    """
    rest, labels = tensor, list(tree.network.weight_labels)
    bases, found = {}, {}
    for step in tree.steps:
        limit = 1 if step.bond is None else (links or {}).get(step.core)
        axes = [
            labels.index(x) for x in (*step.batch, *step.rows, *step.columns)
        ]
        base, rest = _split(
            rest.transpose(axes), len(step.batch), len(step.rows), limit, tail
        )
        found[step.core] = base.shape[-1]
        bases[step.core] = (
            base,
            [*step.batch, *step.rows, link(step.core)],
        )
        labels = [*step.batch, link(step.core), *step.columns]
    bases[tree.root] = (rest, labels)
    sizes = tree.network.sizes | tree.bond_sizes(found)
    parents = {step.core: step.bond for step in tree.steps}
    cores = [
        _placed(*bases[core], core, parents.get(core), tree, found, sizes)
        for core in range(len(tree.network.cores))
    ]
    # All cores but the root are orthonormal.
    kept = frobenius_norm(np.ascontiguousarray(rest))
    return cores, tree.bond_sizes(found), kept


def _split(tensor, batch: int, rows: int, limit, tail):
    """`base[batch, rows, k]` and `rest[batch, k, columns]`."""
    if not batch:
        basis, rest = split(Unfolding(tensor, rows), limit, tail)
        return basis.reshape(*tensor.shape[:rows], -1), rest
    shape = tensor.shape
    heights = (math.prod(shape[:batch]), math.prod(shape[batch:][:rows]))
    stack = [
        truncated_svd(matrix)
        for matrix in tensor.reshape(*heights, -1).astype(np.float64)
    ]
    spectrum = np.sqrt(sum(np.square(values) for _, values, _ in stack))
    rank = smallest_rank(spectrum, limit, tail)
    base = np.stack([u[:, :rank] for u, _, _ in stack])
    rest = np.stack([s[:rank, None] * vt[:rank] for _, s, vt in stack])
    return (
        base.reshape(*shape[: batch + rows], rank),
        rest.reshape(*shape[:batch], rank, *shape[batch + rows :]),
    )


def _placed(array, labels, core, bond, tree, found, sizes) -> np.ndarray:
    """A core's numbers on the axes that the network gives it."""
    wanted = tree.network.cores[core]
    if core in found:
        # Its own link: a part of the bond's index, the others repeat it.
        children = tree.heads[bond][1] if bond else (core,)
        digits = np.unravel_index(
            np.arange(sizes[bond] if bond else 1),
            [found[child] for child in children],
        )[children.index(core)]
        array = array[..., digits]
        labels = [*labels[:-1], bond or "product"]
    for label in wanted:
        head, children = tree.heads.get(label, (None, ()))
        if head == core and children:
            names = [link(child) for child in children]
            order = [x for x in labels if x not in names]
            axes = [labels.index(x) for x in (*order, *names)]
            array = array.transpose(axes)
            array = array.reshape(*array.shape[: len(order)], -1)
            labels = [*order, label]
    # What is left beside the wanted labels are products, of size 1.
    labels = [x if x in wanted else None for x in labels]
    present = [x for x in wanted if x in labels]
    others = [k for k, x in enumerate(labels) if x is None]
    array = array.transpose([labels.index(x) for x in present] + others)
    array = array.reshape([sizes[x] if x in present else 1 for x in wanted])
    return np.broadcast_to(array, [sizes[x] for x in wanted])


def _root(value: int, power: int) -> int:
    """The largest whole number whose power is at most the value."""
    root = round(value ** (1 / power))
    return root if root**power <= value else root - 1
