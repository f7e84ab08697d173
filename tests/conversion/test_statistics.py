"""Statistics of batch normalizations on calibration data."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tensornet_keras as tk
from tensornet_keras.conversion import statistics
from tests.small_models import (
    assert_same_values,
    copy_of,
    numbers,
    randomized,
    values_of,
)

LOW = tk.formats.LowRank


def net(frozen=False):
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
    if frozen:
        norms[0].trainable = False
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


def test_a_conversion_keeps_the_better():
    """The model has what the report says, and the source stays as it was."""
    model, x = net(), numbers(256, 8, seed=7)
    before = values_of(model)
    small, report = tk.convert(model, LOW(rank=2), calibration_data=x)
    assert_same_values(values_of(model), before)
    held_back = x[192:]
    wanted, found = model(held_back), small(held_back)
    missed = np.linalg.norm(ops.convert_to_numpy(wanted - found))
    missed /= np.linalg.norm(ops.convert_to_numpy(wanted))
    told = report.statistics
    assert min(told.source, told.estimated) == pytest.approx(missed, rel=1e-3)
    changed = [
        not np.array_equal(ours.moving_mean, theirs.moving_mean)
        for ours, theirs in zip(norms_of(small), norms_of(model), strict=True)
    ]
    assert changed == [told.changed] * 2
    assert report.to_dict()["statistics"]["source"] == told.source
    assert "batch-norm statistics" in str(report)


def test_a_frozen_normalization_is_left_alone():
    model, x = net(frozen=True), numbers(256, 8, seed=7)
    small, report = tk.convert(model, LOW(rank=1), calibration_data=x)
    assert report.statistics is not None
    np.testing.assert_array_equal(
        ops.convert_to_numpy(small.get_layer("norm_one").moving_mean),
        ops.convert_to_numpy(model.get_layer("norm_one").moving_mean),
    )


def test_nothing_is_held_back_where_there_is_nothing_to_judge():
    batches = [1, 2, 3]
    assert statistics.split(batches, [layers.Dense(3)]) == (batches, [])
    norms = norms_of(net())
    assert statistics.split(batches, norms) == ([1, 2], [3])
    assert statistics.split([1], norms) == ([1], [])
    assert statistics.split(range(32), norms)[1] == [28, 29, 30, 31]
