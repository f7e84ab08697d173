"""News of passes: a long decomposition says that it is alive.

How many passes an algorithm makes is known when it has made them. Whoever
shows progress listens; nobody has to.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

_LISTENER: ContextVar[Callable[[], None] | None] = ContextVar(
    "listener", default=None
)


@contextlib.contextmanager
def heard_by(listener: Callable[[], None]) -> Iterator[None]:
    """Context in which a function hears of every pass of an algorithm.

    Args:
        listener: Called after a pass over a weight, or over a part of it.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def passed() -> None:
    """Says that a pass has been made."""
    listener = _LISTENER.get()
    if listener is not None:
        listener()
