"""Resident memory of this process, as Linux counts it."""

import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR = Path("/proc/self/clear_refs")


def counted():
    """Whether this system counts it."""
    return sys.platform.startswith("linux")


def held():
    """Bytes that are resident now."""
    return _line("VmRSS:")


def peak():
    """The most bytes so far; `getrusage` would give a parent's if higher."""
    return _line("VmHWM:")


def forget_peak():
    """Sets the peak to what is resident now."""
    CLEAR.write_text("5", "ascii")


def rise(call):
    """Bytes by which the peak during a call exceeds what was held before.

    Args:
        call: A function without arguments.

    Returns:
        A number of bytes.
    """
    forget_peak()
    before = held()
    call()
    return peak() - before


def _line(name):
    lines = STATUS.read_text("ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return 1024 * int(line.split()[1])
