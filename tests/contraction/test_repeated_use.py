"""Plans for weights that many inputs meet, as in a loop over time."""

import dataclasses

import keras
import numpy as np
import pytest

from tensornet_keras.contraction import candidates, plan_for
from tensornet_keras.contraction.execute import execute, merged_weights
from tensornet_keras.formats import CP, TensorRing
from tests.contraction.networks import train
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    dense_weight,
    random_array,
    random_cores,
)

NETWORKS = {
    "train": train((3, 2, 2), (2, 3, 2), 3),
    "one core": train((4,), (3,), ()),
    "ring": TensorRing(3).bind((12,), (15,)).network,
    "padded sum": CP(3).bind((67,), (13,)).network,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_merged_weights_serve_every_input(name):
    network = NETWORKS[name]
    cores = random_cores(network)
    weight = dense_weight(network, cores)
    for plan in candidates(network):
        merged = merged_weights(plan, cores, "float32")
        untouched = [None if x is None else as_numpy(x).copy() for x in merged]
        for seed in range(2):
            inputs = random_array((5, network.input_size), seed)
            outputs = execute(plan, inputs, cores, merged=merged)
            assert_close(outputs, inputs @ weight)
        for before, after in zip(untouched, merged, strict=True):
            np.testing.assert_array_equal(
                before, None if after is None else as_numpy(after)
            )


def test_merged_weights_have_the_type_of_the_inputs():
    network = NETWORKS["train"]
    cores = random_cores(network)
    for plan in candidates(network):
        merged = merged_weights(plan, cores, "bfloat16")
        types = {
            keras.backend.standardize_dtype(each.dtype)
            for each in merged
            if each is not None
        }
        assert types == {"bfloat16"}


def test_steps_among_weights_count_once_whatever_the_uses():
    for plan in candidates(NETWORKS["train"]):
        once = sum(
            plan.multiply_adds_of(step)
            for step in plan.steps
            if step.weight_only
        )
        often = dataclasses.replace(plan, uses=10)
        assert often.multiply_adds == 10 * plan.multiply_adds - 9 * once
        assert plan.seconds < often.seconds <= 10 * plan.seconds * (1 + 1e-9)


def test_a_kernel_that_is_used_often_is_worth_rebuilding():
    network = train((4, 4, 4), (4, 4, 4), 4)
    once = plan_for(network, 1)
    often = plan_for(network, 1, uses=1000)
    assert not once.rebuilds
    assert often.rebuilds
    assert (often.batch, often.uses) == (1, 1000)
    assert "1000 inputs" in str(often)
    assert "inputs:" not in str(once)
