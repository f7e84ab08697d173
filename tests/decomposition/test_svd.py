import numpy as np
import pytest

from tensornet_keras.decomposition import svd, unfolding
from tensornet_keras.decomposition.unfolding import Unfolding, tiles


def matrix_of_spectrum(rows, columns, values, seed=0):
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.standard_normal((rows, len(values))))[0]
    v = np.linalg.qr(rng.standard_normal((columns, len(values))))[0]
    return (u * values) @ v.T


@pytest.mark.parametrize("limit", [1, 5, 7, 24, 1000])
def test_tiles_cover_an_array_in_order(limit):
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    found = [array[where] for where in tiles(array.shape, limit)]
    assert all(part.size <= limit for part in found)
    np.testing.assert_array_equal(
        np.concatenate([part.ravel() for part in found]), np.arange(24)
    )


def test_truncation_by_rank_and_by_tolerance():
    values = np.array([4.0, 3.0, 0.3, 0.4, 0.0])
    assert svd.smallest_rank(values) == 5
    assert svd.smallest_rank(values, rank=2) == 2
    assert svd.smallest_rank(values, tail=0.0) == 4
    assert svd.smallest_rank(values, tail=0.51) == 2
    assert svd.smallest_rank(values, tail=0.45) == 3
    assert svd.smallest_rank(values, rank=1, tail=0.45) == 1
    assert svd.smallest_rank(values, tail=100.0) == 1


def test_truncated_svd_leaves_out_at_most_the_tolerance():
    matrix = matrix_of_spectrum(20, 30, 0.5 ** np.arange(20))
    u, values, vt = svd.truncated_svd(matrix, tail=1e-3)
    missed = np.linalg.norm(matrix - (u * values) @ vt)
    assert 5e-4 < missed <= 1e-3
    assert u.shape == (20, len(values))


@pytest.fixture
def treated_as_large(monkeypatch):
    """Tiny matrices take the roads of large ones, in many blocks."""
    monkeypatch.setattr(svd, "SMALL_SIZE", 0)
    monkeypatch.setattr(svd, "LEAST_SAMPLED_SIDE", 120)
    monkeypatch.setattr(unfolding, "BLOCK_SIZE", 2000)
    monkeypatch.setattr(unfolding, "MOST_NARROW_COLUMNS", 16)


ROADS = {
    "gram": ((70, 200), None, "float32", 1e-6),
    "gram of few": ((70, 200), 5, "float32", 1e-6),
    "blocked qr": ((70, 200), None, "float64", 1e-13),
    "sample": ((130, 140), 4, "float32", 1e-6),
    "sample in float64": ((130, 140), 4, "float64", 1e-6),
}


@pytest.mark.usefixtures("treated_as_large")
@pytest.mark.parametrize(
    ("shape", "rank", "dtype", "tolerance"), ROADS.values(), ids=ROADS
)
def test_every_road_of_left_svd_agrees_with_the_spectrum(
    shape, rank, dtype, tolerance
):
    spectrum = 0.6 ** np.arange(20)
    matrix = matrix_of_spectrum(*shape, spectrum).astype(dtype)
    u, values = svd.left_svd(Unfolding(matrix), rank)
    assert u.shape == (shape[0], rank or shape[0])
    k = min(u.shape[1], 20)
    np.testing.assert_allclose(values[:k], spectrum[:k], atol=tolerance)
    np.testing.assert_allclose(u.T @ u, np.eye(u.shape[1]), atol=1e-10)
    missed = np.linalg.norm(matrix - u @ (u.T @ matrix))
    best = np.linalg.norm(spectrum[k:])
    assert missed <= best * (1 + 1e-5) + 10 * tolerance


@pytest.mark.usefixtures("treated_as_large")
def test_sampling_comes_close_to_the_best_on_a_flat_spectrum():
    matrix = np.random.default_rng(0).standard_normal((150, 160))
    u, _ = svd.left_svd(Unfolding(matrix), rank=6)
    captured = np.linalg.norm(u.T @ matrix)
    best = np.linalg.norm(np.linalg.svd(matrix, compute_uv=False)[:6])
    assert captured > 0.995 * best


@pytest.mark.usefixtures("treated_as_large")
def test_sampling_is_the_same_every_time():
    matrix = np.random.default_rng(0).standard_normal((130, 140))
    first = svd.left_svd(Unfolding(matrix), rank=3)
    second = svd.left_svd(Unfolding(matrix), rank=3)
    np.testing.assert_array_equal(first[0], second[0])


@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (60, 60)])
@pytest.mark.parametrize("limits", [{"rank": 7}, {"tail": 0.05}])
def test_split_is_the_best_product_for_any_shape(shape, limits):
    values = 0.6 ** np.arange(20)
    matrix = matrix_of_spectrum(*shape, values)
    left, right = svd.split(Unfolding(matrix), **limits)
    k = left.shape[1]
    np.testing.assert_allclose(left.T @ left, np.eye(k), atol=1e-12)
    missed = np.linalg.norm(matrix - left @ right)
    np.testing.assert_allclose(missed, np.linalg.norm(values[k:]), rtol=1e-8)
    assert k == limits.get("rank", 7)


def test_an_unfolding_reads_any_strides_in_blocks():
    array = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    unfolding = Unfolding(array.transpose(0, 2, 1, 3), row_axes=2)
    expected = array.transpose(0, 2, 1, 3).reshape(8, 15)
    np.testing.assert_array_equal(unfolding.whole("float64"), expected)
    left = np.random.default_rng(0).standard_normal((2, 8))
    np.testing.assert_allclose(
        unfolding.left_times(left).reshape(2, 15), left @ expected
    )
    np.testing.assert_array_equal(
        unfolding.transposed.whole("float64"), expected.T
    )
