"""Every plan of every search gives the numbers of the dense weight."""

import keras
import pytest

from tensornet_keras.contraction import candidates, kernel_plan
from tensornet_keras.contraction.execute import (
    Convolution,
    dense_kernel,
)
from tensornet_keras.contraction.steps import (
    Matmul,
    Transpose,
)
from tests.laws.examples import examples_of_every_format
from tests.laws.oracles import (
    assert_close,
    dense_weight,
    random_array,
    random_cores,
)
from tests.laws.tracing import every_plan, traced_with_unknown_sizes

every_format = pytest.mark.parametrize(
    "format", examples_of_every_format(), ids=str
)


def inputs_of(format, leading):
    """Random inputs of a matrix, or images of a convolution."""
    if not format.window:
        return random_array((*leading, format.input_size))
    extents = (4, 5, 3)[: len(format.window)]
    return random_array((leading[0], *extents, format.input_size))


def sliding(format, **how):
    """How the window slides; `None` for a matrix."""
    axes = len(format.window)
    if not axes:
        return None
    strides = how.pop("strides", 1)
    return Convolution((strides,) * axes, dilation_rate=(1,) * axes, **how)


def dense_output(inputs, weight, how):
    """What Keras makes of the inputs and the dense weight."""
    if how is None:
        return inputs.astype("float64") @ weight
    return keras.ops.conv(
        inputs,
        weight.astype("float32"),
        strides=how.strides,
        padding=how.padding,
        data_format=how.data_format,
        dilation_rate=how.dilation_rate,
    )


@every_format
def test_the_dense_kernel_is_what_einsum_makes_of_the_cores(format):
    network = format.network
    cores = random_cores(network)
    kernel = dense_kernel(network, cores)
    assert tuple(kernel.shape) == format.dense_shape
    assert_close(kernel, dense_weight(network, cores))


@every_format
def test_every_plan_contracts_to_the_same_numbers(format):
    network = format.network
    cores = random_cores(network)
    inputs = inputs_of(format, (3,))
    how = sliding(format, padding="same")
    expected = dense_output(inputs, dense_weight(network, cores), how)
    for output in every_plan(network, cores, inputs, how):
        assert_close(output, expected)


@every_format
def test_every_plan_takes_leading_axes_of_unknown_size(format):
    network = format.network
    cores = random_cores(network)
    inputs = inputs_of(format, (2, 3))
    how = sliding(format, padding="same", strides=2)
    expected = dense_output(inputs, dense_weight(network, cores), how)
    for output in every_plan(
        network, cores, inputs, how, traced_with_unknown_sizes
    ):
        assert_close(output, expected)


@every_format
def test_steps_are_small_products_and_short_transpositions(format):
    network = format.network
    for plan in [*candidates(network), kernel_plan(network)]:
        for step in plan.steps:
            if isinstance(step, Transpose):
                assert sorted(step.axes) == list(range(len(step.groups)))
                assert len(step.axes) <= 6
            if isinstance(step, Matmul):
                assert 2 <= len(step.left) <= 3
                assert 2 <= len(step.right) <= 3


@every_format
def test_multiply_adds_of_rebuilding_are_those_of_the_dense_layer(format):
    axes = len(format.window)
    positions = ((20, *(1,) * (axes - 1)), (5, *(1,) * (axes - 1)))
    positions = positions if axes else ((), ())
    plans = candidates(format.network, positions)
    for plan in [plan for plan in plans if plan.rebuilds]:
        at_run_time = sum(
            plan.multiply_adds_of(step)
            for step in plan.steps
            if not step.weight_only
        )
        dense = plan.shown_batch * (5 if axes else 1) * format.dense_params
        assert at_run_time == dense
