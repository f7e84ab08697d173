import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.layer_variants import data_for_every_variant, every_variant
from tests.small_models import (
    assert_same_function,
    assert_same_outputs,
    assert_same_values,
    convert_exactly,
    mlp,
    numbers,
    randomized,
    values_of,
)

RANK_TWO = tk.formats.TensorTrain(rank=2)
FACTORIZED = {
    "FactorizedDense": (
        (5, 8),
        lambda **kwargs: tk.layers.FactorizedDense(
            6, RANK_TWO, planning_batch=4, **kwargs
        ),
    ),
    "TTConv1D": (
        (9, 8),
        lambda **kwargs: tk.layers.TTConv1D(
            6, 3, rank=2, padding="causal", dilation_rate=2, **kwargs
        ),
    ),
    "TTConv2D": (
        (9, 8, 4),
        lambda **kwargs: tk.layers.TTConv2D(
            6, (3, 2), rank=2, strides=(2, 1), groups=2, **kwargs
        ),
    ),
    "FactorizedConv3D": (
        (4, 5, 4, 4),
        lambda **kwargs: tk.layers.FactorizedConv3D(
            6, 2, RANK_TWO, padding="same", **kwargs
        ),
    ),
    "TTDense": (
        (17,),
        lambda **kwargs: tk.layers.TTDense(19, rank=3, **kwargs),
    ),
}


@pytest.mark.parametrize("name", FACTORIZED)
def test_a_factorized_layer_becomes_an_ordinary_one(name):
    shape, build = FACTORIZED[name]
    settings = {
        "activation": "tanh",
        "bias_initializer": "ones",
        "kernel_initializer": "he_normal",
        "kernel_regularizer": "l2",
        "name": "mine",
        "trainable": False,
    }
    model = randomized(
        keras.Sequential([keras.Input(shape), build(**settings)])
    )
    dense = tk.densify(model)
    layer, source = dense.layers[0], model.layers[0]
    assert type(layer).__module__.startswith("keras.")
    assert name.endswith(type(layer).__name__)
    config = source.get_config()
    for key, value in layer.get_config().items():
        assert config.get(key) == value, key
    assert dense.trainable_weights == []
    assert_same_function(model, dense, numbers(3, *shape))


def test_converting_and_densifying_gives_the_model_back():
    model = every_variant()
    dense = tk.densify(convert_exactly(model)[0])
    for ours, theirs in zip(dense.layers, model.layers, strict=True):
        assert type(ours) is type(theirs)
        before, after = theirs.get_config(), ours.get_config()
        # The weights are there; what would draw new ones may differ.
        for config in (before, after):
            config.pop("kernel_initializer", None)
        assert after == before
        assert_same_outputs(theirs.weights, ours.weights)
    assert_same_function(model, dense, data_for_every_variant())


def test_the_numbers_of_a_truncated_model_stay():
    model = mlp(activation="relu")
    model.compile("adam", "mse")
    small, _ = tk.convert(model, RANK_TWO, min_compression=0)
    before = values_of(small)
    dense = tk.densify(small)
    assert dense.compiled
    assert dense.count_params() == model.count_params()
    assert_same_values(values_of(small), before)
    assert_same_function(small, dense, numbers(3, 8))


def test_shared_and_nested_layers_stay_shared_and_nested():
    shared = tk.layers.TTDense(8, rank=2, name="shared")
    nested = keras.Sequential([keras.Input((8,)), shared], name="nested")
    inputs = keras.Input((8,))
    model = keras.Model(inputs, shared(nested(inputs)))
    dense = tk.densify(model)
    assert type(dense.get_layer("shared")) is layers.Dense
    assert dense.get_layer("shared") is dense.get_layer("nested").layers[0]
    assert_same_function(model, dense, numbers(3, 8))


def test_a_model_without_factorized_layers_is_copied():
    model = mlp()
    dense = tk.densify(model)
    assert dense is not model
    assert_same_values(values_of(dense), values_of(model))


def test_the_weights_of_a_layer_used_as_activation_come_along():
    prelu = keras.layers.PReLU(alpha_initializer="ones")
    layer = tk.layers.TTDense(6, rank=2, activation=prelu)
    model = keras.Sequential([keras.Input((8,)), layer])
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    model(x)  # builds the activation
    prelu.alpha.assign(np.linspace(0.1, 0.6, 6))
    dense = tk.densify(model)
    before = model.predict(x, verbose=0)
    after = dense.predict(x, verbose=0)
    np.testing.assert_allclose(after, before, atol=1e-6)
