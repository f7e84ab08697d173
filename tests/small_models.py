"""Small models, and what tests compare about a model and its copy."""

import keras
import numpy as np

import tensornet_keras as tk
from tensornet_keras import surgery

FULL_RANK = tk.formats.TensorTrain(rank=10**9)


def numbers(*shape, seed=0):
    """Normally distributed numbers in float32."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape).astype("float32")


def randomized(model):
    """The model with random weights, so that a bias that is lost is seen."""
    for seed, weight in enumerate(model.weights):
        value = numbers(*weight.shape, seed=seed)
        positive = "variance" in weight.name
        weight.assign(np.abs(value) + 0.1 if positive else value)
    return model


def mlp(**kwargs):
    """Two dense layers between 8 inputs and 6 outputs; `kwargs` to both."""
    return randomized(
        keras.Sequential(
            [
                keras.Input((8,)),
                keras.layers.Dense(12, name="hidden", **kwargs),
                keras.layers.Dense(6, name="head", **kwargs),
            ],
            name="mlp",
        )
    )


def copy_of(model):
    """A copy in which no layer is replaced."""
    return surgery.copy_with(model, lambda layer: None, fill=None)


def convert_exactly(model, **kwargs):
    """A conversion at full rank, of every layer that can be converted."""
    return tk.convert(model, FULL_RANK, min_compression=0, **kwargs)


def values_of(model):
    """Every variable's numbers, those of random seeds among them."""
    return [
        np.array(keras.ops.convert_to_numpy(variable))
        for variable in model.variables
    ]


def assert_same_values(values, others):
    for value, other in zip(values, others, strict=True):
        np.testing.assert_array_equal(value, other)


def assert_same_outputs(expected, found, tolerance=1e-5):
    """Largest difference over largest value, tensor by tensor."""
    for ours, theirs in zip(arrays(found), arrays(expected), strict=True):
        assert ours.shape == theirs.shape
        bound = tolerance * np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=bound)


def arrays(tensors):
    """Tensors, or a structure of them, as a list of arrays in float32."""
    return [
        keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))
        for tensor in keras.tree.flatten(tensors)
    ]


def assert_same_function(model, other, inputs, tolerance=1e-5, **kwargs):
    """Both models give the same outputs; `kwargs` go to their calls."""
    expected, found = model(inputs, **kwargs), other(inputs, **kwargs)
    assert_same_outputs(expected, found, tolerance)


class Pair(keras.layers.Layer):
    """A layer that owns two dense layers, for its heirs to call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.one, self.two = keras.layers.Dense(8), keras.layers.Dense(8)

    def build(self, shape):
        self.one.build(shape)
        self.two.build(shape)
