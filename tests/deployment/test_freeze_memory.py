"""Frozen layers keep to a memory: that of the call, or their own."""

import keras
import pytest

import tensornet_keras as tk
from tensornet_keras.deployment import choosing, freezable
from tensornet_keras.deployment.merging import candidates_of
from tensornet_keras.deployment.options import OBJECTIVES
from tests.deployment.frozen_models import (
    MODES,
    OTHERS,
    TRAIN,
    WIDE,
    assert_same,
    model_of,
    prefers,
    wide_model,
)
from tests.laws.oracles import random_array

LIMITED = {
    "dense": (lambda: tk.layers.TTDense(WIDE, 2, MODES, MODES), (WIDE,)),
    "embedding": (
        lambda: tk.layers.FactorizedReversibleEmbedding(
            729, 64, tk.formats.TensorTrain(4, (9, 9, 9), (4, 4, 4))
        ),
        (5,),
    ),
    # So many ids that only the distinct ones are looked up.
    "distinct ids": (
        lambda: tk.layers.FactorizedEmbedding(
            729, 64, tk.formats.TensorTrain(4, (9, 9, 9), (4, 4, 4))
        ),
        (100,),
    ),
    "conv": (
        lambda: tk.layers.FactorizedConv2D(32, 3, tk.formats.Tucker(2)),
        (6, 6, 32),
    ),
    "lstm": OTHERS["lstm"],
    "gru before": OTHERS["gru before"],
    "regression": OTHERS["regression"],
}


def memory_in_parts(layer, batch):
    """Bytes of a frozen layer's weights and intermediates, by its plans."""
    sites = freezable.sites(layer, freezable.planned_shape(layer, batch))
    most = freezable.own_limit(layer)
    found = [
        candidates_of(site.kernel.format, site.meetings, site.itemsize)[
            1
        ].within(most)
        for site in sites
    ]
    return sum(x.weight_bytes for x in found) + max(x.peak for x in found)


def least_of(model, batch):
    with pytest.raises(ValueError, match="`max_memory` must be") as caught:
        tk.freeze(model, batch, max_memory=1, measure=False)
    return int(str(caught.value).split("at least ")[1].split()[0])


@pytest.mark.parametrize("name", LIMITED)
def test_the_least_that_is_named_is_the_least(name):
    make, shape = LIMITED[name]
    layer = make()
    model = model_of(layer, shape)
    least = least_of(model, 16)
    frozen, report = tk.freeze(
        model, 16, max_memory=least, measure=False, return_report=True
    )
    with pytest.raises(ValueError, match="Raise it"):
        tk.freeze(model, 16, max_memory=least - 1, measure=False)
    (kept,) = frozen.layers
    if hasattr(kept, "cores"):
        assert memory_in_parts(kept, 16) <= least
    inputs = random_array((16, *shape))
    if name in ("embedding", "distinct ids"):
        inputs = keras.ops.cast(abs(inputs) * 100, "int32")
    assert_same(frozen, model, inputs)
    # More than what it is frozen for, and a batch of an unknown size.
    assert_same(frozen, model, keras.ops.concatenate([inputs, inputs[:3]]))
    assert_same(frozen, model, inputs[:2])
    assert report.rows[0].numbers_after == frozen.count_params()


def test_the_batch_is_cut_into_parts():
    model = wide_model()
    least = least_of(model, 64)
    layer = tk.freeze(model, 64, max_memory=least, measure=False).layers[0]
    plan = layer.plan(64)
    assert plan.tiles > 1
    weights = 4 * layer.format.num_params
    assert weights + plan.peak_bytes_at(64) == least
    # A plan for an unknown batch, as in `predict`, is not cut otherwise.
    assert layer._plan_for((None, WIDE)).tiles == plan.tiles
    free = tk.freeze(model, 64, "memory", measure=False).layers[0]
    whole = 4 * free.format.num_params + free.plan(64).peak_bytes_at(64)
    assert least < whole


def test_a_frozen_layer_keeps_its_limit_when_it_is_frozen_again():
    once = tk.freeze(wide_model(), 64, max_memory=10**6, measure=False)
    twice = tk.freeze(once, 64, measure=False)
    limits = [model.layers[0].max_memory for model in (once, twice)]
    assert limits[0] == limits[1] < 10**6


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_limit_of_a_layer_holds(objective, monkeypatch):
    """What is merged counts, as it does in the layer itself."""
    monkeypatch.setattr(choosing, "_regret", prefers(merged=False))
    most = 8 * 10**6
    model = wide_model(max_memory=most)
    assert most < 4 * WIDE * WIDE
    frozen = tk.freeze(model, 64, objective, measure=False)
    (layer,) = frozen.layers
    cores = 4 * model.layers[0].format.num_params
    assert memory_in_parts(layer, 64) <= most + cores
    assert_same(frozen, model, random_array((64, WIDE)))
    free = tk.freeze(wide_model(), 64, measure=False)
    assert type(free.layers[0]) is keras.layers.Dense


def test_the_smaller_limit_counts():
    model = wide_model(max_memory=8 * 10**6)
    frozen = tk.freeze(model, 64, max_memory=10**6, measure=False)
    assert memory_in_parts(frozen.layers[0], 64) <= 10**6


def test_a_layer_whose_limit_nothing_keeps_to_is_named():
    model = wide_model(max_memory=200_000, planning_batch=1)
    with pytest.raises(ValueError, match="wide' must be at least") as caught:
        tk.freeze(model, 4096, measure=False)
    assert "a layer with max_memory=200000" in str(caught.value)
    least = int(str(caught.value).split("at least ")[1].split()[0])
    model.layers[0].max_memory = least
    frozen = tk.freeze(model, 4096, measure=False)
    assert_same(frozen, model, random_array((3, WIDE)))


def test_axes_of_any_length_are_not_bound():
    model = keras.Sequential(
        [
            keras.Input((None, 10)),
            tk.layers.FactorizedLSTM(6, TRAIN, return_sequences=True),
        ]
    )
    least = least_of(model, 16)
    frozen = tk.freeze(model, 16, max_memory=least, measure=False)
    assert_same(frozen, model, random_array((16, 100, 10)))
