import sys

import numpy as np
import pytest

from tensornet_keras.decomposition import threads


def blas_threads():
    control = pytest.importorskip("threadpoolctl")
    return [
        library["num_threads"]
        for library in control.threadpool_info()
        if library["user_api"] == "blas"
    ]


def test_thin_products_run_on_one_thread_and_the_limit_is_lifted():
    before = blas_threads()
    with threads.threads_for(8):
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_large_products_keep_their_threads():
    before = blas_threads()
    with threads.threads_for(4096):
        assert blas_threads() == before


def test_without_threadpoolctl_nothing_is_limited(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    threads._controller.cache_clear()
    try:
        with threads.threads_for(8):
            assert np.ones((2, 2)).sum() == 4.0
    finally:
        threads._controller.cache_clear()
