"""One budget over layers, against every combination of their options."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensornet_keras.conversion.budget import BudgetTooSmall, Option, allocate

NUMBERS = st.integers(0, 20)
OPTIONS = st.lists(
    st.builds(Option, NUMBERS, NUMBERS, st.none()), min_size=1, max_size=5
)


def sums(options):
    return sum(x.cost for x in options), sum(x.loss for x in options)


@settings(deadline=None, max_examples=200)
@given(st.lists(OPTIONS, min_size=1, max_size=4), st.integers(0, 80))
def test_the_budget_is_kept_and_nothing_on_the_hull_is_better(layers, budget):
    every = [sums(each) for each in itertools.product(*layers)]
    least = min(cost for cost, _ in every)
    if least > budget:
        with pytest.raises(BudgetTooSmall) as problem:
            allocate(layers, budget)
        assert problem.value.least == least
        return
    chosen = allocate(layers, budget)
    for option, options in zip(chosen, layers, strict=True):
        assert option in options
    cost, loss = sums(chosen)
    assert cost <= budget
    # No combination costs as little, misses less, and has a better price.
    best = min(found for spent, found in every if spent <= budget)
    gaps = [
        max(x.loss for x in options) - min(x.loss for x in options)
        for options in layers
    ]
    # A Lagrangian choice is at most one layer's step away from the best.
    assert best <= loss <= best + max(gaps)


def test_what_is_left_over_is_spent():
    first = [Option(1, 10, "a"), Option(3, 5, "b"), Option(9, 0, "c")]
    second = [Option(1, 2, "a"), Option(2, 1, "b")]
    chosen = [x.choice for x in allocate([first, second], 5)]
    assert chosen == ["b", "b"]
    assert [x.choice for x in allocate([first, second], 11)] == ["c", "b"]


def test_equal_arguments_give_equal_choices():
    layers = [[Option(n, 1 / (1 + n), n) for n in range(9)]] * 4
    assert allocate(layers, 13) == allocate(layers, 13)
