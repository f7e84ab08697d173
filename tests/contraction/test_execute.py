import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.contraction import candidates, kernel_plan, plan_for
from tensornet_keras.contraction.execute import (
    Convolution,
    dense_kernel,
    execute,
)
from tensornet_keras.contraction.steps import (
    Transpose,
)
from tensornet_keras.network import Leg, TensorNetwork
from tests.contraction.networks import train
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    dense_weight,
    random_array,
    random_cores,
)


@given(st.permutations(range(11)), st.integers(0, 11))
def test_long_transpositions_are_split_and_arrive(permutation, ins):
    legs = tuple(
        Leg(f"leg{n}", 1 + n % 2, "in" if n < ins else "out") for n in range(11)
    )
    core = tuple(f"leg{n}" for n in permutation)
    network = TensorNetwork((core,), legs)
    array = random_array(network.core_shapes[0])
    expected = np.transpose(array, np.argsort(permutation))
    for step in kernel_plan(network).steps:
        assert isinstance(step, Transpose)
        assert len(step.axes) <= 6
    np.testing.assert_array_equal(
        as_numpy(dense_kernel(network, [array])).ravel(), expected.ravel()
    )


def test_a_short_transposition_is_one_step():
    legs = tuple(Leg(name, 2, "in") for name in "abcdef")
    network = TensorNetwork((tuple("fedcba"),), legs)
    assert len(kernel_plan(network).steps) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_cores_of_16_bits_are_merged_in_float32(dtype):
    # In 16 bits the product of the first two cores loses what is left over.
    unit = 2.0**-10 if dtype == "float16" else 2.0**-7
    network = train((1, 1, 1), (1, 1, 1), (2, 2))
    middle = [[1 + unit, 0], [0, -(1 + 2 * unit)]]
    arrays = (
        [[[1 + unit, 1]]],
        np.reshape(middle, (2, 1, 1, 2)),
        [[[64]], [[64]]],
    )
    cores = [keras.ops.convert_to_tensor(array, dtype) for array in arrays]
    rebuild = next(plan for plan in candidates(network) if plan.rebuilds)
    ones = keras.ops.ones((1, 1), dtype)
    for result in (dense_kernel(network, cores), execute(rebuild, ones, cores)):
        assert keras.backend.standardize_dtype(result.dtype) == dtype
        assert (
            as_numpy(keras.ops.cast(result, "float32")).item() == 64 * unit**2
        )


def test_float32_cores_meet_a_16_bit_input_in_its_type():
    network = train((3, 4), (4, 5), 3)
    cores = random_cores(network)
    inputs = random_array((6, 12), dtype="float16")
    expected = inputs.astype("float64") @ dense_weight(network, cores)
    for plan in candidates(network):
        output = execute(plan, inputs, cores)
        assert keras.backend.standardize_dtype(output.dtype) == "float16"
        assert_close(output, expected, "float16")


def test_an_empty_batch_gives_an_empty_output():
    network = train((3, 4), (4, 5), 3)
    output = execute(
        plan_for(network),
        np.zeros((0, 2, 12), "float32"),
        random_cores(network),
    )
    assert tuple(output.shape) == (0, 2, 20)


def test_a_long_train_is_contracted_right():
    network = train((2,) * 10, (2,) * 10, 2)
    cores = random_cores(network)
    inputs = random_array((3, 1024))
    expected = inputs.astype("float64") @ dense_weight(network, cores)
    for batch in (1, 32, 1024):
        plan = plan_for(network, batch)
        assert_close(execute(plan, inputs, cores), expected)


@pytest.mark.parametrize(
    "how",
    [
        Convolution((1, 1), "valid", (1, 1)),
        Convolution((2, 1), "same", (1, 1)),
        Convolution((1, 1), "same", (2, 1)),
    ],
    ids=str,
)
def test_every_plan_slides_the_window_as_keras_does(how):
    network = train((2, 3), (4, 2), 3, (2, 3))
    cores = random_cores(network)
    images = random_array((2, 6, 7, 6))
    expected = keras.ops.conv(
        images,
        dense_weight(network, cores).astype("float32"),
        strides=how.strides,
        padding=how.padding,
        dilation_rate=how.dilation_rate,
        data_format="channels_last",
    )
    for plan in candidates(network):
        assert_close(execute(plan, images, cores, how), expected)
