"""Configs give a layer's own arguments, with what building filled in."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tests.laws.oracles import as_numpy, assert_close, random_array

layers = tk.layers


def test_a_tt_layer_is_written_in_its_own_arguments():
    layer = layers.TTDense(10, 0.5, activation="relu", planning_batch=4)
    config = layer.get_config()
    assert config["units"] == 10
    assert (config["rank"], config["input_modes"]) == (0.5, None)
    assert config["planning_batch"] == 4
    assert "format" not in config


def test_building_fills_in_the_bound_values():
    layer = layers.TTDense(13, 3)
    layer.build((None, 67))
    config = layer.get_config()
    for argument in ("rank", "input_modes", "output_modes", "pad"):
        assert config[argument] == getattr(layer.format, argument)
    assert config["pad"] is True
    again = layers.TTDense.from_config(config)
    again.build((None, 67))
    assert again.format == layer.format


def test_a_share_is_written_as_the_ranks_it_came_to():
    layer = layers.TTConv2D(16, 3, rank=0.5)
    layer.build((None, 8, 8, 16))
    config = layer.get_config()
    assert config["rank"] == layer.format.rank
    assert all(isinstance(rank, int) for rank in config["rank"])


def test_a_factorized_layer_is_written_with_its_format():
    layer = layers.FactorizedConv2D(8, 3, tk.formats.TensorTrain(rank=3))
    assert layer.get_config()["format"] == {"name": "tt", "rank": 3}
    layer.build((None, 8, 8, 6))
    bound = layer.format.to_config()
    assert layer.get_config()["format"] == bound
    assert tk.formats.get(bound).is_bound


def test_a_format_may_be_given_as_plain_data():
    layer = layers.FactorizedDense(8, {"name": "tt", "rank": [2]})
    assert layer.format == tk.formats.TensorTrain(rank=(2,))


def test_all_arguments_of_keras_come_back():
    arguments = {
        "kernel_size": (3, 2),
        "strides": (2, 1),
        "padding": "same",
        "data_format": "channels_first",
        "groups": 2,
        "activation": "relu",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "bias_initializer": "ones",
        "kernel_regularizer": "l1",
        "bias_regularizer": "l2",
        "activity_regularizer": "l1",
        "bias_constraint": "non_neg",
        "name": "edges",
        "trainable": False,
        "dtype": "mixed_bfloat16",
    }
    config = layers.TTConv2D(8, rank=2, **arguments).get_config()
    twin = keras.layers.Conv2D(8, **arguments).get_config()
    for argument, value in twin.items():
        if argument in config:
            assert _unseeded(config[argument]) == _unseeded(value), argument
    left_out = set(twin) - set(config)
    assert left_out <= {"kernel_constraint", "lora_rank", "lora_alpha"}


def _unseeded(value):
    """A serialized value without the seed that was drawn for it."""
    if not isinstance(value, dict):
        return value
    return {k: _unseeded(v) for k, v in value.items() if k != "seed"}


def test_a_bound_layer_refuses_inputs_of_another_width():
    layer = layers.FactorizedDense(8, tk.formats.TensorTrain(rank=2))
    layer.build((None, 6))
    again = type(layer).from_config(layer.get_config())
    with pytest.raises(ValueError, match=r"\(6,\) x.*Received: input \(7,\)"):
        again.build((None, 7))


def test_one_unbound_format_serves_many_layers():
    train = tk.formats.TensorTrain(rank=2)
    small, large = (layers.FactorizedDense(8, train) for _ in range(2))
    small.build((None, 4))
    large.build((None, 400))
    assert not train.is_bound
    assert small.format.input_size == 4
    assert large.format.input_size == 400


def test_a_padded_layer_is_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((67,)), layers.TTDense(13, rank=3)])
    model.save(tmp_path / "padded.keras")
    loaded = keras.models.load_model(tmp_path / "padded.keras")
    inputs = random_array((2, 67))
    assert_close(loaded(inputs), model(inputs))


def test_weights_alone_are_saved_and_loaded(tmp_path):
    def fresh():
        layer = layers.TTConv2D(8, 3, rank=3)
        return keras.Sequential([keras.Input((6, 6, 4)), layer])

    model, other = fresh(), fresh()
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    inputs = random_array((2, 6, 6, 4))
    assert_close(other(inputs), model(inputs))


def test_a_frozen_layer_has_no_trainable_weights():
    layer = layers.TTDense(8, rank=2, trainable=False)
    layer.build((None, 8))
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == len(layer.cores) + 1


def test_the_list_of_cores_is_the_callers_own():
    layer = layers.TTDense(8, rank=2)
    layer.build((None, 64))
    layer.cores.clear()
    assert len(layer.cores) == len(layer.format.core_shapes)


def cores_of(**arguments):
    layer = layers.TTDense(8, rank=2, **arguments)
    layer.build((None, 64))
    return np.concatenate([as_numpy(core).ravel() for core in layer.cores])


def test_the_seed_of_keras_makes_layers_reproducible():
    keras.utils.set_random_seed(1)
    first, second = cores_of(), cores_of()
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(cores_of(), first)
    np.testing.assert_array_equal(cores_of(), second)
    assert not np.array_equal(first, second)


def test_the_seed_of_an_initializer_makes_its_layers_alike():
    first, second, other = (
        cores_of(kernel_initializer=keras.initializers.HeNormal(seed))
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_seed_generator_gives_every_layer_cores_of_its_own():
    seed = keras.random.SeedGenerator(3)
    first, second = (
        cores_of(kernel_initializer=keras.initializers.HeNormal(seed))
        for _ in range(2)
    )
    assert not np.array_equal(first, second)
