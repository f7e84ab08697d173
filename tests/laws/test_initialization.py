"""The dense kernel is initialized as the named initializer asks."""

import math

import keras
import numpy as np
import pytest

from tensornet_keras import backend, layers
from tensornet_keras.formats import TensorTrain
from tests.laws.format_examples import AS_WRITTEN
from tests.laws.oracles import as_numpy, dense_weight, random_array

ORDERS = (2, 3, 4, 5, 6)
RANKS = (1, 2, 4, 8, 16, 32)
SEEDS = range(5)

INITIALIZERS = {
    "glorot_uniform": keras.initializers.GlorotUniform,
    "glorot_normal": keras.initializers.GlorotNormal,
    "he_uniform": keras.initializers.HeUniform,
    "he_normal": keras.initializers.HeNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "lecun_normal": keras.initializers.LecunNormal,
    "variance_scaling": lambda seed: keras.initializers.VarianceScaling(
        3.0, "fan_out", "untruncated_normal", seed=seed
    ),
    "random_normal": keras.initializers.RandomNormal,
    "random_uniform": keras.initializers.RandomUniform,
    "truncated_normal": keras.initializers.TruncatedNormal,
}


def mean_square(array):
    return float(np.mean(np.square(array, dtype="float64")))


def mean_square_of_kernel(layer):
    return mean_square(dense_weight(layer.format.network, layer.cores))


@pytest.mark.parametrize("format", AS_WRITTEN.values(), ids=str)
@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_kernel_has_the_variance_of_the_named_initializer(format, name):
    initializer = INITIALIZERS[name](seed=7)
    layer = layers.FactorizedConv2D(
        128, 3, format, kernel_initializer=initializer
    )
    layer.build((None, 8, 8, 64))
    drawn = as_numpy(initializer((3, 3, 64, 128)))
    # Keras draws numbers, of which the mean square is only nearly that.
    ratio = mean_square_of_kernel(layer) / mean_square(drawn)
    assert ratio == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rank", RANKS)
def test_the_variance_is_exact_at_every_order_and_rank(order, rank):
    train = TensorTrain((rank,) * (order - 1), (4,) * order, (3,) * order)
    layer = layers.FactorizedDense(3**order, train)
    layer.build((None, 4**order))
    expected = 2 / (4**order + 3**order)
    assert mean_square_of_kernel(layer) == pytest.approx(expected, rel=1e-5)
    norms = [np.linalg.norm(as_numpy(core)) for core in layer.cores]
    np.testing.assert_allclose(norms, norms[0], rtol=1e-5)


# Orders and ranks of which outputs are compared: the cores are drawn by NumPy,
# so a few will do for the backends that are slow to start an operation.
SPREADS = (
    [(order, rank) for order in ORDERS for rank in RANKS]
    if backend.name() == "tensorflow"
    else [(2, 1), (2, 32), (4, 8), (6, 1), (6, 32)]
)
# One mode of each side, so that kernels hold enough numbers for statistics.
MODES = {2: 8, 3: 4, 4: 3, 5: 2, 6: 2}


def dense_pair(order, rank, seed):
    """A dense layer, Keras' own, and inputs of unit variance."""
    train = TensorTrain(rank, (4,) * order, (MODES[order],) * order)
    units = train.output_modes[0] ** order
    inputs = keras.random.normal((64, 4**order), seed=seed)
    initializer = keras.initializers.GlorotUniform(seed)
    return (
        layers.FactorizedDense(units, train, kernel_initializer=initializer),
        keras.layers.Dense(units, kernel_initializer=initializer),
        inputs,
    )


def conv_pair(order, rank, seed):
    """The same with images, of as many channels as filters."""
    modes = (MODES[order],) * order
    train = TensorTrain(rank, modes, modes)
    filters = math.prod(modes)
    inputs = keras.random.normal((4, 6, 6, filters), seed=seed)
    initializer = keras.initializers.HeNormal(seed)
    return (
        layers.FactorizedConv2D(
            filters, 3, train, kernel_initializer=initializer
        ),
        keras.layers.Conv2D(filters, 3, kernel_initializer=initializer),
        inputs,
    )


@pytest.mark.parametrize("pair", [dense_pair, conv_pair])
@pytest.mark.parametrize(("order", "rank"), SPREADS)
def test_outputs_spread_as_those_of_the_keras_layer(pair, order, rank):
    ratios = []
    for seed in SEEDS:
        layer, twin, inputs = pair(order, rank, seed)
        spread, expected = (
            np.std(as_numpy(each(inputs))) for each in (layer, twin)
        )
        ratios.append(spread / expected)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.1)
    np.testing.assert_allclose(ratios, 1.0, rtol=0, atol=0.2)


@pytest.mark.parametrize("format", AS_WRITTEN.values(), ids=str)
def test_outputs_spread_as_those_of_the_keras_layer_in_every_format(format):
    ratios = []
    for seed in SEEDS:
        initializer = keras.initializers.GlorotUniform(seed)
        inputs = keras.random.normal((256, 128), seed=seed)
        spreads = [
            np.std(as_numpy(layer(inputs)))
            for layer in (
                layers.FactorizedDense(
                    64, format, kernel_initializer=initializer
                ),
                keras.layers.Dense(64, kernel_initializer=initializer),
            )
        ]
        ratios.append(spreads[0] / spreads[1])
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("format", AS_WRITTEN.values(), ids=str)
def test_cores_are_drawn_with_equal_norms(format):
    layer = layers.FactorizedConv2D(32, 3, format)
    layer.build((None, 8, 8, 16))
    norms = [np.linalg.norm(as_numpy(core)) for core in layer.cores]
    np.testing.assert_allclose(norms, norms[0], rtol=1e-5)


@pytest.mark.parametrize("format", AS_WRITTEN.values(), ids=str)
def test_a_padded_kernel_has_nearly_the_variance(format):
    layer = layers.FactorizedDense(509, format)
    layer.build((None, 1018))
    ratio = mean_square_of_kernel(layer) * (1018 + 509) / 2
    assert ratio == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("format", AS_WRITTEN.values(), ids=str)
def test_zeros_make_a_zero_kernel_that_can_be_trained(format):
    layer = layers.FactorizedDense(24, format, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((30,)), layer])
    assert not as_numpy(layer.kernel).any()
    model.compile(keras.optimizers.SGD(1.0), loss="mse")
    model.train_on_batch(random_array((4, 30)), random_array((4, 24), 1))
    assert as_numpy(layer.kernel).any()
