import numpy as np
import pytest
import threadpoolctl

from tensornet_keras.decomposition import threads


def blas_threads():
    return [
        library["num_threads"]
        for library in threadpoolctl.threadpool_info()
        if library["user_api"] == "blas"
    ]


@pytest.fixture(autouse=True)
def two_threads():
    """However many the tests are given."""
    with threadpoolctl.threadpool_limits(2, "blas"):
        assert 2 in blas_threads()
        yield


def test_thin_products_run_on_one_thread_and_the_limit_is_lifted():
    before = blas_threads()
    with threads.threads_for(8):
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_large_products_keep_their_threads():
    before = blas_threads()
    with threads.threads_for(4096):
        assert blas_threads() == before


@pytest.mark.parametrize("rows", [1, 3, 1000])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_in_parts_is_the_product(monkeypatch, rows, transposed):
    monkeypatch.setattr(threads, "LEAST_SHARED_WORK", 8)
    monkeypatch.setattr(threads, "_cores", lambda: 4)
    rng = np.random.default_rng(0)
    left = rng.standard_normal((8, rows)).T if transposed else None
    left = rng.standard_normal((rows, 8)) if left is None else left
    right = rng.standard_normal((8, 5)).astype("float32")
    with threads.products_for(8) as multiply:
        found = multiply(left, right)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, left @ right, rtol=1e-12)


def test_long_products_are_shared_and_short_ones_are_not(monkeypatch):
    monkeypatch.setattr(threads, "LEAST_SHARED_WORK", 2**12)
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    tasks = []
    submit = threads.ThreadPoolExecutor.submit

    def recorded(pool, *args):
        tasks.append(args)
        return submit(pool, *args)

    monkeypatch.setattr(threads.ThreadPoolExecutor, "submit", recorded)
    with threads.products_for(8) as multiply:
        multiply(np.ones((8, 8)), np.ones((8, 8)))
        assert not tasks
        multiply(np.ones((256, 8)), np.ones((8, 8)))
        assert len(tasks) == 1
