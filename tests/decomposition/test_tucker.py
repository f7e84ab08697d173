import tracemalloc

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition import svd
from tensornet_keras.decomposition import tucker as module
from tensornet_keras.decomposition.tucker import hooi, sequential_hosvd
from tensornet_keras.formats import Tucker
from tests.decomposition.oracles import decaying_weight, relative_error

EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10}
dtypes = st.sampled_from(sorted(EPSILON))


@st.composite
def tensors_and_ranks(draw):
    """A tensor, ranks within its axes, and the axes that have a factor."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)))
    axes = [axis for axis in range(len(shape)) if draw(st.booleans())]
    ranks = [draw(st.integers(1, shape[axis])) for axis in axes]
    noise = np.random.default_rng(draw(st.integers(0, 9)))
    return noise.standard_normal(shape), ranks, axes


@st.composite
def weights_and_formats(draw):
    """A weight of any dtype, and a Tucker format without a rank."""
    window = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    sides = [
        tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
        for _ in range(2)
    ]
    lengths = [
        max(1, int(np.prod(side)) - draw(st.integers(0, 2))) for side in sides
    ]
    shape = (*window, *lengths)
    weight = decaying_weight(shape, draw(st.integers(0, 9)), draw(dtypes))
    return weight, Tucker(None, *sides, pad=True)


def rebuilt(core, factors, axes):
    for factor, axis in zip(factors, axes, strict=True):
        moved = np.tensordot(factor, core, axes=(1, axis))
        core = np.moveaxis(moved, 0, axis)
    return core


def leading(tensor, axis, rank):
    """Leading left singular vectors of an unfolding."""
    matrix = np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)
    return np.linalg.svd(matrix, full_matrices=True)[0][:, :rank]


def textbook_hooi(tensor, ranks, axes, passes):
    """De Lathauwer et al. 2000, algorithm 4.2, without regard to time."""
    factors = [leading(tensor, a, r) for a, r in zip(axes, ranks, strict=True)]
    for _ in range(passes):
        for k, axis in enumerate(axes):
            others = [
                (factor.T, other)
                for factor, other in zip(factors, axes, strict=True)
                if other != axis
            ]
            projected = tensor
            for factor, other in others:
                projected = rebuilt(projected, [factor], [other])
            factors[k] = leading(projected, axis, ranks[k])
    core = rebuilt(tensor, [factor.T for factor in factors], axes)
    return rebuilt(core, factors, axes)


@pytest.fixture
def treated_as_long(monkeypatch):
    """Short axes and tiny tensors take the roads of large ones."""
    monkeypatch.setattr(svd, "SMALL_SIZE", 0)
    monkeypatch.setattr(module, "LEAST_ITERATED_SIDE", 1)


@given(tensors_and_ranks())
def test_factors_are_orthonormal_and_the_core_is_the_projection(case):
    tensor, ranks, axes = case
    for core, factors in (
        hooi(tensor, ranks, axes)[:2],
        sequential_hosvd(tensor, ranks, axes),
    ):
        for factor, axis, rank in zip(factors, axes, ranks, strict=True):
            assert factor.shape == (tensor.shape[axis], rank)
            np.testing.assert_allclose(
                factor.T @ factor, np.eye(rank), atol=1e-12
            )
        transposed = [factor.T for factor in factors]
        np.testing.assert_allclose(
            core, rebuilt(tensor, transposed, axes), atol=1e-12
        )


@given(tensors_and_ranks())
def test_iterating_never_loses_what_the_truncation_had(case):
    tensor, ranks, axes = case
    start, _ = sequential_hosvd(tensor, ranks, axes)
    core, _, iterations, converged = hooi(tensor, ranks, axes)
    assert np.linalg.norm(core) >= np.linalg.norm(start) * (1 - 1e-12)
    assert converged
    assert iterations <= 100


@given(tensors_and_ranks())
def test_no_factor_can_be_improved_alone_once_converged(case):
    tensor, ranks, axes = case
    core, factors, _, converged = hooi(tensor, ranks, axes, 0.0, 2000)
    assert converged
    for k, axis in enumerate(axes):
        others = [j for j in range(len(axes)) if j != k]
        projected = rebuilt(
            tensor,
            [factors[j].T for j in others],
            [axes[j] for j in others],
        )
        matrix = np.moveaxis(projected, axis, 0)
        matrix = matrix.reshape(tensor.shape[axis], -1)
        values = np.linalg.svd(matrix, compute_uv=False)
        best = np.linalg.norm(values[: ranks[k]])
        assert np.linalg.norm(core) == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("shape", "ranks", "axes"),
    [
        ((6, 5, 7), (2, 3, 2), (0, 1, 2)),
        ((3, 3, 8, 9), (3, 4), (2, 3)),
        ((4, 5, 4, 5), (2, 2, 3, 2), (0, 1, 2, 3)),
        # More than the other axes can make use of.
        ((8, 3, 4), (5, 2, 2), (0, 1, 2)),
    ],
)
def test_errors_are_those_of_the_textbook(shape, ranks, axes, seed):
    tensor = decaying_weight(shape, seed)
    core, factors, _, converged = hooi(tensor, ranks, axes, 1e-9, 500)
    assert converged
    ours = relative_error(rebuilt(core, factors, axes), tensor)
    theirs = relative_error(textbook_hooi(tensor, ranks, axes, 60), tensor)
    assert ours == pytest.approx(theirs, rel=0.01)


@pytest.mark.usefixtures("treated_as_long")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_axes_end_near_the_textbook(dtype):
    tensor = decaying_weight((3, 24, 20), dtype=dtype, decay=0.5)
    core, factors, _, converged = hooi(tensor, (5, 4), (1, 2), 1e-7, 500)
    assert converged
    ours = relative_error(rebuilt(core, factors, (1, 2)), tensor)
    expected = textbook_hooi(tensor.astype("float64"), (5, 4), (1, 2), 60)
    assert ours == pytest.approx(relative_error(expected, tensor), rel=0.01)


@pytest.mark.usefixtures("treated_as_long")
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_neither_small_nor_large_numbers_are_lost(scale):
    weight = decaying_weight((24, 20), dtype="float32", decay=0.5)
    format = Tucker(3, (24,), (4, 5))
    expected = tk.decompose(weight, format).relative_error
    scaled = weight * np.float32(scale)
    assert tk.decompose(scaled, format).relative_error == pytest.approx(
        expected, rel=1e-3
    )


def test_a_tensor_of_low_ranks_is_found_exactly():
    noise = np.random.default_rng(0)
    core = noise.standard_normal((3, 2, 3, 2))
    factors = [
        np.linalg.qr(noise.standard_normal((size, rank)))[0]
        for size, rank in ((5, 3), (4, 2), (6, 3), (7, 2))
    ]
    weight = rebuilt(core, factors, range(4)).reshape(20, 42)
    modes = (5, 4), (6, 7)
    by_rank = tk.decompose(weight, Tucker((3, 2, 3, 2), *modes))
    assert by_rank.relative_error < 1e-13
    by_error = tk.decompose(weight, Tucker(None, *modes), error=1e-6)
    assert by_error.format.rank == (3, 2, 3, 2)


def test_a_single_pass_says_that_it_has_not_converged():
    tensor = np.random.default_rng(0).standard_normal((8, 8, 8))
    _, _, iterations, converged = hooi(tensor, (3, 3, 3), range(3), 0.0, 1)
    assert (iterations, converged) == (1, False)
    weight = tensor.reshape(8, 64)
    format = Tucker(3, (8,), (8, 8))
    result = tk.decompose(weight, format, tolerance=0.0, max_iterations=2)
    assert (result.iterations, result.converged) == (2, False)
    result = tk.decompose(weight, format)
    assert result.converged
    assert result.iterations > 0


@given(weights_and_formats())
def test_full_rank_is_exact(case):
    weight, format = case
    result = tk.decompose(weight, format, error=0)
    assert result.format.rank == result.format.attainable_ranks()
    assert relative_error(result.to_dense(), weight) <= 8 * EPSILON[
        weight.dtype.name
    ] * len(result.cores)


@given(weights_and_formats(), st.floats(0.001, 0.9))
def test_the_error_obtained_is_within_the_error_asked(case, error):
    weight, format = case
    result = tk.decompose(weight, format, error=error)
    half = weight.dtype == np.float16
    slack = 4 * EPSILON["float16"] * len(result.cores) if half else 0.0
    assert result.relative_error <= error + slack
    assert all(np.less_equal(result.format.rank, result.format.cut().rank))


@given(weights_and_formats(), st.integers(1, 3))
def test_the_error_reported_is_that_of_the_cores(case, rank):
    weight, format = case
    format = Tucker(rank, format.input_modes, format.output_modes, pad=True)
    result = tk.decompose(weight, format)
    assert {core.dtype for core in result.cores} == {weight.dtype}
    assert relative_error(result.to_dense(), weight) == pytest.approx(
        result.relative_error, rel=1e-3, abs=EPSILON[weight.dtype.name]
    )


@pytest.mark.parametrize("error", [0.05, 0.1, 0.3])
def test_no_more_is_kept_than_an_equal_share_for_each_factor_asks(error):
    tensor = decaying_weight((6, 5, 6, 5), decay=3.0)
    weight = tensor.reshape(30, 30)
    result = tk.decompose(weight, Tucker(None, (6, 5), (6, 5)), error=error)
    allowed = error / 2 * np.linalg.norm(tensor)
    for axis, rank in enumerate(result.format.rank):
        matrix = np.moveaxis(tensor, axis, 0).reshape(tensor.shape[axis], -1)
        values = np.linalg.svd(matrix, compute_uv=False)
        needed = sum(
            np.linalg.norm(values[r:]) > allowed for r in range(len(values))
        )
        assert rank <= max(1, needed)


def test_ranks_found_are_multiples_as_far_as_the_modes_carry_them():
    weight = decaying_weight((3, 3, 16, 6), decay=3.0)
    plain = tk.decompose(weight, Tucker(), error=0.1)
    assert plain.format.rank[0] % 4 != 0
    result = tk.decompose(weight, Tucker(rank_multiple=4), error=0.1)
    rounded = tuple(-(-rank // 4) * 4 for rank in plain.format.rank)
    assert result.format.rank == (rounded[0], min(rounded[1], 6))
    assert result.relative_error <= plain.relative_error


def test_the_window_is_not_compressed():
    weight = np.random.default_rng(0).standard_normal((3, 3, 4, 5))
    result = tk.decompose(weight, Tucker(), error=0.4)
    _, core, _ = result.cores
    assert core.shape[:2] == (3, 3)


@pytest.mark.parametrize("error", [None, 0.0, 0.1])
@pytest.mark.parametrize("dtype", ["float32", "float64", ml_dtypes.bfloat16])
def test_zeros_are_met_exactly(error, dtype):
    weight = np.zeros((3, 20, 17), dtype)
    rank = 3 if error is None else None
    format = Tucker(rank, (5, 4), (3, 6), pad=True)
    result = tk.decompose(weight, format, error=error)
    assert result.relative_error == 0.0
    assert any(core.any() for core in result.cores)
    assert not result.to_dense().any()


def test_ranks_beyond_those_of_the_weight_do_no_harm():
    weight = np.outer(np.arange(1.0, 17.0), np.arange(1.0, 13.0))
    result = tk.decompose(weight.astype("float32"), Tucker(3))
    assert result.relative_error < 1e-6
    assert all(np.isfinite(core).all() for core in result.cores)


def test_memory_is_a_small_multiple_of_the_kernel():
    weight = decaying_weight((3, 3, 256, 256), dtype="float32")
    format = Tucker(16)
    tracemalloc.start()
    tk.decompose(weight, format)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * weight.nbytes
