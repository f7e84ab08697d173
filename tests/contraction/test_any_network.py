"""Networks that are no chains: every plan gives einsum's numbers."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings

from tensornet_keras import backend
from tensornet_keras.contraction import candidates
from tensornet_keras.contraction.execute import Convolution, execute
from tensornet_keras.contraction.steps import (
    Convolve,
    Gather,
)
from tensornet_keras.network import Leg, TensorNetwork
from tests.contraction.networks import networks
from tests.laws.oracles import (
    assert_close,
    dense_weight,
    random_array,
    random_cores,
)
from tests.laws.tracing import every_plan

SIZES = {"i": 3, "j": 2, "w": 3}
KINDS = {"i": "in", "j": "out", "w": "window"}


def network_of(*cores, **sizes):
    """A network of these cores; a first letter i, j or w makes a leg."""
    cores = tuple(tuple(core.split()) for core in cores)
    labels = sorted({label for core in cores for label in core})
    legs = [
        Leg(x, SIZES[x[0]] + int(x[1]) % 2, KINDS[x[0]])
        for x in labels
        if x[0] in KINDS
    ]
    bonds = [(x, 2 + n) for n, x in enumerate(labels) if x[0] not in KINDS]
    return TensorNetwork(cores, tuple(legs), tuple(bonds), **sizes)


NETWORKS = {
    "low rank": network_of("i1 r", "r j1"),
    "cp": network_of("r i1 j1", "r i2 j2", "r i3 j3"),
    "unpaired cp": network_of("i1 r", "i2 r", "r j1"),
    "tucker": network_of("i1 a", "i2 b", "a b c d", "c j1", "d j2"),
    "ring": network_of("c i1 j1 a", "a i2 j2 b", "b i3 j3 c"),
    "block train": network_of("i1 i2 j2 r", "i1 r j2 j1"),
    "grid": network_of("i1 a b", "a i2 j1 c", "b j2 d", "d c j3"),
    "tree": network_of("i1 i2 a", "i3 b", "a b c", "c j1 d", "d j2"),
    "padded block train": network_of(
        "i1 i2 j2 r", "i1 r j2 j1", input_size=11, output_size=5
    ),
}
KERNELS = {
    "tucker-2": network_of("i1 a", "w0 w1 a b", "b j1"),
    "cp": network_of("i1 r", "w0 w1 r", "r j1"),
    "cp over one axis": network_of("i1 r", "w0 r", "r j1"),
    "cp over three axes": network_of("i1 r", "w0 w1 w2 r", "r j1"),
    "paired cp": network_of("r i1 j1", "r i2 j2", "w0 w1 r"),
    "separable": network_of("w0 i1 r", "r w1 j1"),
    "separable in three axes": network_of("w1 i1 r", "r w0 s", "s w2 j1"),
    "channels outside": network_of("i1 a", "a w0 b", "b w1 c", "c j1"),
    "block train": network_of("w0 w1 i1 i2 j2 r", "i1 r j2 j1"),
    "padded": network_of(
        "i1 a", "w0 w1 a b", "b j1", input_size=3, output_size=2
    ),
}


def keras_convolution(inputs, weight, how):
    return keras.ops.conv(
        inputs,
        weight.astype("float32"),
        strides=how.strides,
        padding=how.padding,
        dilation_rate=how.dilation_rate,
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_every_plan_of_a_matrix(name):
    network = NETWORKS[name]
    cores = random_cores(network)
    inputs = random_array((2, 3, network.input_size))
    expected = inputs.astype("float64") @ dense_weight(network, cores)
    outputs = every_plan(network, cores, inputs)
    assert len(outputs) > 1
    for output in outputs:
        assert_close(output, expected)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("name", KERNELS)
def test_every_plan_of_a_kernel(name, padding):
    network = KERNELS[name]
    cores = random_cores(network)
    axes = len(network.labels_of("window"))
    how = Convolution((2,) * axes, padding, (1,) * axes)
    extents = (6, 7, 5)[:axes]
    inputs = random_array((2, *extents, network.input_size))
    expected = keras_convolution(inputs, dense_weight(network, cores), how)
    for output in every_plan(network, cores, inputs, how):
        assert_close(output, expected)


@pytest.mark.parametrize(
    ("strides", "dilation_rate"), [((2, 1), (1, 1)), ((1, 1), (1, 2))]
)
@pytest.mark.parametrize("name", ["separable", "cp", "channels outside"])
def test_axes_slide_each_in_their_own_way(name, strides, dilation_rate):
    network = KERNELS[name]
    cores = random_cores(network)
    how = Convolution(strides, "same", dilation_rate)
    inputs = random_array((2, 6, 7, network.input_size))
    expected = keras_convolution(inputs, dense_weight(network, cores), how)
    for output in every_plan(network, cores, inputs, how):
        assert_close(output, expected)


def test_a_separable_kernel_slides_one_axis_at_a_time():
    slides = [
        [step.axes for step in plan.steps if isinstance(step, Convolve)]
        for plan in candidates(KERNELS["separable"])
    ]
    assert [(0,), (1,)] in slides
    assert [(0, 1)] in slides


def test_a_bond_on_all_cores_slides_every_channel_by_itself():
    plans = candidates(KERNELS["cp"])
    assert any(
        isinstance(step, Convolve) and step.depthwise
        for plan in plans
        for step in plan.steps
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_every_plan_of_a_table_finds_the_rows(name):
    network = NETWORKS[name].with_kind("in", "lookup")
    cores = random_cores(network)
    ids = np.random.default_rng(0).integers(0, network.input_size, (4, 3))
    expected = dense_weight(NETWORKS[name], cores)[ids]
    plans = candidates(network)
    assert plans
    for plan in plans:
        assert_close(execute(plan, ids, cores), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_only_a_single_core_may_have_all_rows_of_a_table(name):
    network = NETWORKS[name].with_kind("in", "lookup")
    for plan in candidates(network):
        for step in plan.steps:
            if isinstance(step, Gather) and set(step.table[0]) == set(
                network.labels_of("lookup")
            ):
                assert step.operands[0] < len(network.cores)


@pytest.mark.parametrize("name", ["cp", "tucker-2", "block train"])
def test_a_window_made_batch_legs_is_a_stack_of_matrices(name):
    network = KERNELS[name].with_kind("window", "batch")
    cores = random_cores(network)
    weight = dense_weight(network, cores)
    inputs = random_array((5, *weight.shape[:-1]))
    expected = np.einsum("nvwi,vwij->nvwj", inputs, weight)
    for output in every_plan(network, cores, inputs):
        assert_close(output, expected)


# JAX compiles every operation of every network anew.
@settings(max_examples=30 if backend.name() == "tensorflow" else 4)
@given(networks())
def test_every_plan_of_a_network_of_any_shape(network):
    cores = random_cores(network)
    inputs = random_array((3, network.input_size))
    expected = inputs.astype("float64") @ dense_weight(network, cores)
    for plan in candidates(network)[:4]:
        assert_close(execute(plan, inputs, cores), expected)
