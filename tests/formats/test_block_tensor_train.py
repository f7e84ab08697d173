import numpy as np
import pytest

from tensornet_keras.formats import BlockTensorTrain
from tests.laws.oracles import dense_weight, random_cores


def test_the_weight_is_the_formula_of_the_paper():
    format = BlockTensorTrain(2, (2, 3), (4, 5)).bind((6,), (20,))
    right, left = random_cores(format.network, "float64")
    x = np.random.default_rng(0).standard_normal((2, 3))
    # y[a, b] = sum_gs L[a, b, g, s] sum_d R[b, g, d, s] x[g, d].
    first = np.einsum("gdbs,gd->bgs", right, x)
    y = np.einsum("bgsa,bgs->ab", left, first)
    weight = dense_weight(format.network, (right, left))
    np.testing.assert_allclose(x.reshape(-1) @ weight, y.reshape(-1))


def test_the_window_of_a_kernel_is_on_the_first_core():
    format = BlockTensorTrain(3, (2, 3), (4, 5)).bind((6,), (20,), (3, 2))
    assert format.core_shapes == ((3, 2, 2, 3, 5, 3), (5, 2, 3, 4))
    assert format.attainable_ranks() == (4,)


@pytest.mark.parametrize(
    ("modes", "attainable"),
    [(((2, 3), (4, 5)), 3), (((3, 4), (2, 5)), 2), (((6, 1), (4, 5)), 1)],
)
def test_a_block_carries_the_lesser_of_its_sides(modes, attainable):
    sizes = [(np.prod(side),) for side in modes]
    assert BlockTensorTrain(99, *modes).bind(*sizes).rank == (attainable,)


def test_parameters_are_those_of_the_paper():
    # 2 r n^(3/2) of an n x n matrix with square blocks.
    format = BlockTensorTrain(3).bind((4096,), (4096,))
    assert format.num_params == 2 * 3 * 64**3


def test_modes_left_out_make_few_blocks_of_many_numbers():
    format = BlockTensorTrain(1).bind((32,), (128,))
    assert (format.input_modes, format.output_modes) == ((4, 8), (16, 8))


@pytest.mark.parametrize(("size", "padded"), [(2, 2), (7, 8), (1018, 1020)])
def test_sizes_without_an_even_split_are_padded(size, padded):
    format = BlockTensorTrain(1).bind((size,), (size,))
    assert format.network.padded_shape == (padded, padded)
    assert format.dense_shape == (size, size)


@pytest.mark.parametrize(
    ("modes", "named"),
    [
        (((12,), (2, 5)), r"input_modes=\(12,\)"),
        (((3, 4), (2, 5, 1)), r"output_modes=\(2, 5, 1\)"),
    ],
)
def test_other_numbers_of_modes_are_refused(modes, named):
    with pytest.raises(ValueError, match=f"two modes a side.*{named}"):
        BlockTensorTrain(2, *modes)
