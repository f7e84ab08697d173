import dataclasses
import re

import pytest
from hypothesis import given

from tensornet_keras.contraction import plan_for
from tests.contraction.networks import VGG, train, trains


def test_a_plan_prints_its_title_costs_and_batch():
    plan = plan_for(VGG, 100)
    title, *_ = str(plan).splitlines()
    assert title.startswith(
        f"{plan.title}: {plan.multiply_adds:,} multiply-adds"
    )
    assert title.endswith(f"predicted, {plan.peak_bytes:,} bytes at batch 100")


def test_a_plan_prints_a_line_for_every_step():
    plan = plan_for(VGG, 100)
    steps = [
        line
        for line in str(plan).splitlines()
        if re.match(r" *\d+  (weights|input) ", line)
    ]
    assert len(steps) == len(plan.steps)
    assert sum("  input  " in line for line in steps) == sum(
        not step.weight_only for step in plan.steps
    )
    assert all("  matmul  " in line for line in steps if " @ " in line)


def test_a_plan_prints_what_it_was_chosen_over():
    plan = plan_for(VGG, 100)
    assert len(plan.rivals) == 3
    for title, seconds in plan.rivals:
        assert seconds >= plan.seconds
        assert f"instead of {title}: " in str(plan)


def test_an_unknown_batch_is_said_and_shown_at_32():
    plan = plan_for(VGG)
    assert plan.shown_batch == 32
    assert "at batch 32, unknown batch" in str(plan).splitlines()[0]
    assert plan.seconds == plan.seconds_at(32)


def test_a_network_with_one_order_has_no_rivals():
    plan = plan_for(train((7,), (5,), 1), 4)
    assert plan.rivals == ()
    assert plan.multiply_adds == 4 * 7 * 5


@given(trains())
def test_costs_are_the_sums_over_the_steps(network):
    plan = plan_for(network, 5)
    assert plan.multiply_adds == sum(map(plan.multiply_adds_of, plan.steps))
    assert plan.seconds > 0
    assert plan.seconds_at(6) >= plan.seconds


def test_only_what_meets_the_input_grows_with_the_batch():
    small, large = plan_for(VGG, 10), plan_for(VGG, 20)
    large = dataclasses.replace(large, steps=small.steps)
    for step in small.steps:
        ratio = large.multiply_adds_of(step) / max(
            1, small.multiply_adds_of(step)
        )
        assert ratio in ((0, 1) if step.weight_only else (0, 2))


def test_a_plan_is_a_value():
    plan = plan_for(VGG, 10)
    assert plan == dataclasses.replace(plan)
    assert hash(plan) == hash(dataclasses.replace(plan))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.batch = 20
