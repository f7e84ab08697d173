import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition import svd, tt_svd, unfolding
from tensornet_keras.formats import TensorTrain
from tests.decomposition.oracles import (
    decaying_weight,
    relative_error,
    textbook_tt_svd,
)

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10}


@st.composite
def shapes_and_modes(draw):
    """A window, mode pairs, and what is cropped off each side."""
    window = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    order = draw(st.integers(1, 4))
    sizes = st.lists(st.integers(1, 4), min_size=order, max_size=order)
    modes = tuple(draw(sizes)), tuple(draw(sizes))
    cropped = [
        draw(st.integers(0, min(2, int(np.prod(side)) - 1))) for side in modes
    ]
    return window, modes, cropped


def weight_and_format(case, rank, dtype="float64", seed=0):
    window, modes, cropped = case
    sizes = [
        int(np.prod(side)) - less
        for side, less in zip(modes, cropped, strict=True)
    ]
    weight = decaying_weight((*window, *sizes), seed, dtype)
    return weight, TensorTrain(rank, *modes, pad=True)


def tolerance(format, dtype):
    return 4 * EPSILON[dtype] * len(format.core_shapes)


@given(shapes_and_modes(), st.sampled_from(sorted(EPSILON)))
def test_full_rank_reproduces_the_weight(case, dtype):
    weight, format = weight_and_format(case, None, dtype)
    result = tk.decompose(weight, format, error=0)
    assert result.format.rank == result.format.attainable_ranks()
    assert relative_error(result.to_dense(), weight) <= tolerance(
        result.format, dtype
    )


@given(
    shapes_and_modes(),
    st.floats(0.001, 0.9),
    st.sampled_from(sorted(EPSILON)),
    st.integers(0, 9),
)
def test_error_obtained_is_within_the_error_asked(case, error, dtype, seed):
    weight, format = weight_and_format(case, None, dtype, seed)
    result = tk.decompose(weight, format, error=error)
    slack = tolerance(result.format, dtype) if dtype == "float16" else 0.0
    assert result.relative_error <= error + slack


@given(shapes_and_modes(), st.integers(1, 5), st.integers(0, 9))
def test_error_reported_is_the_error_of_the_cores(case, rank, seed):
    weight, format = weight_and_format(case, rank, "float64", seed)
    result = tk.decompose(weight, format)
    measured = relative_error(result.to_dense(), weight)
    np.testing.assert_allclose(
        result.relative_error, measured, rtol=1e-6, atol=1e-14
    )


@given(shapes_and_modes(), st.integers(1, 5), st.integers(0, 9))
def test_dense_weight_is_that_of_the_textbook(case, rank, seed):
    weight, format = weight_and_format(case, rank, "float64", seed)
    result = tk.decompose(weight, format)
    bound = format.bind(*_sizes(weight)).cut()
    expected, _ = textbook_tt_svd(weight, bound, ranks=bound.rank)
    np.testing.assert_allclose(
        result.to_dense(), expected, atol=1e-8 * np.abs(weight).max()
    )


@given(shapes_and_modes(), st.floats(0.01, 0.6), st.integers(0, 9))
def test_ranks_are_as_small_as_the_rule_gives(case, error, seed):
    weight, format = weight_and_format(case, None, "float64", seed)
    result = tk.decompose(weight, format, error=error)
    _, ranks = textbook_tt_svd(weight, result.format, error=error)
    assert all(np.less_equal(result.format.rank, ranks))


@given(shapes_and_modes(), st.integers(1, 5), st.sampled_from(sorted(EPSILON)))
def test_cores_have_equal_norms_and_the_dtype_of_the_weight(case, rank, dtype):
    weight, format = weight_and_format(case, rank, dtype)
    result = tk.decompose(weight, format)
    assert {core.dtype.name for core in result.cores} == {dtype}
    norms = [np.linalg.norm(c.astype("float64")) for c in result.cores]
    np.testing.assert_allclose(
        norms, norms[0], rtol=4 * EPSILON[dtype] * np.sqrt(weight.size)
    )


def _sizes(weight):
    *window, rows, columns = weight.shape
    return (rows,), (columns,), tuple(window)


@pytest.fixture
def treated_as_large(monkeypatch):
    """Tiny kernels take the roads of large ones, in many blocks."""
    for module in (svd, tt_svd):
        monkeypatch.setattr(module, "SMALL_SIZE", 0)
    monkeypatch.setattr(tt_svd, "MOST_GROUPED_ROWS", 30)
    monkeypatch.setattr(svd, "LEAST_SAMPLED_SIDE", 100)
    monkeypatch.setattr(unfolding, "BLOCK_SIZE", 500)
    monkeypatch.setattr(unfolding, "MOST_NARROW_COLUMNS", 8)


LARGE = {
    "grouped": ((32, 32), TensorTrain(3, (2,) * 5, (2,) * 5)),
    "sites alone": ((64, 64), TensorTrain(5, (8, 8), (8, 8))),
    "tall": ((64, 64), TensorTrain(5, (16, 2, 2), (16, 2, 2))),
    "sampled": ((120, 140), TensorTrain(3, (12, 10), (10, 14))),
    "untruncated ends": ((48, 48), TensorTrain(9, (3, 4, 4), (3, 4, 4))),
    "padded": ((61, 47), TensorTrain(4, (4, 4, 4), (4, 4, 3), pad=True)),
    "kernel": ((3, 3, 16, 18), TensorTrain(6, (4, 4), (6, 3))),
    "padded kernel": ((3, 15, 17), TensorTrain(4, (4, 4), (6, 3), pad=True)),
}


@pytest.mark.usefixtures("treated_as_large")
@pytest.mark.parametrize(("shape", "format"), LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_of_a_large_kernel_give_the_textbook_train(shape, format, dtype):
    weight = decaying_weight(shape, 1, dtype)
    result = tk.decompose(weight, format)
    bound = format.bind(*_sizes(weight)).cut()
    assert result.format.rank == bound.rank
    expected, _ = textbook_tt_svd(weight, bound, ranks=bound.rank)
    best = relative_error(expected, weight)
    np.testing.assert_allclose(result.relative_error, best, rtol=1e-3)
    np.testing.assert_allclose(
        relative_error(result.to_dense(), weight),
        result.relative_error,
        rtol=1e-5,
    )


@pytest.mark.usefixtures("treated_as_large")
@pytest.mark.parametrize(("shape", "format"), LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_of_a_large_kernel_keep_the_error(shape, format, dtype):
    weight = decaying_weight(shape, 2, dtype)
    format = TensorTrain(None, format.input_modes, format.output_modes, True)
    result = tk.decompose(weight, format, error=0.03)
    _, ranks = textbook_tt_svd(weight, result.format, error=0.03)
    assert result.relative_error <= 0.03
    assert all(np.less_equal(result.format.rank, ranks))


def test_a_train_is_found_again_at_its_ranks():
    format = TensorTrain(3, (4, 4, 4), (4, 4, 4)).bind((64,), (64,))
    rng = np.random.default_rng(0)
    cores = [rng.standard_normal(shape) for shape in format.core_shapes]
    weight = tk.decomposition.Decomposition(format, cores, 0.0).to_dense()
    for dtype, error in (("float64", 1e-12), ("float32", 1e-5)):
        result = tk.decompose(
            weight.astype(dtype), tk.formats.TensorTrain(), error=error
        )
        assert result.format.rank == (3, 3)
        assert result.relative_error <= error


def test_zero_weight_is_met_exactly():
    weight = np.zeros((16, 24), "float32")
    by_rank = tk.decompose(weight, TensorTrain(rank=3))
    by_error = tk.decompose(weight, TensorTrain(), error=0.1)
    assert by_rank.format.rank == (3,)
    assert by_error.format.rank == (1,)
    for result in (by_rank, by_error):
        assert result.relative_error == 0.0
        np.testing.assert_array_equal(result.to_dense(), weight)
        # One zero core: were there two, no gradient would reach any.
        assert sum(not core.any() for core in result.cores) == 1


def test_a_single_core_is_the_weight_itself():
    weight = decaying_weight((3, 5), dtype="float32")
    for error in (None, 0.5):
        format = TensorTrain(None if error else 4, (3,), (5,))
        result = tk.decompose(weight, format, error=error)
        assert result.format.rank == ()
        np.testing.assert_array_equal(result.cores[0], weight)


def test_a_window_of_one_costs_a_bond_of_one():
    weight = decaying_weight((1, 1, 16, 16), dtype="float32")
    result = tk.decompose(weight, TensorTrain(rank=5))
    assert result.format.rank == (1, 5)
    assert result.cores[0].shape == (1, 1, 1)


def test_prime_sizes_are_padded_and_the_error_is_that_of_the_crop():
    weight = decaying_weight((101, 37), dtype="float32")
    result = tk.decompose(weight, TensorTrain(), error=0.02)
    assert result.format.pad
    assert result.to_dense().shape == weight.shape
    assert result.relative_error <= 0.02
    np.testing.assert_allclose(
        relative_error(result.to_dense(), weight),
        result.relative_error,
        rtol=1e-5,
    )


def test_a_tuple_of_ranks_is_cut_to_the_attainable():
    weight = decaying_weight((12, 6))
    format = TensorTrain((99, 99), (2, 3, 2), (3, 1, 2))
    result = tk.decompose(weight, format)
    assert result.format.rank == (6, 4)
    assert result.relative_error < 1e-14


def test_a_bond_shrinks_to_what_its_neighbour_leaves():
    weight = decaying_weight((64, 64))
    format = TensorTrain((16, 1, 16), (4, 4, 2, 2), (4, 4, 2, 2))
    result = tk.decompose(weight, format)
    assert result.format.rank == (16, 1, 4)


def test_bfloat16_weights_keep_their_dtype():
    weight = decaying_weight((16, 16)).astype(ml_dtypes.bfloat16)
    result = tk.decompose(weight, TensorTrain(rank=2))
    assert {core.dtype for core in result.cores} == {weight.dtype}
    assert result.relative_error < 0.03


def test_strided_weights_decompose_as_their_copies():
    weight = decaying_weight((24, 32))
    strided = tk.decompose(weight.T, TensorTrain(rank=3))
    copied = tk.decompose(weight.T.copy(), TensorTrain(rank=3))
    np.testing.assert_array_equal(strided.to_dense(), copied.to_dense())


def test_the_weight_is_left_as_it_was():
    weight = decaying_weight((24, 32), dtype="float32")
    before = weight.copy()
    for format, error in ((TensorTrain(3), None), (TensorTrain(), 0.0)):
        tk.decompose(weight, format, error)
        np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize(
    ("shape", "format"),
    [
        ((3136, 1024), TensorTrain(4, (4, 7, 7, 16), (4, 4, 8, 8))),
        ((2048, 2048), TensorTrain(8, (32, 64), (64, 32))),
        ((3, 3, 512, 512), TensorTrain(8, (8, 8, 8), (8, 8, 8))),
    ],
    ids=["many modes", "two modes", "kernel"],
)
def test_memory_stays_below_twice_the_kernel(shape, format):
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(shape, dtype=np.float32)
    tracemalloc.start()
    try:
        tk.decompose(weight, format)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * weight.nbytes
