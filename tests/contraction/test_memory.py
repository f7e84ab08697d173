import dataclasses

import numpy as np
import pytest

from tensornet_keras.contraction import candidates, plan_for
from tensornet_keras.contraction.cost import CPU
from tensornet_keras.contraction.memory import (
    Traffic,
    forward_peak,
    training_peak,
)
from tests.contraction.networks import VGG, train


def product(*reads, writes):
    return Traffic(reads, writes, True)


def test_an_intermediate_lives_until_it_was_read_for_the_last_time():
    # Operand 0 is the input, 1 to 3 are what the steps write.
    steps = [
        product(0, writes=10),
        product(1, writes=20),
        product(2, 1, writes=40),
    ]
    assert forward_peak(steps, given=1) == 10 + 20
    steps[2] = product(2, writes=40)
    steps.append(product(3, writes=5))
    assert forward_peak(steps, given=1) == 20 + 40


def test_input_and_output_are_not_counted():
    assert forward_peak([product(0, 1, writes=1000)], given=2) == 0
    assert training_peak([product(0, 1, writes=1000)], given=2) == 0
    assert forward_peak([], given=2) == training_peak([], given=2) == 0


def test_training_keeps_what_products_read():
    steps = [product(0, writes=n) for n in (10, 20)]
    chain = [steps[0], product(1, writes=20), product(2, writes=5)]
    # 10 and 20 are kept; on the way back the gradient of 20 comes first.
    assert training_peak(chain, given=1) == 10 + 20 + 20
    moves = [Traffic((0,), 10, False), Traffic((1,), 10, False)]
    moves.append(product(2, writes=5))
    # Of a row of permutations only the last one is kept, with its gradient.
    assert training_peak(moves, given=1) == 10 + 10


def test_the_sweep_of_a_train_by_hand():
    network = train((4, 4), (4, 4), 2)
    plan = next(
        plan
        for plan in candidates(network)
        if plan.title == "sweep 1-1, last core first"
    )
    # (batch * 4, 4) @ (4, 2 * 4): the only intermediate, 8 times 4 a batch,
    # and the permuted cores, which are small.
    written = 4 * 10 * 4 * 8
    assert written <= plan.peak_bytes_at(10) <= written + 4 * 64


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_memory_grows_with_the_batch_and_training_takes_more(mode):
    peaks = [
        plan_for(VGG, batch, mode=mode).peak_bytes for batch in (1, 16, 256)
    ]
    assert np.all(np.diff(peaks) > 0)
    for plan in candidates(VGG):
        assert plan.peak_bytes_at(8) <= plan.peak_bytes_at(64)
    kept = plan_for(VGG, 16, mode="training")
    assert kept.peak_bytes > plan_for(VGG, 16).peak_bytes


def test_parts_of_a_batch_take_less_memory():
    whole = plan_for(VGG, 64)
    parts = dataclasses.replace(whole, tiles=4)
    assert parts.peak_bytes_at(64) < whole.peak_bytes_at(64)
    # A copy of the part of the input, and the outputs of all parts.
    copies = 4 * (16 * VGG.input_size + 64 * VGG.output_size)
    assert parts.peak_bytes_at(64) == whole.peak_bytes_at(16) + copies
    assert parts.multiply_adds >= whole.multiply_adds


def test_a_plan_keeps_to_a_memory():
    free = plan_for(VGG, 100)
    bound = free.peak_bytes // 4
    plan = plan_for(VGG, 100, max_memory=bound)
    assert plan.peak_bytes <= bound
    assert plan.seconds >= free.seconds


def test_a_memory_that_nothing_keeps_to_is_refused_with_the_least():
    with pytest.raises(ValueError, match="max_memory.*at least") as refused:
        plan_for(VGG, 100, max_memory=1)
    least = int(str(refused.value).split("at least ")[1].split()[0])
    assert plan_for(VGG, 100, max_memory=least).peak_bytes == least
    with pytest.raises(ValueError, match="at least"):
        plan_for(VGG, 100, max_memory=least - 1)


def test_an_unknown_batch_is_cut_into_parts_for_a_memory():
    free = plan_for(VGG, max_memory=10**9)
    assert free.tiles == 1
    # Less than any plan takes whole.
    bound = min(one.peak_bytes_at(1024) for one in candidates(VGG)) - 1
    plan = plan_for(VGG, max_memory=bound)
    for batch in (1, 3, 32, 1000, 1024):
        assert plan.peak_bytes_at(batch) <= bound
    # Without branches it is one plan, which keeps to it too.
    alone = dataclasses.replace(plan, ranges=())
    assert alone.tiles > 1
    assert alone.peak_bytes_at(1024) <= bound


def test_the_least_memory_of_an_unknown_batch_is_named():
    with pytest.raises(ValueError, match="at least") as refused:
        plan_for(VGG, max_memory=1)
    least = int(str(refused.value).split("at least ")[1].split()[0])
    assert plan_for(VGG, max_memory=least).peak_bytes_at(1024) <= least
    with pytest.raises(ValueError, match="at least"):
        plan_for(VGG, max_memory=least - 1)


def test_weights_of_16_bits_are_merged_in_float32():
    pair = train((8, 8, 8), (8, 8, 8), 8)
    half = dataclasses.replace(CPU, itemsize=2)
    rebuilt = next(plan for plan in candidates(pair) if plan.rebuilds)
    short = dataclasses.replace(rebuilt, machine=half)
    # The kernel in float32, and the copy that the input meets.
    assert short.peak_bytes_at(1) >= (4 + 2) * 512 * 512
    assert short.peak_bytes_at(1) > rebuilt.peak_bytes_at(1)
