import functools

import keras
import numpy as np
import pytest

from tests.small_models import (
    assert_same_values,
    copy_of,
    mlp,
    numbers,
    values_of,
)


def squared(true, predicted):
    return keras.ops.mean(keras.ops.square(true - predicted), axis=-1)


def scaled(true, predicted, factor):
    return factor * squared(true, predicted)


class Weighted(keras.losses.Loss):
    """A loss that nobody registered, without a config."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, true, predicted):
        return self.factor * squared(true, predicted)


class Renamed(keras.metrics.MeanAbsoluteError):
    """A metric that nobody registered."""


class Undescribed(keras.metrics.Mean):
    """A metric with an argument that its config does not have."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor


class Doubled(keras.optimizers.SGD):
    """An optimizer that nobody registered."""


SETTINGS = {
    "strings": {"loss": "mse", "metrics": ["mae"]},
    "functions": {"loss": squared, "metrics": [squared]},
    "two lambdas": {
        "loss": lambda true, predicted: 2 * squared(true, predicted),
        "metrics": [lambda true, predicted: 7 * squared(true, predicted)],
    },
    "partial": {"loss": functools.partial(scaled, factor=3.0)},
    "objects": {
        "loss": keras.losses.Huber(delta=0.5),
        "metrics": [keras.metrics.RootMeanSquaredError(name="root")],
    },
    "custom objects": {
        "loss": Weighted(3.0),
        "metrics": [Renamed(name="mine")],
        "optimizer": Doubled(0.1, momentum=0.9),
    },
    "weights": {
        "loss": ["mse"],
        "loss_weights": [0.5],
        "weighted_metrics": ["mae"],
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_losses_and_metrics_are_carried_over(name):
    model = mlp()
    model.compile(
        **{"optimizer": "adam", "run_eagerly": True, **SETTINGS[name]}
    )
    data = numbers(8, 8), numbers(8, 6)
    expected = model.evaluate(*data, verbose=0, return_dict=True)
    copy = copy_of(model)
    found = copy.evaluate(*data, verbose=0, return_dict=True)
    assert found == pytest.approx(expected)
    assert copy.run_eagerly
    own = {id(variable) for variable in model.metrics_variables}
    assert own.isdisjoint(id(each) for each in copy.metrics_variables)


def test_settings_of_execution_are_carried_over():
    model = mlp()
    model.compile("adam", "mse", steps_per_execution=4, jit_compile=False)
    copy = copy_of(model)
    assert copy.steps_per_execution == 4
    assert copy.jit_compile is False
    assert copy.run_eagerly is False


def test_the_optimizer_is_fresh_with_the_learning_rate_of_now():
    model = mlp()
    optimizer = keras.optimizers.Adam(0.1, clipnorm=2.0)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.fit(numbers(8, 8), numbers(8, 6), verbose=0)
    model.optimizer.learning_rate = 0.025
    copy = copy_of(model)
    assert copy.optimizer is not model.optimizer
    assert copy.optimizer.get_config() == model.optimizer.get_config()
    assert int(model.optimizer.iterations) == 1
    assert int(copy.optimizer.iterations) == 0
    assert len(copy.optimizer.variables) == len(model.optimizer.variables)


def test_a_schedule_of_learning_rates_is_carried_over():
    model = mlp()
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    model.compile(keras.optimizers.AdamW(schedule), "mse")
    config = copy_of(model).optimizer.get_config()
    assert config == model.optimizer.get_config()


def test_losses_by_output_are_carried_over():
    inputs = keras.Input((8,))
    outputs = {name: keras.layers.Dense(2, name=name)(inputs) for name in "ab"}
    model = keras.Model(inputs, outputs)
    model.compile(
        "sgd",
        {"a": "mse", "b": squared},
        metrics={"b": ["mae"]},
        run_eagerly=True,
    )
    data = numbers(8, 8), {name: numbers(8, 2) for name in "ab"}
    found = copy_of(model).evaluate(*data, verbose=0, return_dict=True)
    assert found == pytest.approx(
        model.evaluate(*data, verbose=0, return_dict=True)
    )


def test_an_uncompiled_model_stays_uncompiled():
    assert not copy_of(mlp()).compiled


def test_settings_that_cannot_be_made_again_are_left_out_with_a_warning():
    model = mlp()
    model.compile("adam", "mse", metrics=[Undescribed(2.0)])
    with pytest.warns(UserWarning, match=r"'mlp' could not .* yourself"):
        copy = copy_of(model)
    assert not copy.compiled
    assert model.compiled


def test_training_the_copy_and_its_source_are_independent():
    model = mlp()
    model.compile("adam", "mse", run_eagerly=True)
    data = numbers(8, 8), numbers(8, 6)
    model.fit(*data, verbose=0)
    source_before = values_of(model)
    copy = copy_of(model)
    copy.fit(*data, verbose=0)
    assert_same_values(values_of(model), source_before)
    copy_before = values_of(copy)
    model.fit(*data, verbose=0)
    assert_same_values(values_of(copy), copy_before)
    for old, new in zip(source_before, copy_before, strict=True):
        assert not np.array_equal(old, new)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_training_of_a_copy_leaves_its_source(jit_compile):
    if jit_compile and keras.config.backend() == "torch":
        pytest.skip("PyTorch takes long to compile.")
    model = mlp()
    model.compile("sgd", "mse", jit_compile=jit_compile)
    source_before = values_of(model)
    copy = copy_of(model)
    copy.fit(numbers(8, 8), numbers(8, 6), epochs=2, verbose=0)
    assert_same_values(values_of(model), source_before)
    copy_before = values_of(copy)
    model.fit(numbers(8, 8), numbers(8, 6), epochs=2, verbose=0)
    assert_same_values(values_of(copy), copy_before)
    for old, new in zip(source_before, copy_before, strict=True):
        assert not np.array_equal(old, new)


def test_layers_frozen_after_compiling_stay_frozen_in_training():
    model = mlp()
    model.compile("adam", "mse", run_eagerly=True)
    model.layers[0].trainable = False
    copy = copy_of(model)
    before = values_of(copy)
    copy.fit(numbers(8, 8), numbers(8, 6), verbose=0)
    after = values_of(copy)
    assert_same_values(before[:2], after[:2])
    assert not np.array_equal(before[2], after[2])


def test_a_nested_compiled_model_stays_compiled_in_the_source():
    nested = mlp()
    nested.compile("adam", Weighted(2.0))
    inputs = keras.Input((8,))
    model = keras.Model(inputs, nested(inputs))
    copy_of(model)
    assert nested.compiled
