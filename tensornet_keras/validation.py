"""Checks of arguments that know the argument's name.

Each function returns the normalised value, so that a caller checks once, at
the door, and trusts the value from there on.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterable


def is_integer(value) -> bool:
    """Whether `value` is a whole number (a bool is none)."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def boolean(value, name: str) -> bool:
    """`value`, which must be True or False."""
    if not isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be True or False. Received: {name}={value!r} "
            f"(a {type(value).__name__}). Pass {name}=True or {name}=False."
        )
    return value


def one_of(value, choices: tuple[str, ...], name: str) -> str:
    """`value`, which must be one of these names."""
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {list(choices)}. "
            f"Received: {name}={value!r}. Choose one of these names."
        )
    return value


def positive_integer(value, name: str) -> int:
    """`value` as an int of at least 1."""
    if not is_integer(value):
        raise TypeError(
            f"`{name}` must be a whole number. Received: {name}={value!r} "
            f"(a {type(value).__name__}). Pass an int of 1 or more."
        )
    if value < 1:
        raise ValueError(
            f"`{name}` must be at least 1. Received: {name}={value}. "
            "Pass an int of 1 or more."
        )
    return int(value)


def non_negative_integer(value, name: str) -> int:
    """`value` as an int of at least 0.

    Args:
        value: The value.
        name: Name of the argument.

    Raises:
        ValueError: If it is no whole number, or below 0.
    """
    return seed(value, name)


def positive_integer_or_none(value, name: str) -> int | None:
    """A whole number of 1 or more, or `None` where it is left open.

    Args:
        value: What was passed.
        name: Name of the argument.

    Raises:
        TypeError: If it is neither.
        ValueError: If it is below 1.
    """
    return None if value is None else positive_integer(value, name)


def seed(value, name: str = "seed") -> int:
    """`value` as an int of at least 0."""
    if not is_integer(value) or value < 0:
        raise ValueError(
            f"`{name}` must be a whole number of at least 0. "
            f"Received: {name}={value!r}. Pass for example {name}=0."
        )
    return int(value)


def integer_tuple(value, name: str) -> tuple[int, ...]:
    """`value` as a tuple of ints of at least 1."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(
            f"`{name}` must be a tuple of whole numbers. "
            f"Received: {name}={value!r}. Pass for example {name}=(4, 8)."
        )
    entries = tuple(value)
    for entry in entries:
        if not is_integer(entry) or entry < 1:
            raise ValueError(
                f"Every entry of `{name}` must be a whole number of at "
                f"least 1. Received: {name}={entries}. "
                f"Replace {entry!r} by an int of 1 or more."
            )
    return tuple(int(entry) for entry in entries)


def rank(value, name: str = "rank"):
    """A rank as a user writes it: int, tuple, share, `"vbmf"` or `None`."""
    if value is None or (isinstance(value, str) and value == "vbmf"):
        return value
    if is_integer(value):
        return positive_integer(value, name)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return _share(float(value), name)
    if isinstance(value, (tuple, list)):
        return integer_tuple(value, name)
    raise TypeError(
        f"`{name}` must be an int, a tuple of ints (one per bond), a float "
        "in (0, 1] (a share of the dense parameters), 'vbmf' or None. "
        f"Received: {name}={value!r}. Pass for example {name}=8."
    )


def _share(value: float, name: str) -> float:
    if not 0.0 < value <= 1.0:
        raise ValueError(
            f"A float `{name}` is a share of the dense parameters and must "
            f"lie in (0, 1]. Received: {name}={value}. Pass an int for a "
            "rank, or a float such as 0.1 for a tenth of the parameters."
        )
    return value


def relative_error(value, name: str = "error") -> float:
    """A relative error to meet, as a float in [0, 1)."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r}. "
            f"Pass a float such as {name}=0.05."
        )
    if not 0.0 <= value < 1.0 or math.isnan(value):
        raise ValueError(
            f"`{name}` is a relative error and must lie in [0, 1). "
            f"Received: {name}={value}. Pass a float such as {name}=0.05."
        )
    return float(value)


def non_negative(value, name: str) -> float:
    """`value` as a finite float of at least 0."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ValueError(
            f"`{name}` must be a number of at least 0. "
            f"Received: {name}={value!r}. Pass for example {name}=1.0."
        )
    return float(value)


def share(value, name: str) -> float:
    """`value` as a float in [0, 1)."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0.0 <= value < 1.0:
        raise ValueError(
            f"`{name}` must be a number in [0, 1). "
            f"Received: {name}={value!r}. Pass for example {name}=0.1."
        )
    return float(value)


def share_of_all(value, name: str) -> float:
    """`value` as a float in (0, 1]."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r}. "
            f"Pass a float such as {name}=0.3."
        )
    if not 0.0 < value <= 1.0:
        raise ValueError(
            f"`{name}` is a share and must lie in (0, 1]. "
            f"Received: {name}={value}. Pass a float such as {name}=0.3."
        )
    return float(value)


def writable_file(path, name: str = "path", overwrite: bool = False) -> str:
    """`path` as a string, in a folder that is there and can be written."""
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.lexists(path) and not overwrite:
        raise ValueError(
            f"`{name}` must not exist yet. Received: {name}={path!r}. "
            "Choose another path or remove what is there."
        )
    if os.path.isdir(path):
        raise ValueError(
            f"`{name}` must be a file, not a folder. "
            f"Received: {name}={path!r}. Choose another path."
        )
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise ValueError(
            f"The folder of `{name}` must exist and be writable. "
            f"Received: {name}={path!r}. Create the folder {folder!r} or "
            "choose another path."
        )
    return path
