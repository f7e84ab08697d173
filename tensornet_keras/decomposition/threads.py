"""One BLAS thread for thin products, where a second one only waits.

The threads of OpenBLAS wait by spinning. A decomposition is a long row of
short products: shared between threads they gain nothing on an idle machine,
and on a busy one, where every wait costs a time slice, they took ten times as
long. NumPy has no switch for it; threadpoolctl has one and is used where it is
installed.
"""

from __future__ import annotations

import contextlib
import functools
import threading

# Products with a shorter side of at least this are worth two threads.
LEAST_SHARED_SIDE = 512

# Limits are of the process: a second Python thread must not restore the first
# one's as if they had been the original ones.
_LOCK = threading.RLock()


@contextlib.contextmanager
def threads_for(side: int):
    """Context in which BLAS has the threads that products of a size deserve.

    Args:
        side: The shorter side of the matrices at work.
    """
    controller = None if side >= LEAST_SHARED_SIDE else _controller()
    if controller is None:
        yield
        return
    with _LOCK, controller.limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _controller():
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()
