"""Budgets: one number to spend over all layers, where it lowers errors most.

Every layer has options of a cost and a loss. For a price of cost in units of
loss each layer takes its cheapest option by itself; the price is the lowest at
which all together keep to the budget (Lagrangian relaxation: Shoham and
Gersho 1988, "Efficient bit allocation for an arbitrary set of quantizers").
What is left over is spent where it lowers the loss most per cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Halvings of the price; each one doubles its precision.
HALVINGS = 200


@dataclass(frozen=True, eq=False)
class Option:
    """One thing that a layer may become.

    Args:
        cost: What it takes of the budget, at least 0.
        loss: What it adds to the sum that is to be small, at least 0.
        choice: What it is.
    """

    cost: float
    loss: float
    choice: object


class BudgetTooSmall(ValueError):
    """The cheapest options of all layers cost more than the budget.

    Args:
        least: What they cost.
    """

    def __init__(self, least: float):
        super().__init__(f"The least that can be spent is {least:g}.")
        self.least = least


def allocate(
    layers: Sequence[Sequence[Option]], budget: float
) -> tuple[Option, ...]:
    """Chooses one option a layer, of a small sum of losses within a budget.

    Args:
        layers: The options of every layer, at least one each.
        budget: Most that the options chosen may cost together.

    Returns:
        One option a layer. The same arguments give the same options.

    Raises:
        BudgetTooSmall: If the cheapest options cost more.

    Example:

    >>> from tensornet_keras.conversion.budget import Option, allocate
    >>> layer = [Option(4, 0.0, "all"), Option(1, 0.5, "some")]
    >>> other = [Option(4, 0.0, "all"), Option(1, 0.1, "some")]
    >>> [option.choice for option in allocate([layer, other], budget=5)]
    ['all', 'some']
    """
    layers = [_efficient(options) for options in layers]
    least = sum(options[0].cost for options in layers)
    if least > budget:
        raise BudgetTooSmall(least)
    chosen = _at_least_price(layers, budget)
    return tuple(_spent(layers, chosen, budget))


def _efficient(options: Sequence[Option]) -> list[Option]:
    """The options by cost, each of less loss than all cheaper ones."""
    kept: list[Option] = []
    for option in sorted(options, key=lambda x: (x.cost, x.loss)):
        if not kept or option.loss < kept[-1].loss:
            kept.append(option)
    return kept


def _at_least_price(layers, budget: float) -> list[Option]:
    """What the layers take at the lowest price that keeps to the budget."""

    def taken(price: float) -> list[Option]:
        return [
            min(options, key=lambda x: (x.loss + price * x.cost, x.cost))
            for options in layers
        ]

    free = taken(0.0)
    if _cost(free) <= budget:
        return free
    low, high = 0.0, 1.0
    while _cost(taken(high)) > budget:
        low, high = high, 2.0 * high
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if _cost(taken(middle)) > budget:
            low = middle
        else:
            high = middle
    return taken(high)


def _spent(layers, chosen: list[Option], budget: float) -> list[Option]:
    """The options once what is left over is spent, step by step."""
    chosen = list(chosen)
    left = budget - _cost(chosen)
    while True:
        steps = [
            ((now.loss - option.loss) / (option.cost - now.cost), n, option)
            for n, (now, options) in enumerate(zip(chosen, layers, strict=True))
            for option in options
            if now.cost < option.cost <= now.cost + left
        ]
        if not steps:
            return chosen
        _, n, option = max(steps, key=lambda step: step[0])
        left -= option.cost - chosen[n].cost
        chosen[n] = option


def _cost(options: Sequence[Option]) -> float:
    return sum(option.cost for option in options)
