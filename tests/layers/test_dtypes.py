"""Every dtype policy of floats, for inputs and for weights."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    keras_twin,
    random_array,
)

# Policies, with the types of computing and of the variables.
POLICIES = {
    "float16": ("float16", "float16"),
    "bfloat16": ("bfloat16", "bfloat16"),
    "mixed_float16": ("float16", "float32"),
    "mixed_bfloat16": ("bfloat16", "float32"),
}
every_policy = pytest.mark.parametrize("policy", POLICIES)


def dense(**arguments):
    """A layer of order 6, whose cores multiply to many digits."""
    layer = tk.layers.TTDense(
        64,
        8,
        (4,) * 6,
        (2,) * 6,
        bias_initializer="random_normal",
        **arguments,
    )
    layer.build((8, 4**6))
    return layer


def conv(**arguments):
    layer = tk.layers.TTConv2D(
        32, 3, 8, (2,) * 5, (2,) * 5, padding="same", **arguments
    )
    layer.build((4, 5, 5, 32))
    return layer


def dtype_of(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def float32_twin(layer):
    """Keras' layer with the same kernel, computing in float32."""
    config = layer.get_config() | {"dtype": "float32"}
    single = type(layer).from_config(config)
    single.build(layer.get_build_config()["input_shape"])
    for variable, other in zip(single.weights, layer.weights, strict=True):
        variable.assign(keras.ops.cast(other, "float32"))
    return keras_twin(single)


@every_policy
@pytest.mark.parametrize("planning_batch", [1, 1024])
@pytest.mark.parametrize("make", [dense, conv])
def test_short_types_are_as_accurate_as_they_can_be(
    make, policy, planning_batch
):
    compute, variable = POLICIES[policy]
    layer = make(dtype=policy, planning_batch=planning_batch)
    inputs = random_array(layer.get_build_config()["input_shape"])
    outputs = layer(inputs)
    assert dtype_of(outputs) == compute
    assert {dtype_of(weight) for weight in layer.weights} == {variable}
    expected = float32_twin(layer)(inputs)
    assert_close(keras.ops.cast(outputs, "float32"), expected, compute)


@pytest.mark.parametrize(
    ("policy", "unit"),
    [("mixed_float16", 2.0**-10), ("mixed_bfloat16", 2.0**-7)],
)
def test_cores_are_merged_before_they_are_rounded(policy, unit):
    # Seven cores that are 1 in 16 bits, but whose product is not.
    ones = (1,) * 6
    layer = tk.layers.TTConv1D(
        2, 1, 1, ones, (2, *ones[1:]), dtype=policy, groups=2
    )
    layer.build((1, 1, 2))
    *cores, bias = layer.get_weights()
    assert len(cores) == 7
    layer.set_weights([*(np.full_like(c, 1 + unit / 4) for c in cores), bias])
    outputs = keras.ops.cast(layer(np.ones((1, 1, 2))), "float32")
    np.testing.assert_array_equal(as_numpy(outputs), 1 + 2 * unit)


@every_policy
def test_the_kernel_is_accurate_to_the_type_of_the_cores(policy):
    layer = dense(dtype=policy)
    expected = as_numpy(float32_twin(layer).kernel)
    kernel = layer.kernel
    assert dtype_of(kernel) == POLICIES[policy][1]
    rounding = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 1e-6}
    difference = as_numpy(keras.ops.cast(kernel, "float32")) - expected
    limit = rounding[dtype_of(kernel)] * np.abs(expected).max()
    assert np.abs(difference).max() <= limit


@every_policy
def test_symbolic_outputs_have_the_computing_type(policy):
    layer = dense(dtype=policy)
    spec = layer.compute_output_spec(keras.KerasTensor((None, 4**6)))
    assert (spec.shape, spec.dtype) == ((None, 64), POLICIES[policy][0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_in_small_steps(policy):
    layer = tk.layers.TTDense(8, rank=4, dtype=policy)
    model = keras.Sequential([keras.Input((16,)), layer])
    model.compile(keras.optimizers.SGD(1e-3), loss="mse")
    before = layer.get_weights()
    loss = model.train_on_batch(random_array((4, 16)), random_array((4, 8)))
    assert np.isfinite(loss)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert new.dtype == np.float32
        assert np.abs(new - old).max() > 0.0


# JAX has no float64 unless it is asked for at the start.
@pytest.mark.parametrize(
    "policy", ["float32"] if backend.name() == "jax" else ["float32", "float64"]
)
def test_a_whole_policy_holds_for_weights_and_outputs(policy):
    layer = dense(dtype=policy)
    inputs = random_array((8, 4**6), dtype=policy)
    outputs = layer(inputs)
    types = {dtype_of(each) for each in (outputs, layer.kernel, *layer.weights)}
    assert types == {policy}
    assert_close(outputs, keras_twin(layer)(inputs))


@pytest.mark.parametrize("policy", ["float8_from_float32", "int4_from_float32"])
def test_other_quantized_policies_are_refused_by_name(policy):
    with pytest.raises(ValueError, match=f"Received: dtype='{policy}'"):
        tk.layers.TTDense(8, dtype=policy)
