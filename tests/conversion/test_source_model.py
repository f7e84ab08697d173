"""A conversion leaves its source alone, whatever becomes of the result."""

import keras
import numpy as np
import pytest
from keras import layers

from tests.small_models import (
    assert_same_values,
    convert_exactly,
    mlp,
    numbers,
    randomized,
    values_of,
)


@pytest.mark.parametrize("fails_at", ["decomposition", "surgery"])
def test_the_source_is_not_changed_even_if_conversion_fails(fails_at):
    inputs = keras.Input((8,))
    outputs = layers.Dense(6)(mlp()(inputs))
    if fails_at == "surgery":
        outputs = Configless(2.0)(outputs)
    model = randomized(keras.Model(inputs, outputs))
    if fails_at == "decomposition":
        model.layers[-1].kernel.assign(np.full((6, 6), np.nan))
    model.layers[1].trainable = False
    model.compile("adam", "mse")
    before = values_of(model), traits_of(model)
    with pytest.raises(ValueError, match="Received: "):
        convert_exactly(model)
    assert_same_values(values_of(model), before[0])
    assert traits_of(model) == before[1]


class Configless(layers.Layer):
    """Takes an argument that its config does not have."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs


def traits_of(model):
    """What a conversion might disturb, apart from the weights."""
    flat = model._flatten_layers()
    return (
        model.compiled,
        model.optimizer,
        [layer.trainable for layer in flat],
        [len(layer._inbound_nodes) for layer in flat],
        [len(layer._outbound_nodes) for layer in flat],
    )


def test_a_successful_conversion_does_not_change_the_source():
    model = keras.Sequential([keras.Input((8,)), mlp(), layers.Dropout(0.5)])
    model.compile("adam", "mse")
    before = values_of(model), traits_of(model)
    small, _ = convert_exactly(model)
    assert_same_values(values_of(model), before[0])
    assert traits_of(model) == before[1]
    for variable in small.variables:
        variable.assign(np.zeros(variable.shape))
    assert_same_values(values_of(model), before[0])


def test_a_converted_model_trains_and_its_source_does_not_notice():
    model = mlp()
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    small, _ = convert_exactly(model)
    before, untrained = values_of(model), values_of(small)
    history = small.fit(numbers(32, 8), numbers(32, 6), epochs=3, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert "mae" in history.history
    assert_same_values(values_of(model), before)
    for old, new in zip(untrained, values_of(small), strict=True):
        assert not np.array_equal(old, new)
