"""Keeps what backends log from C++ off the terminal."""

import contextlib
import os
import sys

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def native_logs_hidden():
    """Hides native logs while the context is open.

    TensorFlow and LiteRT write to the process's standard error before any
    setting of theirs is read, so it is pointed elsewhere while a command runs;
    Python's `sys.stderr` goes on to where it was. Who sets
    TF_CPP_MIN_LOG_LEVEL wants the logs, and gets them.
    """
    try:
        ours = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        ours = False
    if not ours or _LOG_LEVEL in os.environ:
        os.environ.setdefault(_LOG_LEVEL, "3")
        yield
        return
    os.environ[_LOG_LEVEL] = "3"
    python_stderr, kept = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with os.fdopen(os.dup(2), "w", buffering=1) as sys.stderr:
            os.dup2(nowhere, 2)
            yield
    finally:
        os.dup2(kept, 2)
        sys.stderr = python_stderr
        os.close(kept)
        os.close(nowhere)
