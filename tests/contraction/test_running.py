import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.contraction import candidates, running
from tensornet_keras.contraction.execute import Convolution, execute
from tensornet_keras.contraction.steps import Convolve
from tests.contraction.test_any_network import keras_convolution
from tests.laws.oracles import (
    assert_close,
    dense_weight,
    random_array,
    random_cores,
)


@given(st.data(), st.integers(1, 2), st.sampled_from(["same", "valid"]))
def test_shifted_products_are_a_depthwise_convolution(data, axes, padding):
    def drawn(least, most):
        numbers = st.lists(
            st.integers(least, most), min_size=axes, max_size=axes
        )
        return tuple(data.draw(numbers))

    window, extents = drawn(1, 4), drawn(9, 12)
    strides, dilation = drawn(1, 3), drawn(1, 2)
    # TensorFlow's depthwise convolution slides alike along all axes, and
    # takes no stride with a dilation.
    strides = (strides[0],) * axes
    dilation = (dilation[0],) * axes if strides[0] == 1 else (1,) * axes
    inputs = random_array((2, *extents, 3))
    kernel = random_array((*window, 3, 2))
    arguments = (strides, padding, "channels_last", dilation)
    expected = keras.ops.depthwise_conv(inputs, kernel, *arguments)
    found = running._sum_of_shifts(
        keras.ops.convert_to_tensor(inputs),
        keras.ops.convert_to_tensor(kernel),
        *arguments,
    )
    assert_close(found, expected)


def test_a_convolution_compiled_by_xla_is_the_same(monkeypatch):
    network = tk.formats.CP(5).bind((4,), (6,), (3, 3)).network
    plan = next(
        plan
        for plan in candidates(network)
        if any(
            isinstance(step, Convolve) and step.depthwise for step in plan.steps
        )
    )
    how = Convolution((1, 1), "same", (1, 1))
    inputs, cores = random_array((2, 7, 8, 4)), random_cores(network)
    expected = keras_convolution(inputs, dense_weight(network, cores), how)
    taken = []
    sum_of_shifts = running._sum_of_shifts

    def recorded(*arguments, **named):
        taken.append(True)
        return sum_of_shifts(*arguments, **named)

    monkeypatch.setattr(running, "_sum_of_shifts", recorded)

    def run(inputs, *cores):
        return execute(plan, inputs, cores, how)

    assert_close(backend.compiled(run, xla=True)(inputs, *cores), expected)
    assert bool(taken) == (backend.name() in ("tensorflow", "jax"))


@pytest.mark.skipif(backend.name() == "jax", reason="always compiled by XLA")
def test_an_eager_call_does_not_ask_for_the_accelerator(monkeypatch):
    monkeypatch.setattr(backend, "accelerator", None)
    inputs = keras.ops.ones((1, 4, 4, 2))
    assert running.depthwise(inputs) is keras.ops.depthwise_conv


def test_what_compiles_by_xla_is_known_while_it_is_traced():
    seen = []

    def noted(x):
        seen.append(backend.compiles_by_xla())
        return x

    x = np.ones(2, "float32")
    noted(x)
    backend.compiled(noted)(x)
    backend.compiled(noted, xla=True)(x)
    if backend.name() == "tensorflow":
        assert seen == [False, False, True]
    else:
        assert set(seen) == {backend.name() == "jax"}


@pytest.mark.skipif(
    backend.name() != "tensorflow", reason="the others do not nest"
)
def test_a_function_inside_one_compiled_by_xla_is_too():
    seen = []

    def noted(x):
        seen.append(backend.compiles_by_xla())
        return x

    inner = backend.compiled(noted)
    backend.compiled(lambda x: inner(x), xla=True)(np.ones(2, "float32"))
    assert seen == [True]


@pytest.mark.skipif(
    backend.name() != "tensorflow", reason="a gradient for TensorFlow's XLA"
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("batch", [5, None])
def test_gradients_of_a_matrix_times_a_stack(dtype, batch):
    import tensorflow as tf

    matrix = tf.Variable(random_array((2, 3)), dtype=dtype)
    stack = random_array((5, 3, 4)).astype("float32")
    weights = random_array((5, 2, 4)).astype("float32")
    kinds = []

    def gradients(stack, product):
        with tf.GradientTape() as tape:
            tape.watch(stack)
            outputs = product(matrix, stack)
            loss = tf.reduce_sum(tf.cast(outputs, "float32") * weights)
        return tape.gradient(loss, [matrix, stack])

    def recorded(stack):
        found = gradients(stack, running._one_times_stack)
        kinds.extend(
            one.type
            for one in tf.compat.v1.get_default_graph().get_operations()
        )
        return found

    spec = tf.TensorSpec((batch, 3, 4), dtype)
    stack = tf.cast(stack, dtype)
    compiled = tf.function(recorded, [spec], jit_compile=True)
    expected = gradients(stack, tf.matmul)
    for found, wanted in zip(compiled(stack), expected, strict=True):
        np.testing.assert_allclose(
            tf.cast(found, "float32"),
            tf.cast(wanted, "float32"),
            rtol=1e-5 if dtype == "float32" else 3e-2,
            atol=1e-5 if dtype == "float32" else 3e-2,
        )
    # The matrix' own gradient is one product, not a stack of them.
    assert kinds.count("BatchMatMulV2") == 2
    assert kinds.count("MatMul") == 1
