"""Timing by turns."""

import time

import pytest

from experiments import timing


def test_functions_are_called_by_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    timings = timing.interleave(calls, rounds=4, warmup=1)
    assert "".join(order) == "ababbabaab"
    assert {len(one.seconds) for one in timings.values()} == {4}


def test_the_budget_ends_the_rounds_after_three():
    timings = timing.interleave({"a": lambda: None}, rounds=99, budget=0.0)
    assert len(timings["a"].seconds) == 3


def test_ratios_are_taken_round_by_round():
    # A machine that slows down tenfold half-way hits both sides.
    ours = timing.Timing((1.0, 10.0, 10.0))
    theirs = timing.Timing((2.0, 20.0, 20.0))
    assert ours.ratio_to(theirs) == 0.5
    assert ours.median == 10.0


def test_a_timing_is_plain_data():
    one = timing.Timing((1.0, 2.0, 3.0))
    assert one.to_dict() == {
        "median": 2.0,
        "quartiles": [1.5, 2.5],
        "rounds": 3,
    }
    assert timing.Timing((1.0,)).spread == (1.0, 1.0)


def test_rounds_of_two_timings_must_match():
    with pytest.raises(ValueError, match="argument"):
        timing.Timing((1.0,)).ratio_to(timing.Timing((1.0, 2.0)))


def test_quick_functions_fill_a_slice_and_count_on_average():
    calls = []
    timings = timing.interleave(
        {"a": lambda: calls.append(0) or time.sleep(1e-3)},
        rounds=3,
        warmup=0,
        slice_seconds=0.01,
    )
    assert len(calls) > 3 * 3
    assert 0.5e-3 < timings["a"].median < 9e-3


def test_the_quartiles_of_ratios_are_those_of_the_rounds():
    ours = timing.Timing((1.0, 2.0, 3.0))
    theirs = timing.Timing((1.0, 1.0, 1.0))
    assert ours.ratio_spread(theirs) == (1.5, 2.5)
