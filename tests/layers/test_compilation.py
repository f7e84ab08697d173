"""Layers run inside compiled functions, with whatever batch comes."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tests.laws.oracles import as_numpy, assert_close, random_array

# PyTorch's compiler takes minutes; there the same models run eagerly.
JIT_COMPILE = backend.name() != "torch"


def dense_net():
    return keras.Sequential(
        [
            keras.Input((67,)),
            tk.layers.TTDense(24, rank=3, activation="relu"),
            tk.layers.TTDense(5, rank=2),
        ]
    )


def conv_net():
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            tk.layers.TTConv2D(8, 3, rank=4, padding="same", strides=2),
            tk.layers.TTConv2D(6, 2, rank=2),
            keras.layers.Flatten(),
            tk.layers.TTDense(5, rank=2),
        ]
    )


every_net = pytest.mark.parametrize("net", [dense_net, conv_net])


def batch_for(model, size):
    inputs = random_array((size, *model.input_shape[1:]))
    return inputs, random_array((size, 5), seed=1)


@every_net
def test_compiled_models_give_the_outputs_of_eager_ones(net):
    model = net()
    inputs, _ = batch_for(model, 4)
    eager = as_numpy(model(inputs))
    model.compile(jit_compile=JIT_COMPILE)
    assert_close(model.predict_on_batch(inputs), eager)


@every_net
def test_compiled_models_train(net):
    model = net()
    inputs, targets = batch_for(model, 8)
    model.compile(
        keras.optimizers.Adam(0.03), loss="mse", jit_compile=JIT_COMPILE
    )
    losses = [model.train_on_batch(inputs, targets) for _ in range(10)]
    assert losses[-1] < 0.8 * losses[0]


@every_net
def test_batches_of_several_sizes_are_fitted_and_predicted(net):
    model = net()
    inputs, targets = batch_for(model, 7)
    expected = as_numpy(model(inputs))
    predicted = model.predict(inputs, batch_size=3, verbose=0)
    assert_close(predicted, expected)
    model.compile("sgd", loss="mse")
    history = model.fit(inputs, targets, batch_size=3, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_symbolic_calls_build_the_layer():
    inputs = keras.Input((3, 8))
    layer = tk.layers.TTDense(6, rank=2)
    outputs = layer(inputs)
    assert outputs.shape == (None, 3, 6)
    assert layer.built
    assert layer.format.is_bound
    model = keras.Model(inputs, outputs)
    assert tuple(model(random_array((2, 3, 8))).shape) == (2, 3, 6)


def test_a_layer_is_shared_like_any_other():
    layer = tk.layers.TTDense(8, rank=2)
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layer(layer(inputs)))
    assert len(model.weights) == len(layer.weights)
    x = random_array((2, 8))
    assert_close(model(x), layer(layer(x)))


def test_a_layer_runs_over_time():
    layer = tk.layers.TTConv1D(4, 3, rank=2)
    inputs = random_array((2, 3, 6, 4))
    outputs = keras.layers.TimeDistributed(layer)(inputs)
    for step in range(3):
        assert_close(outputs[:, step], layer(inputs[:, step]))
