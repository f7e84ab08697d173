import dataclasses

import numpy as np
import pytest

from tensornet_keras.contraction import candidates, plan_for, plan_of
from tensornet_keras.contraction.choice import parts_of
from tensornet_keras.contraction.cost import CPU
from tensornet_keras.contraction.execute import execute
from tensornet_keras.contraction.search import BATCHES
from tensornet_keras.contraction.trees import as_order
from tests.contraction.networks import VGG, train
from tests.laws.oracles import assert_close, dense_weight, random_cores

# A mild compression: swept for one example, rebuilt for a thousand.
MILD = train((4, 8, 8, 4), (4, 8, 8, 4), 32)


def test_what_is_merged_beforehand_costs_nothing_once_frozen():
    for plan in candidates(MILD):
        frozen = dataclasses.replace(plan, mode="frozen")
        weights = [step for step in plan.steps if step.weight_only]
        if weights:
            assert frozen.seconds_at(8) < plan.seconds_at(8)
        else:
            assert frozen.seconds_at(8) == plan.seconds_at(8)
    assert plan_for(MILD, 256, mode="frozen").rebuilds


def test_training_costs_more_than_inference():
    for plan in candidates(VGG):
        training = dataclasses.replace(plan, mode="training")
        assert training.seconds_at(8) > 2 * plan.seconds_at(8)
        assert "training" in str(training)


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="mode"):
        plan_for(VGG, 8, mode="trainig")


def test_a_slower_device_takes_longer():
    slow = dataclasses.replace(CPU, multiply_adds=CPU.multiply_adds / 10)
    assert plan_for(VGG, 64, machine=slow).seconds > plan_for(VGG, 64).seconds


def test_two_plans_share_the_sizes_of_an_unknown_batch():
    # A few examples are swept, many meet the dense kernel.
    plan = plan_for(MILD, mode="frozen")
    (first, smaller), (batch, larger) = plan.ranges
    assert first == 1
    assert larger.rebuilds
    assert not smaller.rebuilds
    assert plan.at(batch - 1) is smaller
    assert plan.at(batch) is larger
    assert plan.seconds_at(1) == smaller.seconds_at(1)
    assert plan.seconds_at(batch) == larger.seconds_at(batch)
    assert plan.peak_bytes_at(batch) == larger.peak_bytes_at(batch)
    assert f"from batch {batch} on: {larger.title}" in str(plan)
    # By itself it is the one whose worst regret is the least.
    alone = dataclasses.replace(plan, ranges=())
    worst = {one: max(regrets_of(one)) for one in (alone, smaller, larger)}
    assert worst[alone] == min(worst.values())
    assert max(regrets_of(plan)) < worst[alone]


def regrets_of(plan):
    plans = [
        dataclasses.replace(one, mode=plan.mode) for one in candidates(MILD)
    ]
    return [
        plan.seconds_at(batch) / min(one.seconds_at(batch) for one in plans)
        for batch in BATCHES
    ]


def test_a_plan_of_an_order_is_that_candidate():
    for plan in candidates(MILD):
        again = plan_of(MILD, plan.order, 8)
        assert (again.steps, again.title) == (plan.steps, plan.title)
        nested = [list(t) if isinstance(t, tuple) else t for t in plan.order]
        assert as_order(nested) == plan.order


@pytest.mark.parametrize("order", [(0, 1), (0, 1, 2, 2), ((0, 1), (2, 4))])
def test_an_order_names_every_core_once(order):
    with pytest.raises(ValueError, match="every core once"):
        plan_of(MILD, order)


@pytest.mark.parametrize("order", ["01", [[0, 1, 2]], [0.5], [True, 0]])
def test_an_order_is_made_of_numbers_and_pairs(order):
    with pytest.raises(ValueError, match="numbers of cores"):
        as_order(order)


@pytest.mark.parametrize("tiles", [2, 4, 8])
def test_a_batch_in_parts_gives_the_same_numbers(tiles):
    network = train((2, 3, 4), (3, 2, 5), 3)
    cores = random_cores(network)
    inputs = np.random.default_rng(0).standard_normal((8, 24), "float32")
    expected = inputs @ dense_weight(network, cores)
    for plan in candidates(network)[:6]:
        parts = dataclasses.replace(plan, tiles=tiles)
        assert_close(execute(parts, inputs, cores), expected)
        # Parts need not be of one size.
        assert_close(execute(parts, inputs[:7], cores), expected[:7])


def test_only_inference_is_cut_into_parts():
    for mode in ("inference", "frozen"):
        assert plan_for(VGG, 4096, mode=mode).tiles > 1
    assert plan_for(VGG, 4096, mode="training").tiles == 1
    assert parts_of(5, "inference") == (2, 4)
    assert parts_of(5, "training") == ()
