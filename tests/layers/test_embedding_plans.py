"""Plans for distinct ids: how many there are, and what they may take."""

import dataclasses

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.contraction import candidates
from tensornet_keras.contraction.execute import execute
from tensornet_keras.layers import factorized
from tests.laws.oracles import as_numpy, assert_close, dense_weight


def built(**more):
    layer = tk.layers.FactorizedEmbedding(
        67, 13, tk.formats.TensorTrain(rank=3), **more
    )
    layer.build((None,))
    return layer


def table_of(layer):
    return dense_weight(layer.format.network, layer.cores)


@pytest.mark.parametrize("xla", [False, True])
def test_distinct_ids_in_parts_and_ranges(xla, monkeypatch):
    layer = built(deduplicate=True)
    ids = np.array([[4, 2, 2, 9, 1], [1, 66, 4, 4, 5]])
    expected = table_of(layer)[ids]
    plan = dataclasses.replace(layer.plan(ids.shape), tiles=3)
    first, *_, last = candidates(plan.network, plan.positions)
    ranges = ((1, first), (2, dataclasses.replace(last, tiles=2)))
    plan = dataclasses.replace(plan, ranges=ranges)
    monkeypatch.setattr(type(layer), "_plan_for", lambda *_: plan)
    taken = []
    monkeypatch.setattr(factorized, "execute", spied(taken))
    function = backend.compiled(lambda x: layer(x), xla)
    found = function(keras.ops.convert_to_tensor(ids, "int32"))
    assert_close(as_numpy(found), expected)
    assert (
        taken
        == {
            # XLA knows no number of distinct ids that could choose or be cut.
            "tensorflow": [1] if xla else [1, 2],
            # As many as there are ids.
            "jax": [2],
            # Six of ten, which is one example of five and a bit.
            "torch": [1],
        }[backend.name()]
    )


def spied(taken):
    """`execute`, which says into how many parts a batch is cut."""

    def execute_and_tell(plan, *arguments):
        taken.append(plan.tiles)
        return execute(plan, *arguments)

    return execute_and_tell


def test_distinct_ids_are_planned_whatever_the_planning_batch():
    layer = built(deduplicate=True, planning_batch=32)
    rows = layer.plan((32, 4)).batch
    assert rows == 67
    # For fewer than there are words, what was asked for is planned.
    assert layer.plan((1, 4)).batch == rows
    few = built(deduplicate=True, planning_batch=2)
    assert few.plan((32, 4)).network.labels_of("lookup")
    assert few._plan_for((32, 4)).batch == 2


def test_a_memory_for_distinct_ids_holds_for_any_batch():
    free = built(deduplicate=True)
    most = free.plan((100, 100)).peak_bytes_at(67)
    layer = built(deduplicate=True, max_memory=most)
    for shape in ((100, 100), (None, 100), (2, 5)):
        assert layer.plan(shape).peak_bytes <= most
