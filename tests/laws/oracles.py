"""What the laws compare with: NumPy's einsum and Keras' own layers."""

import keras
import numpy as np

# Largest difference over the largest value; a few roundings of each dtype.
TOLERANCES = {
    "float32": 1e-5,
    "float16": 8e-3,
    "bfloat16": 6e-2,
}
# What a factorized layer is told beside the arguments of Keras' layer.
OWN_ARGUMENTS = (
    "bond_dropout",
    "conv_order",
    "deduplicate",
    "format",
    "input_modes",
    "output_modes",
    "pad",
    "planning_batch",
    "max_memory",
    "tuned_plans",
    "rank",
    "rank_penalty",
    "recompute",
    "scale_learning_rates",
)


def random_array(shape, seed=0, dtype="float32"):
    """Normally distributed numbers, the same for the same seed."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def random_cores(network, dtype="float32"):
    """One random array per core of a network."""
    return [
        random_array(shape, seed, dtype)
        for seed, shape in enumerate(network.core_shapes)
    ]


def dense_weight(network, cores):
    """The weight that cores stand for, contracted by `numpy.einsum`."""
    whole = np.einsum(
        network.equation,
        *(as_numpy(core).astype("float64") for core in cores),
        optimize="greedy",
    )
    *window, inputs, outputs = network.weight_shape
    return whole.reshape(network.padded_shape)[..., :inputs, :outputs]


def keras_kernel(layer):
    """The dense kernel of a layer in Keras' shape, by `numpy.einsum`."""
    weight = dense_weight(layer.format.network, layer.cores)
    if not hasattr(layer, "equation"):
        return weight
    inputs, kernel, outputs = (
        side.replace("...", "")
        for side in layer.equation.replace("->", ",").split(",")
    )
    batch = [x for x in kernel if x in inputs and x in outputs]
    order = batch + [x for x in kernel if x not in outputs]
    order += [x for x in kernel if x not in inputs]
    dims = (
        layer.format.window,
        layer.format.input_dims,
        layer.format.output_dims,
    )
    stack = weight.reshape(sum(dims, ()))
    return np.einsum(f"{''.join(order)}->{kernel}", stack)


def keras_twin(layer):
    """Keras' layer with the dense weight and the bias of `layer`."""
    name = type(layer).__name__
    twin_class = getattr(
        keras.layers, name.removeprefix("Factorized").removeprefix("TT")
    )
    config = layer.get_config()
    for argument in OWN_ARGUMENTS:
        config.pop(argument, None)
    twin = twin_class.from_config(config)
    twin.build(layer.get_build_config()["input_shape"])
    kernel = keras_kernel(layer)
    bias = [] if layer.bias is None else [as_numpy(layer.bias)]
    twin.set_weights([kernel, *bias])
    return twin


def kernel_of(layer):
    """The variable of Keras' layer that the cores stand for."""
    table = isinstance(layer, keras.layers.Embedding)
    return layer.embeddings if table else layer.kernel


def as_numpy(tensor):
    """A tensor of any backend as a NumPy array."""
    return keras.ops.convert_to_numpy(tensor)


def assert_close(actual, expected, dtype="float32"):
    """The largest difference is small against the largest value."""
    actual = as_numpy(actual).astype("float64")
    expected = as_numpy(expected).astype("float64")
    assert actual.shape == expected.shape
    np.testing.assert_allclose(
        actual,
        expected,
        rtol=0,
        atol=TOLERANCES[dtype] * np.abs(expected).max(initial=0.0),
    )
