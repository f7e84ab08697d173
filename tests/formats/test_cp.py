import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensornet_keras.formats import CP
from tests.laws.oracles import random_cores

modes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def dense(format, cores):
    return np.einsum(format.network.equation, *cores, optimize=True).reshape(
        format.network.padded_shape
    )


def test_a_matrix_has_paired_modes_on_one_bond():
    cp = CP(5).bind((1024,), (1000,))
    assert cp.pair_modes is True
    assert (cp.input_modes, cp.output_modes) == ((16, 8, 8), (10, 10, 10))
    assert cp.rank == (5,)
    assert cp.core_shapes == ((5, 16, 10), (5, 8, 10), (5, 8, 10))


def test_a_kernel_is_two_pointwise_layers_around_a_depthwise_one():
    cp = CP(5).bind((6,), (8,), (3, 2))
    assert cp.pair_modes is False
    assert cp.core_shapes == ((6, 5), (3, 2, 5), (5, 8))
    inward, spatial, outward = random_cores(cp.network, "float64")
    expected = np.zeros((3, 2, 6, 8))
    for r in range(5):
        channels = np.outer(inward[:, r], outward[r])
        expected += np.multiply.outer(spatial[:, :, r], channels)
    found = dense(cp, (inward, spatial, outward))
    np.testing.assert_allclose(found, expected)


def test_a_paired_kernel_ends_in_the_spatial_core():
    cp = CP(5, (2, 4), (3, 2), pair_modes=True).bind((8,), (6,), (3, 3))
    assert cp.core_shapes == ((5, 2, 3), (5, 4, 2), (3, 3, 5))


def test_a_paired_kernel_has_one_mode_a_side_by_default():
    cp = CP(4, pair_modes=True).bind((8,), (6,), (3, 3))
    assert cp.core_shapes == ((4, 8, 6), (3, 3, 4))
    assert cp.attainable_ranks() == (9,)


def test_one_paired_mode_is_the_matrix_itself():
    cp = CP(7).bind((3,), (5,))
    assert (cp.num_bonds, cp.rank, cp.core_shapes) == (0, (), ((3, 5),))
    assert cp.num_params == cp.dense_params


def test_unpaired_sides_may_differ_and_drop_modes_of_one():
    cp = CP(4, pair_modes=False).bind((1024,), (10,))
    assert (cp.input_modes, cp.output_modes) == ((16, 8, 8), (10,))
    explicit = CP(4, (2, 3), (7,), pair_modes=False).bind((6,), (7,))
    assert explicit.core_shapes == ((2, 4), (3, 4), (4, 7))


def test_dimensions_of_a_side_stay_apart():
    cp = CP(4).bind((64,), (5, 16))
    assert cp.output_modes == (5, 4, 4)
    assert cp.input_modes == (4, 4, 4)


def test_a_rank_is_cut_to_the_product_of_all_cores_but_the_largest():
    assert CP(99, (3, 2, 2), (2, 3, 1)).bind((12,), (6,)).rank == (12,)
    assert CP(99).bind((4,), (5,), (3,)).rank == (12,)


@settings(max_examples=30, deadline=None)
@given(modes=modes, outputs=modes, rank=st.integers(1, 5), paired=st.booleans())
def test_parameters_are_the_rank_times_the_sizes(modes, outputs, rank, paired):
    if paired:
        outputs = (outputs * 3)[: len(modes)]
    sizes = (int(np.prod(modes)),), (int(np.prod(outputs)),)
    cp = CP((rank,), tuple(modes), tuple(outputs), pair_modes=paired)
    cp = cp.bind(*sizes, (3,))
    pairs = zip(modes, outputs, strict=False)
    own = sum(i * j for i, j in pairs) if paired else sum(modes + outputs)
    assert cp.num_params == rank * (own + 3)


@pytest.mark.parametrize("pair_modes", [None, True])
def test_paired_modes_must_be_as_many(pair_modes):
    with pytest.raises(ValueError, match=r"one length\. Received: input_modes"):
        CP(2, (2, 3), (6,), pair_modes=pair_modes).bind((6,), (6,))


def test_unequal_numbers_of_modes_name_the_way_out():
    with pytest.raises(ValueError, match="or pass pair_modes=False"):
        CP(2, (2, 3), (6,)).bind((6,), (6,))


def test_pair_modes_is_a_bool():
    with pytest.raises(TypeError, match="`pair_modes` must be True or False"):
        CP(2, pair_modes=1)


def test_a_tuple_has_one_rank():
    with pytest.raises(ValueError, match="one entry per bond: 1 for modes"):
        CP((2, 3)).bind((64,), (64,))
