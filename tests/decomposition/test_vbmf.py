import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition.vbmf import vbmf_rank, vbmf_ranks
from tensornet_keras.formats import BlockTensorTrain, TensorTrain
from tensornet_keras.formats.tensor_ring import TensorRing
from tests.laws.oracles import dense_weight


def low_rank_plus_noise(rows, columns, rank, noise, seed=0):
    """Equal singular values of 1 plus noise of a share of the edge."""
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.standard_normal((rows, max(rank, 1))))[0]
    v = np.linalg.qr(rng.standard_normal((columns, max(rank, 1))))[0]
    edge = np.sqrt(rows) + np.sqrt(columns)
    noisy = noise / edge * rng.standard_normal((rows, columns))
    return (u @ v.T if rank else 0.0) + noisy


def values_of(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


@given(
    st.integers(30, 90),
    st.integers(30, 90),
    st.integers(0, 8),
    st.sampled_from([1e-3, 0.1, 0.4]),
    st.integers(0, 99),
)
def test_the_true_rank_is_found_in_noise(rows, columns, rank, noise, seed):
    matrix = low_rank_plus_noise(rows, columns, rank, noise, seed)
    assert vbmf_rank(values_of(matrix), rows, columns) == rank


@pytest.mark.parametrize("shape", [(40, 400), (400, 40), (200, 200)])
def test_scale_and_orientation_do_not_matter(shape):
    matrix = low_rank_plus_noise(*shape, 5, 0.3)
    for scale in (1e-150, 1.0, 1e150):
        values = values_of(matrix) * scale
        assert vbmf_rank(values, *shape) == 5
        assert vbmf_rank(values, *shape[::-1]) == 5


def test_without_noise_the_rank_is_that_of_the_matrix():
    matrix = low_rank_plus_noise(30, 50, 4, 0.0)
    assert vbmf_rank(values_of(matrix), 30, 50) == 4
    assert vbmf_rank(np.zeros(30), 30, 50) == 0
    # The largest values alone: the others are zero.
    assert vbmf_rank(values_of(matrix)[:4], 30, 50) == 4


def noisy_train(format, noise=0.05, seed=0):
    """The weight of random cores plus noise."""
    rng = np.random.default_rng(seed)
    cores = [rng.standard_normal(shape) for shape in format.core_shapes]
    weight = dense_weight(format.network, cores)
    weight /= np.sqrt(np.mean(np.square(weight)))
    return weight + noise * rng.standard_normal(weight.shape)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "format",
    [
        TensorTrain((3, 4), (6, 6, 6), (6, 6, 6)).bind((216,), (216,)),
        TensorTrain(
            (2, 3, 3), (24,), (30,), conv_order="channels_outside"
        ).bind((24,), (30,), (3, 3)),
        BlockTensorTrain(3, (4, 30), (30, 4)).bind((120,), (120,)),
    ],
    ids=str,
)
def test_the_ranks_of_a_noisy_network_are_found(format, dtype):
    weight = noisy_train(format).astype(dtype)
    assert vbmf_ranks(weight, format) == format.rank


def test_ranks_are_multiples_at_least_one_and_attainable():
    format = TensorTrain(1, (6, 6, 6), (6, 6, 6), rank_multiple=8)
    truth = TensorTrain((3, 9), (6, 6, 6), (6, 6, 6)).bind((216,), (216,))
    weight = noisy_train(truth)
    assert vbmf_ranks(weight, format.bind((216,), (216,))) == (8, 16)
    noise = np.random.default_rng(0).standard_normal((216, 216))
    assert vbmf_ranks(noise, truth) == (1, 1)
    few = TensorTrain(1, (2, 108), (2, 108), rank_multiple=8)
    assert vbmf_ranks(weight, few.bind((216,), (216,))) == (4,)


def test_a_loop_gets_the_root_of_the_rank_around_its_cores():
    modes = (8, 8, 8), (8, 8, 8)
    ring = TensorRing((2, 2, 2), *modes).bind((512,), (512,))
    weight = noisy_train(ring)
    assert vbmf_ranks(weight, ring) == (2, 2, 2)


def test_decompose_takes_the_ranks_from_the_noise():
    truth = TensorTrain((3, 4), (6, 6, 6), (6, 6, 6)).bind((216,), (216,))
    weight = noisy_train(truth)
    format = TensorTrain("vbmf", (6, 6, 6), (6, 6, 6))
    result = tk.decompose(weight, format)
    assert result.format.rank == (3, 4)
    assert result.relative_error < 0.06
    with pytest.raises(ValueError, match="exclude each other.*rank=vbmf"):
        tk.decompose(weight, format, error=0.1)
