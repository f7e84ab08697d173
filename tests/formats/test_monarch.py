import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.formats import BlockTensorTrain, Monarch
from tests.laws.oracles import dense_weight, random_cores


def test_the_weight_is_two_block_diagonal_products():
    format = Monarch((2, 3), (4, 5)).bind((6,), (20,))
    right, left = random_cores(format.network, "float64")
    x = np.random.default_rng(0).standard_normal(6)
    first = np.zeros((6, 10))
    for i1 in range(2):
        rows, columns = slice(3 * i1, 3 * i1 + 3), slice(5 * i1, 5 * i1 + 5)
        first[rows, columns] = right[i1, :, :, 0]
    second = np.zeros((10, 20))
    for j2 in range(5):
        rows, columns = slice(2 * j2, 2 * j2 + 2), slice(4 * j2, 4 * j2 + 4)
        second[rows, columns] = left[j2, :, 0]
    between = (x @ first).reshape(2, 5).T.reshape(-1)
    y = (between @ second).reshape(5, 4).T.reshape(-1)
    np.testing.assert_allclose(
        x @ dense_weight(format.network, (right, left)), y
    )


def test_it_is_the_block_tensor_train_of_rank_one():
    monarch = Monarch().bind((64,), (48,), (3,))
    train = BlockTensorTrain(1).bind((64,), (48,), (3,))
    assert monarch.core_shapes == train.core_shapes
    assert monarch.network == train.network
    assert monarch.attainable_ranks() == (1,)


def test_a_monarch_matrix_is_found_again():
    monarch = Monarch((4, 3), (5, 2)).bind((12,), (10,), (3,))
    cores = random_cores(monarch.network, "float64")
    weight = dense_weight(monarch.network, cores)
    result = tk.decompose(weight, Monarch((4, 3), (5, 2)))
    assert result.relative_error < 1e-14
    np.testing.assert_allclose(result.to_dense(), weight, atol=1e-13)


def test_the_rank_may_be_said_and_is_one():
    assert Monarch(rank=1) == Monarch()
    assert Monarch().bind((6,), (6,)).rank == (1,)


@pytest.mark.parametrize("rank", [2, (2,), (1, 1), 0.5, 1.0, None, "vbmf"])
def test_other_ranks_are_refused(rank):
    with pytest.raises(ValueError, match="Monarch matrix is 1.*BlockTensor"):
        Monarch(rank=rank)
    with pytest.raises(ValueError, match="Monarch matrix is 1"):
        Monarch().bind((6,), (6,)).with_rank((2,))
