import json

import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import formats
from tensornet_keras.contraction import candidates, plan_for
from tensornet_keras.formats import LowRank, Merged, TensorTrain
from tests.laws.examples import examples_of_every_format

TRAIN = TensorTrain((3, 4), (2, 3, 2), (2, 2, 3)).bind((12,), (12,))
MERGED = Merged.of(TRAIN, (("i3", "j3", "r2"), ("r2", "j1", "j2", "i1", "i2")))


def test_merged_cores_have_the_legs_of_their_source():
    network = MERGED.network
    assert network.core_shapes == ((2, 3, 4), (4, 2, 2, 2, 3))
    assert network.legs == TRAIN.network.legs
    assert network.bonds == (("r2", 4),)
    assert MERGED.rank == (4,)
    assert MERGED.num_params == 24 + 96
    assert MERGED.dense_shape == TRAIN.dense_shape


def test_no_plan_merges_or_reorders_them():
    (plan,) = candidates(MERGED.network)
    assert plan.order == (0, 1)
    assert plan_for(MERGED.network, 7).order == (0, 1)
    assert plan_for(MERGED.network, None).ranges == ()


def test_a_transposed_network_is_planned_anew():
    assert len(candidates(MERGED.network.transposed())) > 1


@pytest.mark.parametrize("format", examples_of_every_format(), ids=str)
def test_the_dense_kernel_is_a_single_core(format):
    dense = Merged.dense(format)
    assert dense.core_shapes == (format.dense_shape,)
    assert dense.num_params == format.dense_params
    (plan,) = candidates(dense.network)
    assert plan.rebuilds
    assert not any(step.weight_only for step in plan.steps)


def test_the_config_survives_json():
    config = json.loads(json.dumps(MERGED.to_config()))
    again = formats.get(config)
    assert again == MERGED
    assert hash(again) == hash(MERGED)
    assert again.network == MERGED.network


def test_it_binds_to_its_own_sizes_only():
    assert MERGED.bind((12,), (12,)) is MERGED
    with pytest.raises(ValueError, match="fits only the sizes"):
        MERGED.bind((12,), (6,))


def test_it_is_not_written_by_hand():
    with pytest.raises(ValueError, match="Merged cores belong to sizes"):
        Merged()
    with pytest.raises(ValueError, match="The catalog has the formats"):
        formats.get("merged")
    assert "merged" not in formats.CATALOG


def test_labels_that_make_no_network_are_refused():
    with pytest.raises(ValueError, match="Every leg must be on a core"):
        Merged.of(TRAIN, (("i3", "j3", "r2"), ("r2", "i1", "i2")))


def test_its_name_is_taken():
    class Other(LowRank):
        name = "merged"

    with pytest.raises(ValueError, match="which Merged has already"):
        formats.register(Other)


def test_nothing_decomposes_into_it():
    with pytest.raises(ValueError, match="has algorithms for the formats"):
        tk.decompose(np.ones((12, 12), "float32"), MERGED)


def test_it_prints_its_modes_and_its_cores():
    assert str(MERGED) == "merged(2·3·2 x 2·2·3, 2 cores, ranks (4,))"
    assert "1 core," in str(Merged.dense(TRAIN))
