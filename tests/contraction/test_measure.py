import dataclasses
import time

import keras
import numpy as np
import pytest

from tensornet_keras.contraction import candidates, plan_for
from tensornet_keras.contraction import measure as measuring
from tensornet_keras.contraction.execute import Convolution
from tensornet_keras.contraction.measure import (
    interleaved_seconds,
    measure,
    shortlist,
)
from tensornet_keras.contraction.plan import MODES
from tensornet_keras.formats import LowRank
from tests.contraction.networks import train

SMALL = train((4, 4), (3, 5), 2)


def sleeper(seconds, made, name):
    def call():
        made.append(name)
        time.sleep(seconds)
        return keras.ops.ones(())

    return call


def test_times_are_medians_of_calls_made_in_turns():
    made = []
    seconds = interleaved_seconds(
        [sleeper(0.004, made, "slow"), sleeper(0.0, made, "fast")], budget=0.0
    )
    assert 0.004 <= seconds[0] < 0.4
    assert seconds[1] < seconds[0]
    assert made.count("slow") == made.count("fast")
    rounds = made[2 * (1 + measuring.TRIES) :]
    assert len(rounds) == 2 * measuring.FEWEST_ROUNDS
    pairs = [set(rounds[n : n + 2]) for n in range(0, len(rounds), 2)]
    assert all(pair == {"slow", "fast"} for pair in pairs)


def test_a_hopeless_call_is_made_no_more():
    made = []
    seconds = interleaved_seconds(
        [sleeper(0.02, made, "slow"), sleeper(0.001, made, "fast")],
        budget=0.0,
        hopeless=3.0,
    )
    tries = 1 + measuring.TRIES
    assert made.count("slow") == tries
    assert made.count("fast") == tries + measuring.FEWEST_ROUNDS
    assert seconds[0] > 3 * seconds[1]


def test_a_longer_budget_makes_more_rounds():
    made = []
    interleaved_seconds([sleeper(0.001, made, "one")], budget=0.05)
    rounds = len(made) - 1 - measuring.TRIES
    assert measuring.FEWEST_ROUNDS < rounds <= measuring.MOST_ROUNDS


def test_nothing_to_time_takes_no_time():
    assert interleaved_seconds([]) == []


@pytest.mark.parametrize("mode", MODES)
def test_every_candidate_is_timed_in_every_mode(mode):
    plans = shortlist(plan_for(SMALL, 4, mode=mode), most=3)
    seconds = measure(plans, budget=0.0)
    assert len(seconds) == len(plans) == 3
    assert all(0 < one < 10 for one in seconds)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_plans_are_timed_in_the_type_of_the_layer(mode, dtype):
    [seconds] = measure([plan_for(SMALL, 4, mode=mode)], dtype, budget=0.0)
    assert seconds > 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_convolutions_are_timed(mode, data_format):
    if data_format == "channels_first" and keras.config.backend() not in (
        "jax",
        "torch",
    ):
        pytest.skip("TensorFlow has no channels-first convolution on a CPU")
    network = train((2, 2), (2, 3), 2, window=(3, 3))
    plan = plan_for(network, 2, ((5, 5), (5, 5)), mode=mode)
    how = Convolution((1, 1), "same", (1, 1), data_format)
    plans = shortlist(plan, most=2)
    assert len(measure(plans, "float32", how, budget=0.0)) == 2


def test_a_grouped_convolution_is_timed():
    network = train((2, 2), (2, 4), 2, window=(3,))
    plan = plan_for(network, 2, ((7,), (7,)), rebuild_only=True)
    how = Convolution((1,), "same", (1,), groups=2)
    [seconds] = measure([plan], "float32", how, budget=0.0)
    assert seconds > 0


@pytest.mark.parametrize("mode", MODES)
def test_look_ups_are_timed(mode):
    table = SMALL.with_kind("in", "lookup")
    plan = plan_for(table, 6, ((3,), (3,)), mode=mode)
    [seconds] = measure([plan], budget=0.0)
    assert seconds > 0


def test_what_is_timed_is_what_the_plan_computes(monkeypatch):
    seen = []
    execute = measuring.execute

    def spy(plan, inputs, cores, *rest):
        outputs = execute(plan, inputs, cores, *rest)
        seen.append((plan, tuple(inputs.shape), tuple(outputs.shape)))
        return outputs

    monkeypatch.setattr(measuring, "execute", spy)
    plans = candidates(SMALL, ((7,), (7,)))
    plans = [dataclasses.replace(plan, batch=5) for plan in plans]
    measure(plans, budget=0.0)
    assert {id(plan) for plan, _, _ in seen} == {id(plan) for plan in plans}
    assert {given for _, given, _ in seen} == {(5, 7, 16)}
    assert {made for _, _, made in seen} == {(5, 7, 15)}


def test_the_shortlist_is_in_order_of_predicted_time():
    plan = plan_for(SMALL, 64)
    plans = shortlist(plan, most=4)
    times = [one.seconds for one in plans]
    assert times == sorted(times)
    assert plans[0].order == plan.order
    assert {one.batch for one in plans} == {64}
    assert len(shortlist(plan, most=1)) == 1


def test_the_shortlist_leaves_out_what_would_fill_the_memory():
    pair = LowRank(32).bind((768,), (768,)).network
    plans = candidates(pair)
    peaks = [plan.peak_bytes_at(4096) for plan in plans]
    assert max(peaks) > 1e9
    for plan in shortlist(plan_for(pair, 4096), most=100):
        assert plan.peak_bytes < 1e8


def test_the_shortlist_is_for_the_purpose_of_the_plan():
    plan = plan_for(SMALL, 8, mode="training", uses=3)
    for other in shortlist(plan):
        assert (other.mode, other.uses) == ("training", 3)
        assert other.machine == plan.machine


def test_the_shortlist_keeps_to_a_memory():
    plan = plan_for(SMALL, 64)
    peaks = [one.peak_bytes for one in shortlist(plan, most=100)]
    limit = int(np.median(peaks))
    kept = shortlist(plan, most=100, max_memory=limit)
    assert 0 < len(kept) < len(peaks)
    assert all(one.peak_bytes <= limit for one in kept)


def test_plans_too_large_for_the_cache_come_in_parts():
    plan = plan_for(train((8, 8), (8, 8), 8), 1024)
    small = dataclasses.replace(plan.machine, cache_bytes=1e3)
    parts = shortlist(dataclasses.replace(plan, machine=small), most=2)
    assert sum(one.tiles > 1 for one in parts) == 1
    training = dataclasses.replace(plan, machine=small, mode="training")
    assert {one.tiles for one in shortlist(training, most=2)} == {1}
    large = dataclasses.replace(plan.machine, cache_bytes=1e12)
    whole = shortlist(dataclasses.replace(plan, machine=large), most=2)
    assert {one.tiles for one in whole} == {1}
