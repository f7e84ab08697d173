"""Trains over hundreds of sites: nothing overflows, fades or stands still."""

import keras
import numpy as np
import pytest

from tensornet_keras import backend
from tensornet_keras.layers import MPSLayer
from tests.laws.oracles import as_numpy
from tests.layers.mps_oracle import (
    UNSTRUCTURED,
    WIDE,
    built,
    embedded,
    outputs_of,
    uniform,
    value_and_log,
    value_of,
)

ops = keras.ops


@pytest.mark.parametrize(
    ("features", "boundary"),
    [(10, "open"), (500, "open"), (2000, "open"), (500, "periodic")],
)
def test_outputs_have_variance_one_at_the_start(features, boundary):
    layer = built(features, units=200, rank=8, boundary=boundary, seed=0)
    x = np.random.default_rng(0).choice([-1.0, 1.0], (16, features))
    square = np.mean(np.square(as_numpy(outputs_of(layer, x))))
    assert square == pytest.approx(1, rel=0.4)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e10])
@pytest.mark.parametrize("rank", [4, WIDE])
def test_600_sites_of_any_scale_keep_their_logarithm(rank, scale):
    layer = built(600, rank=rank, kernel_initializer=UNSTRUCTURED)
    cores = [scale * as_numpy(core) for core in layer.cores]
    layer.set_cores(cores)
    x = uniform(3, 600)
    value, log = value_and_log(layer.cores, embedded(x, "poly", 2), 300)
    sign, found = (as_numpy(y) for y in outputs_of(layer.sign_and_log, x))
    np.testing.assert_array_equal(sign, np.sign(value))
    expected = np.log(np.abs(value)) + log
    assert scale == 1.0 or np.abs(expected).min() > 1000
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0.01)


def test_sites_of_alternating_scale_give_the_true_value():
    layer = built(600, seed=0)
    scales = np.where(np.arange(601) % 2, 1e10, 1e-10)
    scales[-1] = 1.0
    cores = [as_numpy(core) for core in layer.cores]
    layer.set_cores([s * c for s, c in zip(scales, cores, strict=True)])
    x = uniform(4, 600)
    expected = value_of(layer, x)
    np.testing.assert_allclose(
        as_numpy(outputs_of(layer, x)), expected, rtol=1e-3
    )


def test_slices_of_a_core_may_differ_in_scale():
    layer = built(600, embedding="basis", seed=0)
    cores = [as_numpy(core).copy() for core in layer.cores]
    for k, core in enumerate(cores):
        if k != layer.output_site:
            core[(slice(None),) * (core.ndim == 3 or k > 0) + (1,)] *= 1e-20
    layer.set_cores(cores)
    x = np.ones((1, 600), int)
    value, log = value_and_log(cores, embedded(x, "basis", 2), 300)
    sign, found = (as_numpy(y) for y in outputs_of(layer.sign_and_log, x))
    np.testing.assert_array_equal(sign, np.sign(value))
    np.testing.assert_allclose(found, np.log(np.abs(value)) + log, rtol=1e-5)


@pytest.mark.parametrize("output", ["value", "normalized", "log_square"])
@pytest.mark.parametrize("scale", [1e-10, 1e10])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_no_output_is_without_number(policy, scale, output):
    layer = built(500, output=output, dtype=policy, seed=0)
    layer.set_cores([scale * as_numpy(core) for core in layer.cores])
    outputs = outputs_of(layer, uniform(3, 500))
    assert keras.backend.standardize_dtype(outputs.dtype) == (
        "float16" if policy == "mixed_float16" else "float32"
    )
    assert np.isfinite(as_numpy(ops.cast(outputs, "float32"))).all()


def test_a_train_of_zeros_is_zero_and_no_nan():
    for output, expected in (("value", 0), ("normalized", 0)):
        layer = built(9, output=output, kernel_initializer="zeros")
        found = as_numpy(outputs_of(layer, uniform(2, 9)))
        np.testing.assert_array_equal(found, expected)
    logits = built(9, output="log_square", kernel_initializer="zeros")
    assert np.isfinite(as_numpy(outputs_of(logits, uniform(2, 9)))).all()


def gradients(layer, x, loss):
    """Gradients of a loss of the outputs by every variable, as NumPy's."""
    variables = layer.trainable_variables

    def of_values(*values):
        return loss(layer.stateless_call(values, [], x)[0])

    def of_all(*values):
        return backend.gradients(of_values, list(values))

    found = backend.compiled(of_all)(*(v.value for v in variables))
    return {
        variable.name: as_numpy(one)
        for variable, one in zip(variables, found, strict=True)
    }


@pytest.mark.parametrize("output", ["value", "normalized", "log_square"])
@pytest.mark.parametrize("rank", [4, WIDE])
def test_gradients_reach_every_core_of_500_and_are_finite(rank, output):
    layer = built(500, rank=rank, output=output, seed=0)
    found = gradients(layer, uniform(4, 500), lambda y: ops.mean(y[:, 0] * 2))
    assert set(found) == {
        "first_core",
        "inner_cores",
        "output_core",
        "last_core",
    }
    for name, gradient in found.items():
        assert np.isfinite(gradient).all()
        per_core = gradient if name == "inner_cores" else gradient[None]
        largest = np.abs(per_core).reshape(len(per_core), -1).max(axis=1)
        assert largest.min() > 0


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_gradients_are_those_of_the_true_value(boundary):
    layer = built(5, boundary=boundary, rank=3, kernel_initializer=UNSTRUCTURED)
    x = uniform(2, 5)
    found = gradients(layer, x, ops.sum)["inner_cores"]
    cores = [as_numpy(core).astype("float64") for core in layer.cores]
    features = embedded(x, "poly", 2)
    step, place = 1e-4, 1
    for entry in ((0, 0, 0), (2, 1, 1)):
        values = []
        for sign in (1, -1):
            moved = [core.copy() for core in cores]
            moved[place][entry] += sign * step
            value, log = value_and_log(moved, features, layer.output_site)
            values.append((value * np.exp(log)).sum())
        slope = (values[0] - values[1]) / (2 * step)
        row = place if boundary == "periodic" else place - 1
        assert found[row][entry] == pytest.approx(slope, rel=1e-3)


def test_a_train_over_600_features_is_trained():
    x = uniform(64, 600)
    labels = (x[:, :300].mean(axis=1) > x[:, 300:].mean(axis=1)).astype(int)
    model = keras.Sequential([keras.Input((600,)), MPSLayer(2, 4, seed=0)])
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=backend.name() == "jax",
    )
    losses = model.fit(x, labels, epochs=15, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.7 * losses[0]
