import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition.kronecker import equal_norms
from tensornet_keras.formats import CP, Kronecker
from tests.decomposition.oracles import decaying_weight, relative_error


def rearranged(weight, format):
    """Van Loan's matrix: a row for every entry of the first factor."""
    *window, rows, columns = weight.shape
    whole = np.zeros(format.network.padded_shape)
    whole[..., :rows, :columns] = weight
    (i1, i2), (j1, j2) = format.input_modes, format.output_modes
    tensor = whole.reshape(-1, i1, i2, j1, j2)
    return tensor.transpose(0, 1, 3, 2, 4).reshape(-1, i2 * j2)


def tails(weight, format):
    """Relative errors of the best sums of 0, 1, 2 ... products."""
    values = np.linalg.svd(rearranged(weight, format), compute_uv=False)
    squares = np.cumsum(np.square(values)[::-1])[::-1]
    return np.append(np.sqrt(squares), 0.0) / np.linalg.norm(weight)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    columns=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    window=st.sampled_from([(), (3,), (2, 2)]),
    rank=st.integers(1, 4),
    seed=st.integers(0, 9),
)
def test_the_error_is_the_tail_of_the_rearranged_matrix(
    rows, columns, window, rank, seed
):
    shape = (*window, int(np.prod(rows)), int(np.prod(columns)))
    weight = np.random.default_rng(seed).standard_normal(shape)
    result = tk.decompose(weight, Kronecker(rank, rows, columns))
    expected = tails(weight, result.format)[result.format.rank[0]]
    assert result.relative_error == pytest.approx(expected, abs=1e-7)
    found = relative_error(result.to_dense(), weight)
    assert found == pytest.approx(expected, abs=1e-7)


def test_one_product_is_found_again():
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 5, 6)), rng.standard_normal((4, 3))
    weight = np.stack([np.kron(part, second) for part in first])
    result = tk.decompose(weight, Kronecker(1, (5, 4), (6, 3)))
    assert result.relative_error < 1e-12
    found = result.cores[1][0]
    ratio = found / second
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("error", [0.3, 0.05])
def test_the_fewest_products_keep_an_error(error, dtype):
    weight = decaying_weight((3, 24, 30), dtype=dtype)
    result = tk.decompose(weight, Kronecker(), error=error)
    (rank,) = result.format.rank
    assert result.relative_error <= error
    assert tails(weight.astype("float64"), result.format)[rank - 1] > error
    assert {core.dtype.name for core in result.cores} == {dtype}


def test_ranks_of_an_error_are_multiples():
    weight = decaying_weight((24, 30))
    plain = tk.decompose(weight, Kronecker(), error=0.1).format.rank[0]
    wide = tk.decompose(weight, Kronecker(rank_multiple=4), error=0.1)
    assert wide.format.rank == (-(-plain // 4) * 4,)


def test_an_error_of_zero_keeps_everything():
    weight = decaying_weight((7, 13))
    result = tk.decompose(weight, Kronecker(), error=0.0)
    assert result.format.rank == result.format.attainable_ranks()
    assert result.relative_error < 1e-12


def test_a_large_kernel_is_decomposed_as_well_as_by_a_full_svd():
    weight = decaying_weight((3, 3, 64, 96), dtype="float32")
    result = tk.decompose(weight, Kronecker(3))
    expected = tails(weight, result.format)[3]
    assert result.relative_error == pytest.approx(expected, rel=1e-4)


def test_terms_have_equal_norms_in_both_factors():
    result = tk.decompose(decaying_weight((24, 30)), Kronecker(3))
    norms = [np.linalg.norm(core, axis=(1, 2)) for core in result.cores]
    np.testing.assert_allclose(norms[0], norms[1])
    assert np.all(np.diff(norms[0]) < 0)


def test_longer_products_are_the_paired_cp():
    weight = decaying_weight((12, 18))
    modes = (2, 3, 2), (3, 2, 3)
    products = tk.decompose(weight, Kronecker(4, *modes))
    terms = tk.decompose(weight, CP(4, *modes, pair_modes=True))
    assert products.format.core_shapes == terms.format.core_shapes
    for one, other in zip(products.cores, terms.cores, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_zero_weight_gives_a_zero_weight():
    result = tk.decompose(np.zeros((6, 10), "float32"), Kronecker(2))
    assert result.relative_error == 0.0
    assert not result.to_dense().any()


def test_equal_norms_leave_the_products_as_they_are():
    rng = np.random.default_rng(0)
    factors = [rng.standard_normal((n, 3)) for n in (4, 2, 5)]
    factors[1][:, 2] = 0.0
    shared = equal_norms(factors)
    np.testing.assert_allclose(
        np.einsum("ar,br,cr->abc", *shared),
        np.einsum("ar,br,cr->abc", *factors),
        atol=1e-12,
    )
    norms = np.array([np.linalg.norm(factor, axis=0) for factor in shared])
    np.testing.assert_allclose(norms[:, :2], norms[:1, :2].repeat(3, 0))
    assert norms[0, 2] > 0
