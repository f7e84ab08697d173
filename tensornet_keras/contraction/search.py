"""Search: the candidate orders of a network.

Four searches propose: rebuilding the dense kernel, every sweep (the cores
grouped into consecutive runs, met from either end), meetings in the middle
(three runs, the one between the ends last), and the trees of `opt_einsum`.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache

import opt_einsum

from tensornet_keras.contraction.lowering import (
    CannotLower,
    lower,
    lower_kernel,
)
from tensornet_keras.contraction.plan import Plan
from tensornet_keras.contraction.steps import (
    BATCH,
    Positions,
    before,
    label_sizes,
)
from tensornet_keras.contraction.trees import Order, Tree, leaves, left_fold
from tensornet_keras.network import TensorNetwork

# An unknown batch is planned for by its regret over these sizes.
BATCHES = tuple(2**exponent for exponent in range(11))
# Chains longer than this are cut into at most MOST_RUNS runs.
MOST_CORES_FOR_ALL_SWEEPS = 8
MOST_RUNS = 4

Search = Callable[[TensorNetwork], Iterator[tuple[str, Order]]]


def rebuild(network: TensorNetwork) -> Iterator[tuple[str, Order]]:
    """The order that contracts all cores into the dense kernel first.

    Args:
        network: The network to contract.

    Yields:
        A title and an order.
    """
    yield "rebuild the kernel", (left_fold(range(len(network.cores))),)


def sweeps(network: TensorNetwork) -> Iterator[tuple[str, Order]]:
    """Every grouping of the cores into runs, in both directions.

    Args:
        network: The network to contract.

    Yields:
        A title such as `"sweep 3-3, last core first"` and an order.
    """
    count = len(network.cores)
    for lengths in _groupings(count):
        ends = list(itertools.accumulate(lengths, initial=0))
        runs = [
            left_fold(range(start, end))
            for start, end in itertools.pairwise(ends)
        ]
        shown = "-".join(map(str, lengths))
        yield f"sweep {shown}, last core first", tuple(reversed(runs))
        yield f"sweep {shown}, first core first", tuple(runs)


def meetings(network: TensorNetwork) -> Iterator[tuple[str, Order]]:
    """Every grouping into three runs, met from both ends before the middle.

    Longer chains have sweeps enough: for them there are none.

    Args:
        network: The network to contract.

    Yields:
        A title such as `"both ends 2-1-3, last core first"` and an order.
    """
    if len(network.cores) > MOST_CORES_FOR_ALL_SWEEPS:
        return
    for title, order in sweeps(network):
        if len(order) == 3:
            end, middle, other = order
            yield title.replace("sweep", "both ends"), (end, other, middle)


def trees(network: TensorNetwork) -> Iterator[tuple[str, Order]]:
    """The trees with the fewest multiply-adds, as `opt_einsum` finds them.

    Args:
        network: The network to contract.

    Yields:
        A title and an order, for a small, a usual and a large batch.
    """
    if network.labels_of("lookup") or len(network.cores) == 1:
        return
    seen = set()
    for batch in (BATCHES[0], 32, BATCHES[-1]):
        order = _opt_einsum_order(network, batch)
        if order not in seen:
            seen.add(order)
            yield "opt_einsum's tree", order


def settled(network: TensorNetwork) -> Iterator[tuple[str, Order]]:
    """The only order of a network whose cores were merged for it.

    Args:
        network: A settled network.

    Yields:
        A title and an order.
    """
    yield "as settled", tuple(range(len(network.cores)))


SEARCHES: dict[str, Search] = {
    "rebuild": rebuild,
    "sweeps": sweeps,
    "meetings": meetings,
    "trees": trees,
}


@lru_cache(maxsize=1024)
def candidates(
    network: TensorNetwork, positions: Positions = ((), ())
) -> tuple[Plan, ...]:
    """One plan per distinct order that a search proposes.

    Args:
        network: The network to contract.
        positions: Sizes of the spatial axes, before and after a convolution;
            for a matrix, twice the rows per example.

    Returns:
        The plans, made for an unknown batch.
    """
    proposed: dict[Order, str] = {}
    searches = (settled,) if network.settled else tuple(SEARCHES.values())
    for search in searches:
        for title, order in search(network):
            if not _builds_table(network, order):
                proposed.setdefault(order, title)
    plans = []
    for order, title in proposed.items():
        with contextlib.suppress(CannotLower):
            steps = lower(network, order)
            plans.append(
                Plan(network, title, steps, positions=positions, order=order)
            )
    return tuple(plans)


def _builds_table(network: TensorNetwork, order: Order) -> bool:
    """Whether a weight that is merged has all rows of a table."""
    lookups = set(network.labels_of("lookup"))
    merged = [tree for tree in order if not isinstance(tree, int)]
    return any(
        lookups
        and lookups.issubset(
            label for leaf in leaves(tree) for label in network.cores[leaf]
        )
        for tree in merged
    )


@lru_cache(maxsize=1024)
def kernel_plan(network: TensorNetwork) -> Plan:
    """The plan that contracts the cores into the dense weight.

    Args:
        network: The network to contract.
    """
    return Plan(network, "contract the kernel", lower_kernel(network), 1)


def _groupings(count: int) -> Iterator[tuple[int, ...]]:
    """All ways to cut `count` cores into two or more consecutive runs."""
    most = count if count <= MOST_CORES_FOR_ALL_SWEEPS else MOST_RUNS
    for runs in range(2, most + 1):
        for cuts in itertools.combinations(range(1, count), runs - 1):
            ends = (0, *cuts, count)
            yield tuple(b - a for a, b in itertools.pairwise(ends))


def _opt_einsum_order(network: TensorNetwork, batch: int) -> Order:
    """The order of opt_einsum's tree, as weights along the input's path."""
    sizes = label_sizes(network, batch, ((), ()))
    symbol = {label: opt_einsum.get_symbol(n) for n, label in enumerate(sizes)}
    window = network.labels_of("window")
    spatial = tuple(before(axis) for axis in range(len(window)))
    rows = (BATCH, *spatial, *network.labels_of("batch"))
    kept = (*rows, *window)
    inputs = (*rows, *network.labels_of("in"))
    terms = [*network.cores, inputs]
    result = kept + network.labels_of("out")
    equation = ",".join(
        "".join(symbol[label] for label in term) for term in terms
    )
    path, _ = opt_einsum.contract_path(
        equation + "->" + "".join(symbol[label] for label in result),
        *[tuple(sizes[label] for label in term) for term in terms],
        shapes=True,
        optimize="auto",
    )
    return _spine(path, len(network.cores))


def _spine(path, cores: int) -> Order:
    """Weights that the input meets, in order, along an einsum path."""
    pending: list[Tree | None] = [*range(cores), None]
    order: list[Tree] = []
    for pair in path:
        taken = [pending[n] for n in pair]
        pending = [x for n, x in enumerate(pending) if n not in pair]
        weights = [tree for tree in taken if tree is not None]
        if len(weights) < len(taken):
            order.extend(weights)
            pending.append(None)
        else:
            pending.append(left_fold(weights))
    return tuple(order)
