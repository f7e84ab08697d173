import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition import svd
from tensornet_keras.formats import LowRank
from tests.decomposition.oracles import decaying_weight, relative_error

windows = st.lists(st.integers(1, 3), max_size=3).map(tuple)
sizes = st.integers(1, 12)
splits = st.sampled_from(["matrix", "spatial", "spatial_transposed"])
dtypes = st.sampled_from(["float16", "float32", "float64"])
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10}


def unfolding(weight, split):
    """The matrix whose best approximation the two factors are."""
    window = list(range(weight.ndim - 2))
    inputs, outputs = weight.ndim - 2, weight.ndim - 1
    rows, columns = {
        "matrix": (window, []),
        "spatial": (window[:1], window[1:]),
        "spatial_transposed": (window[1:], window[:1]),
    }[split]
    rows = [*rows, inputs]
    moved = weight.astype("float64").transpose(*rows, *columns, outputs)
    return moved.reshape(int(np.prod(moved.shape[: len(rows)])), -1)


def singular_values(weight, split):
    return np.linalg.svd(unfolding(weight, split), compute_uv=False)


@given(windows, sizes, sizes, splits, dtypes, st.integers(1, 5))
def test_the_error_is_that_of_the_truncated_svd(
    window, inputs, outputs, split, dtype, rank
):
    weight = decaying_weight((*window, inputs, outputs), dtype=dtype)
    result = tk.decompose(weight, LowRank(rank, split))
    values = singular_values(weight, split)
    best = np.linalg.norm(values[rank:]) / np.linalg.norm(values)
    assert result.format.rank == (min(rank, len(values)),)
    assert result.relative_error == pytest.approx(
        best, rel=1e-4, abs=16 * EPSILON[dtype]
    )
    assert relative_error(result.to_dense(), weight) == pytest.approx(
        result.relative_error, rel=1e-4, abs=16 * EPSILON[dtype]
    )


@given(windows, sizes, sizes, splits, st.floats(0.001, 0.9))
def test_an_error_takes_the_smallest_rank(
    window, inputs, outputs, split, error
):
    weight = decaying_weight((*window, inputs, outputs))
    result = tk.decompose(weight, LowRank(conv_split=split), error=error)
    values = singular_values(weight, split)
    tails = [np.linalg.norm(values[r:]) for r in range(1, len(values) + 1)]
    allowed = error * np.linalg.norm(values)
    expected = 1 + sum(tail > allowed for tail in tails)
    assert result.format.rank == (expected,)
    assert result.relative_error <= error


@given(windows, sizes, sizes, splits, dtypes)
def test_error_zero_is_exact(window, inputs, outputs, split, dtype):
    weight = decaying_weight((*window, inputs, outputs), dtype=dtype)
    result = tk.decompose(weight, LowRank(conv_split=split), error=0)
    assert result.format.rank == result.format.attainable_ranks()
    assert result.relative_error <= 16 * EPSILON[dtype]


@pytest.mark.parametrize("shape", [(9, 14), (14, 9), (3, 2, 7, 6)])
def test_the_singular_values_are_shared_evenly(shape):
    weight = decaying_weight(shape)
    first, second = tk.decompose(weight, LowRank(4, "spatial")).cores
    expected = np.diag(singular_values(weight, "spatial")[:4])
    first = first.reshape(-1, 4)
    second = second.reshape(4, -1)
    np.testing.assert_allclose(first.T @ first, expected, atol=1e-10)
    np.testing.assert_allclose(second @ second.T, expected, atol=1e-10)


def test_a_multiple_is_met_as_far_as_the_bond_carries_it():
    weight = decaying_weight((10, 30), decay=0.5)
    exact = tk.decompose(weight, LowRank(), error=0.03)
    assert exact.format.rank[0] % 4 != 0
    result = tk.decompose(weight, LowRank(rank_multiple=4), error=0.03)
    assert result.format.rank == (exact.format.rounded_up(1) * 4,)
    assert result.relative_error <= exact.relative_error
    most = tk.decompose(weight, LowRank(rank_multiple=16), error=0.03)
    assert most.format.rank == (10,)


@pytest.mark.parametrize("split", ["matrix", "spatial", "spatial_transposed"])
def test_a_separable_kernel_has_rank_one(split):
    column, row = np.array([1.0, 2.0, 1.0]), np.array([-1.0, 0.0, 1.0])
    channels = np.outer(np.arange(1.0, 5.0), np.arange(1.0, 4.0))
    weight = np.einsum("y,x,ij->yxij", column, row, channels)
    result = tk.decompose(weight, LowRank(1, split))
    assert result.relative_error < 1e-14


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_kernels_take_the_same_factors(monkeypatch, dtype):
    monkeypatch.setattr(svd, "SMALL_SIZE", 0)
    for shape in ((40, 90), (90, 40), (3, 3, 20, 8)):
        weight = decaying_weight(shape, dtype=dtype)
        result = tk.decompose(weight, LowRank(5, "spatial"))
        values = singular_values(weight, "spatial")
        best = np.linalg.norm(values[5:]) / np.linalg.norm(values)
        assert result.relative_error == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("error", [None, 0.0, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64", ml_dtypes.bfloat16])
def test_zeros_are_met_exactly(error, dtype):
    weight = np.zeros((3, 3, 4, 5), dtype)
    rank = 3 if error is None else None
    result = tk.decompose(weight, LowRank(rank, "spatial"), error=error)
    assert result.relative_error == 0.0
    assert any(core.any() for core in result.cores)
    assert not result.to_dense().any()


def test_ranks_beyond_the_rank_of_the_weight_do_no_harm():
    weight = np.outer(np.arange(1.0, 9.0), np.arange(1.0, 7.0))
    result = tk.decompose(weight.astype("float32"), LowRank(5))
    assert result.format.rank == (5,)
    assert result.relative_error < 1e-6
    assert all(np.isfinite(core).all() for core in result.cores)
