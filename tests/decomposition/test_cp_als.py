import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition.cp_als import cp_als
from tensornet_keras.decomposition.cp_pass import Folding, refined
from tensornet_keras.formats import CP, Kronecker
from tests.decomposition.oracles import decaying_weight, relative_error


def tensor_of(terms):
    """The tensor that terms stand for, one outer product after another."""
    total = 0.0
    for r, weight in enumerate(terms.weights):
        term = weight
        for factor in terms.factors:
            term = np.multiply.outer(term, factor[:, r])
        total = total + term
    return total


def sum_of_terms(shape, rank, seed=0):
    """A tensor of a known rank."""
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((size, rank)) for size in shape]
    letters = "abcdef"[: len(shape)]
    equation = ",".join(f"{letter}r" for letter in letters)
    return np.einsum(f"{equation}->{letters}", *factors)


def textbook_als(tensor, rank, passes, seed):
    """Kolda and Bader 2009, figure 3.3, by least squares: the error."""
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((size, rank)) for size in tensor.shape]
    for _ in range(passes):
        for mode, size in enumerate(tensor.shape):
            product = np.ones((1, rank))
            for other, factor in enumerate(factors):
                if other != mode:
                    product = np.einsum("ar,br->abr", product, factor)
                    product = product.reshape(-1, rank)
            rows = np.moveaxis(tensor, mode, 0).reshape(size, -1)
            found = np.linalg.lstsq(product, rows.T, rcond=None)[0]
            factors[mode] = found.T
    missed = np.linalg.norm(rows - factors[-1] @ product.T)
    return missed / np.linalg.norm(tensor)


@settings(max_examples=20, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    rank=st.integers(1, 6),
    seed=st.integers(0, 5),
)
def test_the_error_reported_is_the_error(shape, rank, seed):
    tensor = np.random.default_rng(seed).standard_normal(shape)
    terms = cp_als(tensor, rank)
    found = relative_error(tensor_of(terms), tensor)
    assert terms.relative_error == pytest.approx(found, abs=1e-6)
    assert found <= 1.0 + 1e-9


@settings(max_examples=20, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    seed=st.integers(0, 5),
)
def test_the_attainable_rank_is_exact(shape, seed):
    tensor = np.random.default_rng(seed).standard_normal(shape)
    limit = math.prod(shape) // max(shape)
    terms = cp_als(tensor, limit)
    np.testing.assert_allclose(tensor_of(terms), tensor, atol=1e-12)
    assert (terms.iterations, terms.converged) == (0, True)
    assert cp_als(tensor, limit + 5).rank == limit


@pytest.mark.parametrize("shape", [(8, 7, 9), (5, 4, 6, 5)])
def test_terms_are_found_again(shape):
    terms = cp_als(sum_of_terms(shape, 3), 3)
    assert terms.relative_error < 1e-3
    more = cp_als(sum_of_terms(shape, 3), 3, tolerance=1e-8, start=terms)
    assert more.relative_error < 1e-5


def test_a_matrix_gets_the_error_of_its_svd():
    matrix = decaying_weight((12, 17))
    values = np.linalg.svd(matrix, compute_uv=False)
    expected = np.linalg.norm(values[3:]) / np.linalg.norm(values)
    found = cp_als(matrix, 3).relative_error
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("rank", [2, 5, 12])
@pytest.mark.parametrize("kind", ["noise", "decaying"])
def test_errors_are_those_of_textbook_als_run_for_long(kind, rank):
    shape = (9, 8, 10)
    tensor = decaying_weight(shape, seed=1)
    if kind == "noise":
        tensor = np.random.default_rng(1).standard_normal(shape)
    best = min(textbook_als(tensor, rank, 100, seed) for seed in range(2))
    assert cp_als(tensor, rank).relative_error < 1.02 * best


def test_a_pass_of_a_large_rank_lowers_the_error(monkeypatch):
    # Beyond Cholesky's rank least squares are solved by gradients.
    module = "tensornet_keras.decomposition.cp_pass"
    tensor = decaying_weight((6, 7, 8, 5))
    exact = cp_als(tensor, 20)
    monkeypatch.setattr(f"{module}.MOST_CHOLESKY_RANK", 8)
    found = cp_als(tensor, 20)
    assert found.relative_error < 1.05 * exact.relative_error


@pytest.mark.parametrize("power", [-20, 0, 20])
def test_the_scale_of_a_tensor_does_not_matter(power):
    tensor = decaying_weight((6, 7, 8))
    scaled = cp_als(tensor * 2.0**power, 4)
    plain = cp_als(tensor, 4)
    assert scaled.relative_error == pytest.approx(plain.relative_error)
    np.testing.assert_allclose(
        scaled.weights, plain.weights * 2.0**power, rtol=1e-6
    )


def test_the_seed_decides_among_the_starts():
    tensor = np.random.default_rng(0).standard_normal((9, 10, 11))
    found = [cp_als(tensor, 12, seed=seed) for seed in (0, 0, 1, 2, 3)]
    np.testing.assert_array_equal(found[0].weights, found[1].weights)
    assert len({terms.relative_error for terms in found}) > 1


def test_a_tensor_without_a_best_approximation_keeps_its_terms_small():
    # De Silva and Lim 2008: of rank 3, yet rank 2 comes as near as one
    # likes, with terms that grow without bound and cancel each other.
    x, y = np.eye(3)[:2]
    tensor = sum(
        np.einsum("a,b,c->abc", *vectors)
        for vectors in ((x, x, y), (x, y, x), (y, x, x))
    )
    terms = cp_als(tensor, 2, tolerance=0.0, max_iterations=2000)
    assert terms.relative_error < 0.01
    assert np.linalg.norm(terms.weights) < 15 * np.linalg.norm(tensor)


def test_a_small_error_is_told_apart_in_large_tensors():
    # Beyond 2**16 entries the first passes are in float32.
    tensor = sum_of_terms((65, 64, 66), 2)
    terms = cp_als(tensor.astype("float32"), 2, tolerance=1e-6)
    assert terms.relative_error < 1e-4


def test_extrapolation_is_taken_back_where_it_fails():
    tensor = decaying_weight((5, 6, 7), seed=3)
    start = cp_als(tensor, 3, max_iterations=1)
    errors = [
        refined(Folding(tensor), start, 0.0, passes).relative_error
        for passes in range(1, 15)
    ]
    assert np.all(np.diff(errors) <= 1e-12)


def test_most_passes_and_the_tolerance_are_honoured():
    tensor = np.random.default_rng(0).standard_normal((9, 10, 11))
    short = cp_als(tensor, 8, tolerance=0.0, max_iterations=3)
    assert (short.iterations, short.converged) == (3, False)
    loose = cp_als(tensor, 8, tolerance=0.5)
    assert loose.converged
    assert loose.iterations <= 3
    goal = cp_als(tensor, 8, goal=0.99)
    assert goal.converged
    assert goal.relative_error <= 0.99


KERNELS = [
    (CP(), (24, 30)),
    (CP(pair_modes=False), (24, 30)),
    (CP(), (3, 3, 12, 10)),
    (CP(input_modes=(3, 4), output_modes=(5, 2), pair_modes=True), (3, 12, 10)),
    (CP(input_modes=(4, 4), output_modes=(5, 2), pad=True), (3, 13, 10)),
    (Kronecker(input_modes=(2, 3, 2), output_modes=(2, 1, 5)), (12, 10)),
]


@pytest.mark.parametrize(("format", "shape"), KERNELS, ids=str)
@pytest.mark.parametrize("error", [0.0, 0.02, 0.1])
def test_an_error_is_kept(format, shape, error):
    weight = decaying_weight(shape, dtype="float32")
    result = tk.decompose(weight, format, error=error)
    assert relative_error(result.to_dense(), weight) <= error + 1e-6
    assert result.relative_error <= error + 1e-6


def test_an_error_is_kept_with_few_terms():
    weight = sum_of_terms((12, 12, 12), 4, seed=2).reshape(12, 144)
    modes = {"input_modes": (12,), "output_modes": (12, 12)}
    format = CP(pair_modes=False, **modes)
    result = tk.decompose(weight, format, error=0.01)
    assert result.format.rank == (4,)


def test_ranks_of_an_error_are_multiples():
    format = CP(pair_modes=False, rank_multiple=3)
    result = tk.decompose(decaying_weight((24, 30)), format, error=0.05)
    assert result.format.rank[0] % 3 == 0
    assert result.relative_error <= 0.05


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_cores_have_the_dtype_of_the_weight(dtype):
    weight = decaying_weight((3, 3, 8, 9), dtype=dtype)
    result = tk.decompose(weight, CP(6))
    assert {core.dtype.name for core in result.cores} == {dtype}
    found = relative_error(result.to_dense(), weight)
    assert result.relative_error == pytest.approx(found, rel=1e-2)


def test_every_term_has_one_norm_in_all_its_factors():
    result = tk.decompose(decaying_weight((3, 3, 8, 9)), CP(4))
    inward, spatial, outward = result.cores
    norms = np.linalg.norm(inward, axis=0)
    np.testing.assert_allclose(np.linalg.norm(spatial, axis=(0, 1)), norms)
    np.testing.assert_allclose(np.linalg.norm(outward, axis=1), norms)


def test_the_iteration_is_reported():
    weight = np.random.default_rng(0).standard_normal((64, 64))
    result = tk.decompose(weight, CP(5), tolerance=0.0, max_iterations=4)
    assert (result.iterations, result.converged) == (4, False)
    assert tk.decompose(weight, CP(5), tolerance=0.1).converged


def test_two_cores_are_an_svd():
    weight = decaying_weight((14, 11))
    result = tk.decompose(weight, CP(3, (14,), (11,), pair_modes=False))
    values = np.linalg.svd(weight, compute_uv=False)
    expected = np.linalg.norm(values[3:]) / np.linalg.norm(values)
    assert result.relative_error == pytest.approx(expected)
    assert result.iterations == 0


@pytest.mark.parametrize("weight", ["zero", "one row", "one entry"])
def test_weights_of_low_rank_leave_no_warning(weight):
    kernel = np.zeros((3, 3, 6, 8), "float32")
    if weight == "one row":
        kernel[:, :, 2] = decaying_weight((3, 3, 8), dtype="float32")
    if weight == "one entry":
        kernel[1, 1, 3, 4] = 2.0
    result = tk.decompose(kernel, CP(12))
    assert relative_error(result.to_dense(), kernel) < 1e-3
    assert all(np.isfinite(core).all() for core in result.cores)
    assert result.relative_error < 1e-3
    bound = tk.decompose(kernel, CP(), error=0.1)
    assert bound.relative_error <= 0.1
