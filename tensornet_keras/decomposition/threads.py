"""One BLAS thread for thin products, where a second one only waits.

The threads of OpenBLAS wait by spinning. A decomposition is a long row of
short products: shared between threads they gain nothing on an idle machine,
and on a busy one, where every wait costs a time slice, they took ten times as
long. NumPy has no switch for it; threadpoolctl has one. Long thin products go
row by row to threads that sleep between them.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController

# Products with a shorter side of at least this are worth two threads.
LEAST_SHARED_SIDE = 1024
# A thread that sleeps is woken for so many multiply-adds.
LEAST_SHARED_WORK = 2**25

# Limits are of the process: a second Python thread must not restore the first
# one's as if they had been the original ones.
_LOCK = threading.RLock()


@contextlib.contextmanager
def threads_for(side: int):
    """Context in which BLAS has the threads that products of a size deserve.

    Args:
        side: The shorter side of the matrices at work.

    Returns:
        The context; it yields whether BLAS is held to one thread.
    """
    if side >= LEAST_SHARED_SIDE:
        yield False
        return
    with _LOCK, _controller().limit(limits=1, user_api="blas"):
        yield True


@contextlib.contextmanager
def products_for(side: int):
    """As `threads_for`, with a product that takes all cores where it is long.

    Args:
        side: The shorter side of the matrices at work.

    Returns:
        The context; it yields a function of two matrices to their product.
    """
    with threads_for(side) as single:
        if not single:
            yield np.matmul
            return
        with ThreadPoolExecutor(_cores()) as pool:
            yield functools.partial(_product, pool)


def _product(pool, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The rows of the left matrix in as many parts as are worth a thread."""
    rows, columns = len(left), right.shape[1]
    parts = min(_cores(), rows, left.size * columns // LEAST_SHARED_WORK)
    if parts < 2:
        return left @ right
    product = np.empty((rows, columns), np.result_type(left, right))
    bounds = [rows * part // parts for part in range(parts + 1)]

    def fill(start: int, stop: int) -> None:
        np.matmul(left[start:stop], right, out=product[start:stop])

    own, *others = itertools.pairwise(bounds)
    waited_for = [pool.submit(fill, *part) for part in others]
    fill(*own)
    for part in waited_for:
        part.result()
    return product


@functools.cache
def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _controller() -> ThreadpoolController:
    """The BLAS libraries that are loaded by now, NumPy's and SciPy's."""
    return ThreadpoolController()
