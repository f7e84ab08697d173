"""Choice: the fastest of a network's candidates, by the cost model.

For a known batch the least predicted time counts, for an unknown one the
least worst regret, by one plan or by two that share the batch sizes.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from tensornet_keras import validation
from tensornet_keras.contraction.cost import CPU, Machine
from tensornet_keras.contraction.lowering import lower
from tensornet_keras.contraction.plan import INFERENCE, MODES, TRAINING, Plan
from tensornet_keras.contraction.search import BATCHES, candidates
from tensornet_keras.contraction.steps import Positions
from tensornet_keras.contraction.trees import Order, leaves
from tensornet_keras.network import TensorNetwork

RIVALS = 3
# A second plan for large batches must lower the worst regret by this factor.
WORTH_A_SWITCH = 1.25
# Parts that a batch may be cut into, and how many plans are tried in parts.
PARTS = (2, 4, 8, 16)
MOST_CUT = 4


@lru_cache(maxsize=4096)
def plan_for(
    network: TensorNetwork,
    batch: int | None = None,
    positions: Positions = ((), ()),
    rebuild_only: bool = False,
    uses: int = 1,
    *,
    mode: str = INFERENCE,
    machine: Machine = CPU,
    max_memory: int | None = None,
) -> Plan:
    """The plan that the cost model predicts to be the fastest.

    With an unknown batch it is the plan whose worst ratio to the fastest one,
    over the batch sizes 1, 2, 4, ... 1024, is the least. Its `ranges` name
    two others, for small and for large batches, where they are much better.

    Args:
        network: The network to contract.
        batch: Batch size, or `None` if it is unknown.
        positions: Sizes of the spatial axes, before and after a convolution;
            for a matrix, twice the rows per example (the axes between the
            batch and the last one, multiplied).
        rebuild_only: Whether only rebuilding the kernel can serve, as for a
            grouped convolution.
        uses: How many inputs meet the same weights in one forward pass, as
            in a loop over time; the weights are merged once for all.
        mode: What it is for: `"inference"`, `"training"` or `"frozen"`, where
            nothing is left to do among the weights.
        machine: The device whose rates predict the time.
        max_memory: Most bytes that the plan may take beyond input and
            output, of an unknown batch up to 1024. `None` sets no limit.

    Returns:
        The plan. Print it to see its steps and what it was chosen over.

    Raises:
        ValueError: If the batch is below 1, the mode unknown, or no plan
            keeps to the memory.

    Example:

    >>> import tensornet_keras as tk
    >>> from tensornet_keras.contraction import plan_for
    >>> train = tk.formats.TensorTrain(rank=4).bind((1024,), (1024,))
    >>> plan = plan_for(train.network, batch=32)
    >>> plan.multiply_adds < 32 * train.dense_params
    True
    """
    if batch is not None:
        batch = validation.positive_integer(batch, "batch")
    validation.one_of(mode, MODES, "mode")
    if max_memory is not None:
        max_memory = validation.positive_integer(max_memory, "max_memory")
    plans = [
        dataclasses.replace(plan, uses=uses, mode=mode, machine=machine)
        for plan in candidates(network, positions)
        if plan.rebuilds or not rebuild_only
    ]
    plans += _in_parts(plans, batch, max_memory)
    return _least_regret(plans, batch, max_memory)


@lru_cache(maxsize=4096)
def plan_of(
    network: TensorNetwork,
    order: Order,
    batch: int | None = None,
    positions: Positions = ((), ()),
    uses: int = 1,
    *,
    tiles: int = 1,
    mode: str = INFERENCE,
    machine: Machine = CPU,
    tuned: bool = False,
) -> Plan:
    """The plan of a given order, such as one that was measured.

    Args:
        network: The network to contract.
        order: Trees of cores in the order in which they meet the input.
        batch: Batch size, or `None` if it is unknown.
        positions: As in `plan_for`.
        uses: As in `plan_for`.
        tiles: Into how many parts the batch is cut.
        mode: As in `plan_for`.
        machine: As in `plan_for`.
        tuned: Whether it was measured to be the fastest.

    Raises:
        ValueError: If the order does not name every core once.
    """
    found = sorted(leaf for tree in order for leaf in leaves(tree))
    if found != list(range(len(network.cores))):
        raise ValueError(
            "An order names every core once, the numbers below "
            f"{len(network.cores)}. Received: order={order}. "
            "Take the order of a plan of this network."
        )
    titles = {plan.order: plan.title for plan in candidates(network, positions)}
    return Plan(
        network,
        titles.get(order, "an order of its own"),
        lower(network, order),
        batch,
        positions,
        uses=uses,
        order=order,
        mode=mode,
        machine=machine,
        tiles=tiles,
        tuned=tuned,
    )


def _least_regret(
    plans: list[Plan], batch: int | None, max_memory: int | None
) -> Plan:
    """The best of some plans, with what it was chosen over."""
    batches = BATCHES if batch is None else (batch,)
    times = np.array(
        [[plan.seconds_at(size) for size in batches] for plan in plans]
    )
    if max_memory is not None:
        times[~_fitting(plans, batches, max_memory)] = np.inf
    regrets = times / times.min(axis=0)
    worst = regrets.max(axis=1)
    ranked = np.argsort(worst, kind="stable")
    ranked = ranked[np.isfinite(worst[ranked])]
    winner = plans[ranked[0]]
    shown = batch or winner.shown_batch
    rivals = tuple(
        (plans[n].full_title, plans[n].seconds_at(shown))
        for n in ranked[1 : 1 + RIVALS]
    )
    if batch is None:
        small, large, at, regret = _best_pair(regrets)
        if worst[ranked[0]] > WORTH_A_SWITCH * regret:
            ranges = (1, plans[small]), (batches[at], plans[large])
            winner = dataclasses.replace(winner, ranges=ranges)
    return dataclasses.replace(winner, batch=batch, rivals=rivals)


def _best_pair(regrets: np.ndarray) -> tuple[int, int, int, float]:
    """Two plans, the batch at which to change, and their worst regret."""
    pairs = []
    for at in range(1, regrets.shape[1]):
        sides = (regrets[:, :at].max(axis=1), regrets[:, at:].max(axis=1))
        chosen = [int(side.argmin()) for side in sides]
        worst = max(side.min() for side in sides)
        pairs.append((*chosen, at, float(worst)))
    return min(pairs, key=lambda pair: pair[-1])


def _in_parts(
    plans: list[Plan], batch: int | None, max_memory: int | None
) -> list[Plan]:
    """Plans again, with the batch cut into parts.

    Those that keep to the memory in no other way, and of a known batch the
    fastest that do not fit the cache.
    """
    if batch is None and max_memory is None:
        return []
    most = batch or BATCHES[-1]
    peaks = {plan: plan.peak_bytes_at(most) for plan in plans}
    large = [
        plan
        for plan in sorted(plans, key=lambda plan: plan.seconds_at(most))
        if batch is not None and peaks[plan] > plan.machine.cache_bytes
    ][:MOST_CUT]
    if max_memory is not None:
        large += [plan for plan in plans if peaks[plan] > max_memory]
    return [
        dataclasses.replace(plan, tiles=n)
        for plan in dict.fromkeys(large)
        for n in parts_of(most, plan.mode)
    ]


def parts_of(batch: int, mode: str) -> tuple[int, ...]:
    """Into how many parts a batch may be cut; not in training.

    The way back needs what all parts have kept, and adds up their gradients:
    steps in parts took up to twice as long as whole ones.

    Args:
        batch: Batch size.
        mode: As in `plan_for`.
    """
    if mode == TRAINING:
        return ()
    return tuple(n for n in PARTS if n <= batch)


def _fitting(
    plans: list[Plan], batches: tuple[int, ...], max_memory: int
) -> np.ndarray:
    """Whether plans keep to a memory at a size and up to the next one."""
    up_to = (*(size - 1 for size in batches[1:]), batches[-1])
    peaks = np.array(
        [[plan.peak_bytes_at(size) for size in up_to] for plan in plans]
    )
    least = int(peaks[:, -1].min())
    if least > max_memory:
        raise ValueError(
            f"`max_memory` must be at least {least} bytes at batch "
            f"{batches[-1]}, the least that a plan takes. "
            f"Received: max_memory={max_memory}. Raise it, or lower the batch."
        )
    return peaks <= max_memory
