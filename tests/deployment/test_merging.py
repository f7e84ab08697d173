"""What cores are merged into stands for the weight that they stood for."""

import dataclasses

import pytest
from keras import ops

from tensornet_keras.contraction.cost import CPU
from tensornet_keras.deployment import freezable
from tensornet_keras.deployment.merging import Meeting, candidates_of
from tensornet_keras.formats import Kronecker, Merged, TensorTrain
from tensornet_keras.layers import TTDense
from tensornet_keras.network import TensorNetwork
from tests.laws.examples import examples_of_every_format
from tests.laws.oracles import assert_close, dense_weight, random_cores

MEETING = Meeting(lambda network: network, 4, ((), ()), 1, False, CPU)
LOOKUP = dataclasses.replace(
    MEETING, network_of=lambda network: network.with_kind("in", "lookup")
)
REVERSE = dataclasses.replace(MEETING, network_of=TensorNetwork.transposed)
STACK = dataclasses.replace(
    MEETING, network_of=lambda network: network.with_kind("window", "batch")
)
MATRICES = [x for x in examples_of_every_format() if not x.window]
KERNELS = [x for x in examples_of_every_format() if x.window]
MOST_TRIED = 12


class Kernel:
    """Cores without a layer around them."""

    variable_dtype = "float32"

    def __init__(self, format):
        self.format = format
        cores = random_cores(format.network)
        self.cores = [ops.convert_to_tensor(core) for core in cores]


def check(format, *meetings):
    kernel = Kernel(format)
    expected = dense_weight(format.network, kernel.cores)
    found = candidates_of(format, meetings)
    assert found[0].is_dense
    assert found[1].is_source
    # Long chains have more than a hundred.
    tried = found[2 :: max(1, len(found) // MOST_TRIED)]
    for candidate in (found[0], *tried):
        shapes = candidate.format.core_shapes
        cores = candidate.cores(kernel)
        assert tuple(tuple(core.shape) for core in cores) == shapes
        actual = dense_weight(candidate.format.network, cores)
        assert_close(actual, expected)
    return found


def nothing_left(candidate):
    """Whether no step among the weights is left."""
    return not any(step.weight_only for step in candidate.plans[0].steps)


@pytest.mark.parametrize("format", MATRICES, ids=str)
def test_matrices_rows_and_transposed_ones(format):
    for candidate in check(format, MEETING):
        assert candidate.is_source or nothing_left(candidate)
    for candidate in check(format, LOOKUP)[2:]:
        assert nothing_left(candidate)
    # What suits the way back may be out of order for looking up.
    for candidate in check(format, LOOKUP, REVERSE):
        assert len(candidate.plans) == 2


@pytest.mark.parametrize("format", KERNELS, ids=str)
def test_kernels_of_convolutions_and_stacks(format):
    extent = (9,) * len(format.window)
    sliding = dataclasses.replace(MEETING, positions=(extent, extent))
    for meeting in (sliding, STACK):
        for candidate in check(format, meeting):
            assert candidate.is_source or nothing_left(candidate)


def test_merged_cores_are_not_those_of_the_source():
    """JAX hands on a tensor that an operation leaves as it is."""
    format = TensorTrain(2, (4,), (6,)).bind((4,), (6,))
    kernel = Kernel(format)
    for candidate in candidates_of(format, (MEETING,)):
        cores = candidate.cores(kernel)
        assert cores[0] is not kernel.cores[0]


def test_where_kernels_are_rebuilt_there_is_nothing_to_merge():
    format = TensorTrain(3).bind((12,), (12,), (3, 3))
    meeting = dataclasses.replace(MEETING, rebuild_only=True)
    assert len(candidates_of(format, (meeting,))) == 2


def test_memory_is_what_is_stored_and_what_lies_in_between():
    format = TensorTrain(4, (8, 8), (8, 8)).bind((64,), (64,))
    dense, *_, merged = candidates_of(format, (MEETING,))
    assert dense.memory == 4 * 64 * 64
    (plan,) = merged.plans
    assert merged.memory == 4 * merged.numbers + plan.peak_bytes_at(4)
    assert merged.memory > 4 * merged.numbers


def test_an_unknown_batch_is_held_in_memory_at_its_largest():
    format = Kronecker(2, (8, 8), (8, 8)).bind((64,), (64,))
    unknown = dataclasses.replace(MEETING, batch=None)
    largest = dataclasses.replace(MEETING, batch=1024)
    pairs = zip(
        candidates_of(format, (unknown,)),
        candidates_of(format, (largest,)),
        strict=True,
    )
    for one, other in pairs:
        if not one.is_source:
            assert isinstance(one.format, Merged)
            # Of a known batch the plan may be cut into parts.
            assert one.memory >= other.memory


def test_weights_count_as_they_are_stored_and_as_they_are_met():
    """In mixed precision they are stored in float32, and cast in a call."""
    half = dataclasses.replace(
        MEETING, machine=dataclasses.replace(CPU, itemsize=2)
    )
    format = TensorTrain(2, (4, 4), (4, 4)).bind((16,), (16,))
    for candidate in candidates_of(format, (half,), itemsize=4):
        assert candidate.stored_bytes == 4 * candidate.numbers
        assert candidate.weight_bytes == (4 + 2) * candidate.numbers
    for candidate in candidates_of(format, (half,), itemsize=2):
        assert candidate.weight_bytes == 2 * candidate.numbers


def test_a_frozen_layer_knows_the_bytes_of_its_weights():
    layer = TTDense(16, 2, dtype="mixed_float16")
    layer.build((None, 16))
    (site,) = freezable.sites(layer, (4, 16))
    assert site.itemsize == 4
    assert site.meetings[0].machine.itemsize == 2
