import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tests.laws.oracles import as_numpy, random_array

LAYERS = [
    (tk.layers.TTDense, {"units": 12, "rank": 2}, (4, 64)),
    (tk.layers.TTConv1D, {"filters": 16, "kernel_size": 3}, (2, 5, 16)),
]
every_layer = pytest.mark.parametrize(
    ("layer_class", "arguments", "shape"), LAYERS
)


def losses(layer, inputs):
    layer(inputs)
    return [as_numpy(loss).item() for loss in layer.losses]


@every_layer
def test_the_kernel_regularizer_acts_on_each_core(
    layer_class, arguments, shape
):
    layer = layer_class(
        kernel_regularizer=keras.regularizers.L2(0.5), **arguments
    )
    found = losses(layer, random_array(shape))
    expected = [0.5 * np.sum(as_numpy(core) ** 2) for core in layer.cores]
    assert len(expected) > 1
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@every_layer
def test_the_bias_regularizer_acts_on_the_bias(layer_class, arguments, shape):
    layer = layer_class(
        bias_initializer="ones", bias_regularizer="l2", **arguments
    )
    [found] = losses(layer, random_array(shape))
    assert found == pytest.approx(0.01 * layer.bias.shape[0])


@every_layer
def test_the_activity_regularizer_acts_on_the_output(
    layer_class, arguments, shape
):
    layer = layer_class(
        activity_regularizer=keras.regularizers.L1(2.0), **arguments
    )
    inputs = random_array(shape)
    [found] = losses(layer, inputs)
    total = np.abs(as_numpy(layer(inputs))).sum()
    assert found == pytest.approx(2.0 * total / shape[0], rel=1e-5)


def test_the_bias_constraint_holds_after_a_step():
    layer = tk.layers.TTDense(6, bias_constraint="non_neg", rank=2)
    model = keras.Sequential([keras.Input((8,)), layer])
    model.compile(keras.optimizers.SGD(1.0), loss="mse")
    model.train_on_batch(random_array((4, 8)), random_array((4, 6), seed=1))
    bias = as_numpy(layer.bias)
    assert bias.min() == 0.0
    assert bias.max() > 0.0


def test_a_layer_without_regularizers_has_no_losses():
    assert losses(tk.layers.TTDense(6, rank=2), random_array((2, 8))) == []
