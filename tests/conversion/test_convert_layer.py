import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

import tensornet_keras as tk
from tests.small_models import (
    FULL_RANK,
    assert_same_function,
    assert_same_values,
    numbers,
    randomized,
    values_of,
)

KINDS = {
    "Dense": ((5, 16), lambda **kwargs: layers.Dense(18, **kwargs)),
    "Conv1D": ((9, 8), lambda **kwargs: layers.Conv1D(6, 3, **kwargs)),
    "Conv2D": ((7, 6, 4), lambda **kwargs: layers.Conv2D(6, 3, **kwargs)),
    "Conv3D": ((4, 5, 4, 4), lambda **kwargs: layers.Conv3D(6, 2, **kwargs)),
}
# How exact kernels and outputs are under each policy.
POLICIES = {
    "bfloat16": (4e-2, 5e-2),
    "float16": (4e-3, 1e-2),
    "mixed_bfloat16": (1e-6, 5e-2),
    "mixed_float16": (1e-6, 1e-2),
}
if keras.backend.backend() == "tensorflow":
    # The others compute this in float32.
    POLICIES["float64"] = (1e-14, 1e-6)


def built(kind, **kwargs):
    shape, build = KINDS[kind]
    layer = build(**kwargs)
    layer.build((None, *shape))
    return randomized(layer), numbers(3, *shape)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_becomes_its_twin(kind):
    layer, inputs = built(kind, activation="tanh", name="mine")
    twin = tk.convert_layer(layer, FULL_RANK)
    assert type(twin).__name__ == f"Factorized{kind}"
    assert twin.name == "mine"
    assert twin.format.is_bound
    assert_same_function(layer, twin, inputs)


@pytest.mark.parametrize("kind", KINDS)
def test_a_twin_approximates_as_the_decomposition_does(kind):
    layer, _ = built(kind)
    twin = tk.convert_layer(layer, tk.formats.TensorTrain(), error=0.4)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    result = tk.decompose(kernel, tk.formats.TensorTrain(), error=0.4)
    assert twin.format == result.format
    assert_same_values(values_of(twin)[:-1], result.cores)
    assert 0 < result.relative_error <= 0.4


def test_a_twin_shares_no_numbers_with_its_layer():
    layer, inputs = built("Dense")
    twin = tk.convert_layer(layer, FULL_RANK)
    before = values_of(layer)
    expected = keras.ops.convert_to_numpy(twin(inputs))
    for variable in twin.variables:
        variable.assign(variable + 1)
    assert_same_values(values_of(layer), before)
    twin = tk.convert_layer(layer, FULL_RANK)
    for variable in layer.variables:
        variable.assign(variable + 1)
    assert_same_function(lambda x: expected, twin, inputs)


def test_a_frozen_layer_gives_a_frozen_twin():
    layer, _ = built("Conv2D")
    layer.trainable = False
    twin = tk.convert_layer(layer, FULL_RANK)
    assert not twin.trainable
    assert twin.trainable_weights == []
    twin.trainable = True
    assert len(twin.trainable_weights) == len(twin.cores) + 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("kind", ["Dense", "Conv2D"])
def test_a_twin_keeps_the_dtype_policy(kind, policy):
    of_variables, of_outputs = POLICIES[policy]
    layer, inputs = built(kind, dtype=policy)
    twin = tk.convert_layer(layer, FULL_RANK)
    assert twin.dtype_policy.name == policy
    dtypes = {variable.dtype for variable in layer.variables}
    assert {variable.dtype for variable in twin.variables} == dtypes
    kernel, other = (
        keras.ops.convert_to_numpy(each.kernel).astype("float64")
        for each in (layer, twin)
    )
    difference = np.abs(kernel - other).max() / np.abs(kernel).max()
    assert difference < of_variables
    dtype = keras.backend.standardize_dtype(twin(inputs).dtype)
    assert dtype == layer.compute_dtype
    assert_same_function(layer, twin, inputs, tolerance=of_outputs)


@st.composite
def convolutions(draw):
    """Arguments of a convolution, the input's channels among them."""
    axes = draw(st.integers(1, 3))

    def sizes(largest):
        entries = st.integers(1, largest)
        return draw(st.tuples(*[entries] * axes))

    groups = draw(st.integers(1, 3))
    arguments = {
        "filters": groups * draw(st.integers(1, 5)),
        "kernel_size": sizes(3),
        "groups": groups,
        "use_bias": draw(st.booleans()),
    }
    paddings = ["valid", "same"] + ["causal"] * (axes == 1)
    arguments["padding"] = draw(st.sampled_from(paddings))
    # Keras allows only one of them to differ from 1.
    name = draw(st.sampled_from(["strides", "dilation_rate"]))
    arguments[name] = sizes(2)
    return axes, groups * draw(st.integers(1, 4)), arguments


@given(drawn=convolutions())
@settings(max_examples=20)
def test_every_convolution_becomes_an_equal_twin(drawn):
    axes, channels, arguments = drawn
    layer = getattr(layers, f"Conv{axes}D")(**arguments)
    shape = (*(6, 7, 5)[:axes], channels)
    layer.build((None, *shape))
    twin = tk.convert_layer(randomized(layer), FULL_RANK)
    assert_same_function(layer, twin, numbers(2, *shape))


@given(
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    leading=st.lists(st.integers(1, 3), max_size=2),
)
@settings(max_examples=15)
def test_every_dense_layer_becomes_an_equal_twin(sizes, leading):
    layer = layers.Dense(sizes[1])
    shape = (*leading, sizes[0])
    layer.build((None, *shape))
    twin = tk.convert_layer(randomized(layer), FULL_RANK)
    assert_same_function(layer, twin, numbers(2, *shape))
