import math
import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition import block_svd
from tensornet_keras.formats import BlockTensorTrain
from tests.decomposition.oracles import decaying_weight, relative_error
from tests.laws.oracles import dense_weight


@st.composite
def cases(draw):
    """A window, modes, and what is cropped off each side."""
    window = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    modes = [
        (draw(st.integers(1, 4)), draw(st.integers(1, 4))) for _ in range(2)
    ]
    cropped = [draw(st.integers(0, min(2, math.prod(m) - 1))) for m in modes]
    return window, modes, cropped


def weight_and_format(case, rank, dtype="float64", seed=0):
    window, modes, cropped = case
    sizes = [
        math.prod(m) - less for m, less in zip(modes, cropped, strict=True)
    ]
    weight = decaying_weight((*window, *sizes), seed, dtype)
    return weight, BlockTensorTrain(rank, *modes, pad=True)


def spectra(weight, format):
    """Singular values of every block, one block at a time."""
    *window, rows, columns = weight.shape
    (i1, i2), (j1, j2) = format.input_modes, format.output_modes
    whole = np.zeros((math.prod(window), i1 * i2, j1 * j2))
    whole[:, :rows, :columns] = weight.reshape(-1, rows, columns)
    whole = whole.reshape(-1, i1, i2, j1, j2)
    return np.array(
        [
            np.linalg.svd(
                whole[:, i, :, :, j].reshape(-1, j1), compute_uv=False
            )
            for i in range(i1)
            for j in range(j2)
        ]
    )


@given(cases(), st.sampled_from(["float64", "float32", "float16"]))
def test_full_rank_is_exact(case, dtype):
    weight, format = weight_and_format(case, None, dtype)
    result = tk.decompose(weight, format, error=0)
    assert result.format.rank == result.format.attainable_ranks()
    assert result.relative_error < {"float64": 1e-14, "float32": 1e-6}.get(
        dtype, 3e-3
    )
    assert result.cores[0].dtype == dtype


@given(cases(), st.integers(1, 4), st.sampled_from(["float64", "float32"]))
def test_every_block_is_cut_at_its_best(case, rank, dtype):
    weight, format = weight_and_format(case, rank, dtype)
    result = tk.decompose(weight, format)
    dense = dense_weight(result.format.network, result.cores)
    measured = relative_error(dense, weight)
    assert result.relative_error == pytest.approx(measured, abs=1e-6)
    dropped = spectra(weight, result.format)[:, result.format.rank[0] :]
    best = np.linalg.norm(dropped) / np.linalg.norm(weight.astype("float64"))
    if any(case[2]):
        assert measured <= best * (1 + 1e-6) + 1e-6
    else:
        assert measured == pytest.approx(best, rel=1e-5, abs=1e-6)


@given(cases(), st.floats(0.005, 0.9), st.sampled_from(["float64", "float32"]))
def test_the_rank_is_the_smallest_that_keeps_the_error(case, error, dtype):
    weight, format = weight_and_format(case, None, dtype)
    result = tk.decompose(weight, format, error=error)
    assert result.relative_error <= error
    (rank,) = result.format.rank
    if rank > 1:
        dropped = spectra(weight, result.format)[:, rank - 1 :]
        norm = np.linalg.norm(weight.astype("float64"))
        assert np.linalg.norm(dropped) > 0.999 * error * norm


def test_ranks_for_an_error_are_multiples():
    weight = np.random.default_rng(0).standard_normal((64, 64))
    format = BlockTensorTrain(rank_multiple=3)
    assert tk.decompose(weight, format, error=0.5).format.rank[0] % 3 == 0


def test_small_chunks_give_the_same_cores(monkeypatch):
    weight = decaying_weight((3, 24, 20), dtype="float32")
    format = BlockTensorTrain(2, (6, 4), (4, 5))
    expected = tk.decompose(weight, format)
    monkeypatch.setattr(block_svd, "BLOCK_SIZE", 100)
    result = tk.decompose(weight, format)
    np.testing.assert_allclose(
        result.to_dense(), expected.to_dense(), atol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_blocks_are_met_exactly(dtype):
    weight = np.zeros((16, 16), dtype)
    zero = tk.decompose(weight, BlockTensorTrain(2))
    assert zero.relative_error == 0.0
    assert sum(not core.any() for core in zero.cores) == 1
    # Of rank one in one block, nothing in the others.
    weight[:4, ::4] = np.outer(np.arange(1, 5), np.arange(2, 6))
    result = tk.decompose(weight, BlockTensorTrain(2, (4, 4), (4, 4)))
    assert result.relative_error < 1e-6
    assert all(np.isfinite(core).all() for core in result.cores)


def test_bfloat16_weights_keep_their_dtype():
    weight = decaying_weight((16, 16)).astype(ml_dtypes.bfloat16)
    result = tk.decompose(weight, BlockTensorTrain(2))
    assert {core.dtype for core in result.cores} == {weight.dtype}
    assert result.relative_error < 0.05


def test_both_factors_of_a_block_have_the_roots_of_its_spectrum():
    weight = decaying_weight((64, 64))
    right, left = tk.decompose(weight, BlockTensorTrain(3)).cores
    right_norms = np.linalg.norm(right, axis=1).transpose(0, 1, 2)
    left_norms = np.linalg.norm(left, axis=3).transpose(1, 0, 2)
    ratio = right_norms / left_norms
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-6)


def test_memory_is_a_small_multiple_of_the_kernel():
    weight = np.random.default_rng(0).standard_normal(
        (2048, 2048), dtype=np.float32
    )
    tracemalloc.start()
    try:
        tk.decompose(weight, BlockTensorTrain(4))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * weight.nbytes
