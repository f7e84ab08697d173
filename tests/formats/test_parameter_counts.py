"""Parameter counts as published."""

import math

import pytest

from tensornet_keras.formats import TensorTrain

VGG_FC6 = ((2, 7, 8, 8, 7, 4), (4,) * 6)

# Novikov et al. 2015: table 2 (VGG), section 6.2 (CIFAR-10), and the shapes of
# figure 1.
MATRICES = [
    (VGG_FC6, 4, 2016),
    (VGG_FC6, 2, 528),
    (VGG_FC6, 1, 144),
    (((4,) * 6, (4,) * 6), 4, 1152),
    (((4,) * 5, (5,) * 5), 8, 4160),
    (((32, 32), (32, 32)), 16, 32768),
    (((4, 8, 8, 4), (4, 8, 8, 4)), 8, 8448),
    (((2, 2, 8, 8, 2, 2), (2, 2, 8, 8, 2, 2)), (6,) * 5, 4944),
    (((2,) * 10, (2,) * 10), 2, 144),
    # The two layers of the t3f tutorial.
    (((7, 4, 7, 4), (5, 5, 5, 5)), 4, 1100),
    (((7, 4, 7, 4), (5, 5, 5, 5)), 16, 14960),
]

# Garipov et al. 2016: 3x3 kernels with their ranks, the window's first.
KERNELS = [
    ((4, 4, 4), (4, 4, 4), (22, 20, 20), 13_958),
    ((4, 4, 4), (4, 8, 4), (27, 22, 22), 25_587),
    ((4, 8, 4), (4, 8, 4), (23, 23, 23), 42_895),
]


def bound(rank, modes, window=()):
    sizes = [(math.prod(side),) for side in modes]
    return TensorTrain(rank, *modes).bind(*sizes, window)


@pytest.mark.parametrize(("modes", "rank", "published"), MATRICES)
def test_matrices_have_the_published_count(modes, rank, published):
    assert bound(rank, modes).num_params == published


@pytest.mark.parametrize(("inputs", "outputs", "ranks", "published"), KERNELS)
def test_kernels_have_the_published_count(inputs, outputs, ranks, published):
    kernel = bound(ranks, (inputs, outputs), (3, 3))
    assert kernel.rank == ranks
    assert kernel.num_params == published


def test_the_first_layer_of_vgg_is_compressed_as_published():
    trains = [bound(rank, VGG_FC6) for rank in (4, 2, 1)]
    compressions = [train.dense_params / train.num_params for train in trains]
    assert [round(each) for each in compressions] == [50_972, 194_622, 713_614]


def test_a_kernel_has_a_core_for_its_window_in_front():
    kernel = bound((5, 6), ((2, 3), (4, 5)), (3, 2))
    assert kernel.core_shapes == ((3, 2, 5), (5, 2, 4, 6), (6, 3, 5))


def test_end_cores_of_a_matrix_have_no_unit_bond():
    matrix = bound((5, 6), ((2, 3, 4), (4, 5, 6)))
    assert matrix.core_shapes == ((2, 4, 5), (5, 3, 5, 6), (6, 4, 6))


def test_a_matrix_of_one_mode_is_the_dense_weight():
    matrix = bound(8, ((7,), (5,)))
    assert matrix.rank == ()
    assert matrix.core_shapes == ((7, 5),)
