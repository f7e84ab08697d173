"""Statistics of batch normalizations on calibration data."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tensornet_keras as tk
from tensornet_keras.conversion import statistics
from tensornet_keras.conversion.calibration import Calibration
from tests.small_models import (
    assert_same_values,
    copy_of,
    numbers,
    randomized,
    values_of,
)

LOW = tk.formats.LowRank


def net():
    """Two dense layers, each with a normalization trained to its input."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, name="one"),
            layers.BatchNormalization(name="norm_one"),
            layers.ReLU(),
            layers.Dense(12, name="two"),
            layers.BatchNormalization(name="norm_two"),
        ]
    )
    randomized(model)
    norms = [model.get_layer(name) for name in ("norm_one", "norm_two")]
    statistics.estimate(model, norms, [numbers(512, 8)])
    return model


def norms_of(model):
    return [x for x in model.layers if "norm" in x.name]


def settle(source, copy, batches, held_back):
    return statistics.settled(source, copy, norms_of(copy), batches, held_back)


def test_estimates_are_the_moments_of_what_a_layer_gets():
    model = net()
    batches = [numbers(64, 8, seed=5), numbers(32, 8, seed=6)]
    statistics.estimate(model, norms_of(model), batches)
    given = ops.convert_to_numpy(model.get_layer("one")(np.vstack(batches)))
    norm = model.get_layer("norm_one")
    mean, variance = map(
        ops.convert_to_numpy, (norm.moving_mean, norm.moving_variance)
    )
    np.testing.assert_allclose(mean, given.mean(0), atol=1e-4)
    np.testing.assert_allclose(variance, given.var(0), rtol=1e-4)
    # And the layer is called as before.
    assert "call" not in vars(norm)


def test_a_scaled_kernel_is_made_up_for():
    source = net()
    copy = copy_of(source)
    layer = copy.get_layer("one")
    layer.set_weights([3.0 * each + 1.0 for each in layer.get_weights()])
    layer.bias.assign(3.0 * source.get_layer("one").bias)
    layer.kernel.assign(3.0 * source.get_layer("one").kernel)
    found = settle(
        source, copy, [numbers(512, 8, seed=3)], [numbers(64, 8, seed=4)]
    )
    assert found.changed
    assert found.estimated < 0.2 < found.source


def test_estimates_that_do_harm_are_dropped():
    source = net()
    copy = copy_of(source)
    before = values_of(copy)
    others = [5.0 + numbers(64, 8, seed=3)]
    found = settle(source, copy, others, [numbers(64, 8, seed=4)])
    assert not found.changed
    assert found.source == pytest.approx(0.0, abs=1e-5)
    assert_same_values(values_of(copy), before)


def grouped(frozen=False):
    """A kernel that is decomposed without data moves the means behind it."""
    model = keras.Sequential(
        [
            keras.Input((12, 8)),
            layers.Conv1D(16, 3, groups=2, name="one"),
            layers.BatchNormalization(name="norm_one"),
            layers.Conv1D(16, 3, groups=2, name="two"),
            layers.BatchNormalization(name="norm_two"),
        ]
    )
    randomized(model)
    statistics.estimate(model, norms_of(model), [examples(256, seed=2)])
    model.get_layer("norm_one").trainable = not frozen
    return model


def examples(count, seed=7):
    return numbers(count, 12, 8, seed=seed) + 3.0


def moved(model, small):
    """For each normalization, whether its mean is another."""
    pairs = zip(norms_of(small), norms_of(model), strict=True)
    return [
        not np.array_equal(
            ops.convert_to_numpy(ours.moving_mean),
            ops.convert_to_numpy(theirs.moving_mean),
        )
        for ours, theirs in pairs
    ]


def error_of(model, small, x):
    wanted, found = map(ops.convert_to_numpy, (model(x), small(x)))
    return np.linalg.norm(wanted - found) / np.linalg.norm(wanted)


def test_a_conversion_gets_better_statistics():
    """The model has what the report says, and the source stays as it was."""
    model, x = grouped(), examples(256)
    before = values_of(model)
    small, report = tk.convert(model, LOW(rank=2), calibration_data=x)
    assert_same_values(values_of(model), before)
    told = report.statistics
    assert told.changed
    assert told.estimated < 0.9 * told.source
    assert told.estimated == pytest.approx(
        error_of(model, small, x[224:]), rel=1e-3
    )
    assert moved(model, small) == [True, True]
    assert report.to_dict()["statistics"]["source"] == told.source
    assert "batch-norm statistics: estimated anew" in str(report)


def test_a_conversion_keeps_statistics_that_are_better():
    model, x = net(), numbers(256, 8, seed=7)
    small, report = tk.convert(model, LOW(rank=2), calibration_data=x)
    told = report.statistics
    assert not told.changed
    assert told.source == pytest.approx(
        error_of(model, small, x[224:]), rel=1e-3
    )
    assert moved(model, small) == [False, False]


def test_a_frozen_normalization_is_left_alone():
    model = grouped(frozen=True)
    small, report = tk.convert(
        model, LOW(rank=2), calibration_data=examples(256)
    )
    assert report.statistics.changed
    assert moved(model, small) == [False, True]


def test_a_masked_normalization_is_left_alone():
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            layers.Masking(),
            layers.BatchNormalization(name="norm"),
        ]
    )
    x = numbers(64, 5, 4) + 3.0
    x[:, 3:] = 0.0
    before = values_of(model)
    statistics.estimate(model, norms_of(model), [x])
    assert_same_values(values_of(model), before)


@keras.saving.register_keras_serializable("tests")
class Looping(layers.Layer):
    """Calls a normalization where no numbers can be seen."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = layers.BatchNormalization()

    def build(self, input_shape):
        self.norm.build((None, input_shape[-1]))

    def call(self, x):
        return ops.vectorized_map(
            lambda row: self.norm(row[None], training=False)[0], x
        )


def test_a_normalization_in_a_loop_does_no_harm():
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8), Looping(), layers.Dense(4)]
    )
    randomized(model)
    small, _ = tk.convert(model, LOW(rank=2), calibration_data=numbers(128, 8))
    looped = [x for x in small.layers if isinstance(x, Looping)]
    np.testing.assert_array_equal(
        ops.convert_to_numpy(looped[0].norm.moving_mean),
        ops.convert_to_numpy(model.layers[1].norm.moving_mean),
    )


def test_the_last_eighth_of_the_examples_is_held_back():
    def lengths(sizes, fixed=False):
        batches = [np.zeros((size, 2)) for size in sizes]
        parts = statistics.split(batches, fixed)
        return tuple([len(batch) for batch in part] for part in parts)

    assert lengths([64] * 8) == ([64] * 7, [64])
    assert lengths([64] * 12) == ([64] * 10 + [32], [32, 64])
    assert lengths([64, 64]) == ([64, 48], [16])
    assert lengths([64, 1]) == ([57], [7, 1])
    assert lengths([32]) == ([32], [])
    assert lengths([64, 64], fixed=True) == ([64, 64], [])
    assert lengths([16] * 12, fixed=True) == ([16] * 11, [16])


def test_without_normalizations_all_examples_are_fitted_to():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8)])
    found = Calibration(model, numbers(128, 8))
    assert [len(batch) for batch in found.batches] == [64, 64]
    assert found.held_back == []
