"""Second moments of inputs: what few rows say, and what a mean is worth."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.conversion import fitting
from tensornet_keras.conversion.moments import Moments, shrinkage
from tests.conversion.calibrated import examples, missed
from tests.laws.oracles import as_numpy
from tests.small_models import numbers, randomized

LOW = tk.formats.LowRank


def moments_of(rows):
    found = Moments(rows.shape[-1])
    found.add(rows, rows)
    return found.same()


def losses(layer, rows):
    options = fitting.options_of(layer, [LOW()], [moments_of(rows)], seed=0)
    return {format.rank: loss for loss, (format,) in options}


def dense(features, units, bias=True):
    layer = layers.Dense(units, use_bias=bias)
    return randomized(keras.Sequential([keras.Input((features,)), layer]))


def test_moments_are_about_the_mean_where_there_is_a_bias():
    rows = numbers(50, 4) + 3.0
    moved = rows - rows.mean(0)
    found = moments_of(rows).centered()
    for each in (found, found.centered()):
        np.testing.assert_allclose(
            each.own, moved.T @ moved, rtol=1e-3, atol=1e-3
        )


def test_the_shrinkage_is_that_of_the_paper():
    rows = numbers(9, 5) * np.geomspace(1, 0.1, 5)
    moments = rows.T @ rows / 9
    trace, squared = np.trace(moments), np.trace(moments @ moments)
    expected = ((1 - 2 / 5) * squared + trace**2) / (
        (9 + 1 - 2 / 5) * (squared - trace**2 / 5)
    )
    assert 0 < expected < 1
    assert shrinkage(moments, 9) == pytest.approx(expected, rel=1e-5)
    # Sums are as good as means.
    assert shrinkage(9 * moments, 9) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "moments", [np.eye(4), np.zeros((4, 4)), np.ones((1, 1))]
)
def test_what_is_alike_is_not_shrunk(moments):
    assert shrinkage(moments, 3) == 0.0


def test_few_rows_come_closer_to_the_truth():
    turn = np.linalg.qr(numbers(64, 64, seed=7))[0]
    truth = (turn.T * np.geomspace(1, 0.05, 64) ** 2) @ turn
    truth *= 64 / np.trace(truth)
    rows = examples(24, 64)
    plain = rows.T @ rows
    plain *= 64 / np.trace(plain)
    found = moments_of(rows).norm().matrix
    far = np.linalg.norm(plain - truth)
    assert np.linalg.norm(found - truth) < 0.8 * far
    many = examples(10_000, 64)
    found = moments_of(many).norm().matrix
    assert np.linalg.norm(found - truth) < 0.1 * far


def test_as_many_factors_as_rows_are_not_free():
    """Ten pictures that a network has pooled leave no layer of ten factors."""
    model, rows = dense(64, 48), examples(10, 64)
    assert losses(model.layers[0], rows)[(10,)] > 0.01


@pytest.mark.parametrize("bias", [True, False])
def test_a_curve_leaves_the_mean_to_the_bias(bias):
    model, rows = dense(32, 24, bias), examples(2_000, 32)
    rows = rows + 3.0 * rows.std() * numbers(32, seed=3)
    outputs = as_numpy(model(rows.astype("float32")))
    varying = outputs - outputs.mean(0) if bias else outputs
    missed = np.linalg.svd(varying, compute_uv=False)[1:]
    expected = (missed**2).sum() / (outputs**2).sum()
    found = losses(model.layers[0], rows)
    assert found[(1,)] == pytest.approx(expected, rel=0.05)


def test_outputs_that_are_their_mean_hardly_count():
    """Of one kernel, with a bias that takes the mean away or adds to it."""
    model, rows = dense(32, 24), examples(2_000, 32) + 1.0
    (layer,) = model.layers
    found = {}
    for offset in (0.0, 10.0):
        layer.bias.assign(offset - rows.mean(0) @ as_numpy(layer.kernel))
        found[offset] = losses(layer, rows)[(1,)]
    outputs = as_numpy(model(rows.astype("float32")))
    share = 1.0 - 24 * 10.0**2 / (outputs**2).sum(1).mean()
    assert 0 < share < 0.5
    assert found[10.0] == pytest.approx(share * found[0.0], rel=0.01)


def test_a_single_row_makes_nothing_free():
    model, rows = dense(32, 24), examples(1, 32)
    found = losses(model.layers[0], rows)
    assert min(found.values()) < 0.1 < found[(1,)]


def test_an_error_is_that_of_others_too():
    """Few rows: what a layer adds is held against those to come as well."""
    model, rows = dense(64, 96, bias=False), examples(40, 64)
    others = examples(1_000, 64, seed=5)
    for error in (0.4, 0.6):
        small, report = tk.convert(
            model, LOW(), error=error, calibration_data=rows
        )
        assert report.replaced
        assert missed(model, small, rows) < missed(model, small, others) < error


def test_a_layer_is_fitted_to_the_rows_as_they_are():
    """The least squares are not drawn to the source's kernel."""
    source, kernel = numbers(4_000, 6), numbers(6, 3, seed=2)
    moments = Moments(6)
    moments.add(2.0 * source, source)
    # The inputs are white, so their norm is as good as that of the kernel.
    assert shrinkage(moments.own, moments.count) > 0.5
    np.testing.assert_allclose(moments.closest(kernel), kernel / 2, rtol=0.01)
