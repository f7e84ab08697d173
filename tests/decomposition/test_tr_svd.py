import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.formats import TensorRing, TensorTrain
from tests.decomposition.oracles import (
    decaying_weight,
    interleaved,
    relative_error,
)
from tests.laws.oracles import dense_weight, random_cores

modes = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=4
)
windows = st.sampled_from([(), (3,), (2, 2), (2, 1, 2)])


def random_weight(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def ring_of(rank, pairs, window=()):
    rows, columns = zip(*pairs, strict=True)
    return TensorRing(rank, rows, columns).bind(
        (int(np.prod(rows)),), (int(np.prod(columns)),), window
    )


def textbook_tr_svd(weight, format):
    """Zhao et al. 2016, algorithm 1, from the first core on."""
    tensor = interleaved(weight, format)
    *ranks, closing = format.rank
    sizes = tensor.shape
    u, s, vt = np.linalg.svd(tensor.reshape(sizes[0], -1), False)
    width = closing * ranks[0]
    first = u[:, :width].reshape(sizes[0], closing, ranks[0])
    rest = (s[:width, None] * vt[:width]).reshape(closing, ranks[0], -1)
    rest = rest.transpose(1, 2, 0)
    product = first.transpose(1, 0, 2)
    for size, rank in zip(sizes[1:], ranks[1:], strict=False):
        rows = rest.shape[0] * size
        u, s, vt = np.linalg.svd(rest.reshape(rows, -1), False)
        core = u[:, :rank].reshape(-1, size, rank)
        product = np.tensordot(product, core, 1)
        rest = (s[:rank, None] * vt[:rank]).reshape(rank, -1, closing)
    whole = np.tensordot(product, rest, 1)
    return np.einsum("a...a", whole).reshape(sizes), tensor


def test_sweeps_are_at_least_as_good_as_the_textbooks():
    weight = decaying_weight((36, 64))
    format = ring_of((3, 4, 2), [(4, 4), (3, 4), (3, 4)])
    dense, tensor = textbook_tr_svd(weight, format)
    result = tk.decompose(weight, format)
    assert result.format == format
    assert result.relative_error <= relative_error(dense, tensor) * 1.0001


@given(modes, windows)
def test_the_attainable_ranks_hold_every_weight(pairs, window):
    ring = ring_of(1, pairs, window)
    weight = random_weight(ring.dense_shape)
    full = ring.with_rank(ring.attainable_ranks())
    for result in (
        tk.decompose(weight, full),
        tk.decompose(
            weight,
            TensorRing(None, ring.input_modes, ring.output_modes),
            error=0,
        ),
    ):
        dense = dense_weight(result.format.network, result.cores)
        np.testing.assert_allclose(dense, weight, atol=1e-12)
        assert result.relative_error < 1e-13
        pairs_of_ranks = zip(result.format.rank, full.rank, strict=True)
        assert all(rank <= limit for rank, limit in pairs_of_ranks)


@given(modes, windows, st.integers(1, 5), st.integers(0, 3))
def test_the_error_is_the_one_reported(pairs, window, rank, seed):
    ring = ring_of(rank, pairs, window)
    weight = random_weight(ring.dense_shape, seed)
    result = tk.decompose(weight, ring, max_iterations=3)
    dense = dense_weight(result.format.network, result.cores)
    assert result.relative_error == pytest.approx(
        relative_error(dense, weight), abs=1e-9
    )
    assert result.relative_error <= 1.0 + 1e-9
    np.testing.assert_allclose(result.to_dense(), dense, atol=1e-9)


@given(modes, windows, st.floats(0.01, 0.9), st.sampled_from([1, 2, 4]))
def test_an_error_is_kept(pairs, window, error, multiple):
    rows, columns = zip(*pairs, strict=True)
    ring = TensorRing(None, rows, columns, rank_multiple=multiple)
    shape = (*window, int(np.prod(rows)), int(np.prod(columns)))
    weight = decaying_weight(shape)
    result = tk.decompose(weight, ring, error=error)
    assert result.relative_error <= error
    limits = result.format.attainable_ranks()
    assert all(
        rank % multiple == 0 or rank == limit or rank == 1
        for rank, limit in zip(result.format.rank, limits, strict=True)
    )


def test_a_ring_takes_no_more_parameters_than_a_train_at_one_error():
    weight = decaying_weight((64, 64), decay=3.0)
    ring = tk.decompose(weight, TensorRing(), error=0.1)
    train = tk.decompose(weight, TensorTrain(), error=0.1)
    assert ring.format.num_params <= train.format.num_params


def test_a_ring_is_found_where_a_train_needs_larger_ranks():
    ring = ring_of((2, 2, 2, 2), [(4, 4)] * 4)
    cores = random_cores(ring.network, "float64")
    weight = dense_weight(ring.network, cores)
    found = tk.decompose(weight, TensorRing(None, (4,) * 4, (4,) * 4), 1e-6)
    train = tk.decompose(weight, TensorTrain(None, (4,) * 4, (4,) * 4), 1e-6)
    assert max(train.format.rank) == 4
    assert found.format.num_params <= train.format.num_params
    result = tk.decompose(weight, ring, tolerance=1e-9, max_iterations=300)
    assert result.relative_error < 1e-3


def test_passes_use_the_bonds_that_the_first_sweep_leaves_empty():
    ring = ring_of((3, 3, 3), [(2, 2), (2, 2), (2, 2)])
    weight = random_weight(ring.dense_shape)
    few = tk.decompose(weight, ring, max_iterations=1)
    many = tk.decompose(weight, ring)
    assert few.format.rank == many.format.rank == (3, 3, 3)
    assert (few.iterations, few.converged) == (1, False)
    assert many.converged
    assert many.relative_error < few.relative_error


def test_a_bond_of_one_makes_it_a_train():
    weight = decaying_weight((24, 36))
    pairs = [(2, 3), (3, 4), (4, 3)]
    ring = tk.decompose(weight, ring_of((3, 4, 1), pairs))
    train = tk.decompose(weight, TensorTrain((3, 4), (2, 3, 4), (3, 4, 3)))
    assert ring.format.rank == (3, 4, 1)
    assert ring.relative_error == pytest.approx(train.relative_error)
    assert (ring.iterations, ring.converged) == (0, True)


def test_the_bond_of_one_may_be_any():
    weight = decaying_weight((24, 36))
    pairs = [(2, 3), (3, 4), (4, 3)]
    result = tk.decompose(weight, ring_of((1, 4, 3), pairs))
    assert result.format.rank == (1, 4, 3)
    tensor = interleaved(weight, result.format).transpose(1, 2, 0)
    u, s, vt = np.linalg.svd(tensor.reshape(12, -1), False)
    rest = (s[:4, None] * vt[:4]).reshape(48, 6)
    kept = np.linalg.norm(np.linalg.svd(rest)[1][:3])
    expected = np.sqrt(1 - (kept / np.linalg.norm(tensor)) ** 2)
    assert result.relative_error == pytest.approx(expected)


@pytest.mark.parametrize("rank", [1, 3, 50])
@pytest.mark.parametrize("shape", [(16, 24), (3, 3, 8, 12)])
def test_a_zero_weight_is_met_exactly(rank, shape):
    result = tk.decompose(np.zeros(shape), TensorRing(rank))
    assert result.relative_error == 0.0
    assert not result.to_dense().any()
    assert all(np.isfinite(core).all() for core in result.cores)


def test_a_weight_of_low_rank_is_met_at_a_higher_one():
    weight = np.outer(np.arange(1.0, 65.0), np.arange(2.0, 66.0))
    result = tk.decompose(weight, TensorRing(rank=5))
    assert result.relative_error < 1e-12


@pytest.mark.parametrize(
    ("dtype", "bound"), [("float16", 2e-3), ("float32", 1e-6)]
)
def test_cores_have_the_dtype_of_the_weight(dtype, bound):
    weight = random_weight((3, 12, 10), dtype=dtype)
    result = tk.decompose(weight, TensorRing(rank=100))
    assert {core.dtype.name for core in result.cores} == {dtype}
    assert result.relative_error < bound


def test_padding_is_not_part_of_the_error():
    weight = decaying_weight((31, 29))
    result = tk.decompose(weight, TensorRing(rank=4))
    assert result.format.pad
    assert result.relative_error == pytest.approx(
        relative_error(result.to_dense(), weight)
    )


def test_a_large_weight_is_swept_from_one_core():
    weight = decaying_weight((1024, 512), dtype="float32")
    result = tk.decompose(weight, TensorRing(rank=4))
    train = tk.decompose(weight, TensorTrain(rank=4))
    assert result.relative_error <= train.relative_error * 1.001
    within = tk.decompose(weight, TensorRing(), error=0.1)
    assert within.relative_error <= 0.1


def test_the_seed_decides():
    ring = ring_of((3, 3, 3), [(2, 2), (2, 2), (2, 2)])
    weight = random_weight(ring.dense_shape)
    runs = [tk.decompose(weight, ring, seed=seed) for seed in (1, 1, 2)]
    for first, second, other in zip(*(r.cores for r in runs), strict=True):
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, other)
