"""Gradients of the cores are the dense kernel's, through the chain rule."""

import keras
import numpy as np
import pytest

from tensornet_keras import backend
from tests.laws.examples import examples_of_every_layer
from tests.laws.oracles import as_numpy, keras_twin, kernel_of, random_array

# Steps so long that the gradient fills the digits of the updated weight.
LEARNING_RATE = 1e3


@pytest.mark.parametrize("example", examples_of_every_layer(), ids=str)
def test_a_gradient_reaches_every_core_as_through_the_dense_kernel(example):
    layer = example.built()
    twin = keras_twin(layer)
    cores = [as_numpy(core).astype("float64") for core in layer.cores]
    inputs = example.inputs(seed=1)
    targets = random_array(layer.compute_output_shape(inputs.shape), seed=2)
    found = gradients(layer, layer.cores, inputs, targets)
    [of_kernel] = gradients(twin, [kernel_of(twin)], inputs, targets)
    for number, gradient in enumerate(found):
        network = layer.format.network
        whole = of_kernel.reshape(network.weight_shape)
        expected = chain_rule(network, cores, number, whole)
        largest = np.abs(expected).max()
        assert largest > 0.0
        np.testing.assert_allclose(
            gradient, expected, rtol=0, atol=1e-4 * largest
        )


def gradients(layer, variables, inputs, targets):
    """Gradients of a mean square, from the step that an optimizer takes."""
    before = [as_numpy(variable) for variable in variables]
    model = keras.Sequential(
        [keras.Input(inputs.shape[1:], dtype=inputs.dtype.name), layer]
    )
    model.compile(
        keras.optimizers.SGD(LEARNING_RATE),
        loss="mse",
        run_eagerly=backend.name() == "tensorflow",
    )
    model.train_on_batch(inputs, targets)
    return [
        (old.astype("float64") - as_numpy(variable)) / LEARNING_RATE
        for old, variable in zip(before, variables, strict=True)
    ]


def chain_rule(network, cores, number, of_kernel):
    """Gradient of one core: all the others contracted with the kernel's."""
    padding = [
        (0, whole - true)
        for whole, true in zip(
            network.padded_shape, network.weight_shape, strict=True
        )
    ]
    legs = [network.sizes[label] for label in network.weight_labels]
    whole = np.pad(of_kernel, padding).reshape(legs)
    terms, kernel = network.equation.split("->")
    terms = terms.split(",")
    core = terms[number]
    terms[number] = kernel
    operands = [*cores]
    operands[number] = whole
    return np.einsum(f"{','.join(terms)}->{core}", *operands, optimize="greedy")
