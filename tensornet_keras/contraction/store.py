"""Plain data kept between processes, in the user's cache folder.

One JSON file per key. A file is written beside its place and moved there in
one step, so that two processes never see half of one; the last to write wins.
Nothing here is needed to run: a folder that cannot be written, or a file that
cannot be read, means that there is no cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import tensornet_keras
from tensornet_keras import writing

VARIABLE = "TENSORNET_KERAS_CACHE"
# File names stay readable, and below what file systems allow.
_LONGEST_NAME = 80


def folder() -> str:
    """The folder of the cache.

    It is `$TENSORNET_KERAS_CACHE` where that is set, else `tensornet_keras`
    in the user's cache folder: `%LOCALAPPDATA%` on Windows,
    `~/Library/Caches` on macOS, `$XDG_CACHE_HOME` or `~/.cache` elsewhere.
    Set the variable to a path that cannot be a folder, such as `/dev/null`,
    to keep nothing.

    Returns:
        A path; there may be nothing yet.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return os.path.abspath(os.path.expanduser(named))
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        base = base or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        # The XDG specification has relative paths ignored.
        base = base if os.path.isabs(base) else os.path.join(home, ".cache")
    return os.path.join(base, "tensornet_keras")


def is_off() -> bool:
    """Whether the user wants nothing to be kept, by naming the null device."""
    return folder() == os.path.abspath(os.devnull)


def path_of(key: str) -> str:
    """The file of a key: its words, and a checksum that tells keys apart.

    Args:
        key: Any string.
    """
    words = re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")
    checksum = hashlib.sha256(key.encode()).hexdigest()[:16]
    name = f"{words[:_LONGEST_NAME]}-{checksum}.json"
    return os.path.join(folder(), name)


def load(key: str, parse: Callable[[Any], Any] = lambda data: data) -> Any:
    """What was kept under a key.

    A file that is corrupt, of another version of the package or refused by
    `parse` is set aside as `*.bad`, with one warning. The next `save` under
    the key makes a new one.

    Args:
        key: The key it was saved under.
        parse: Makes of the plain data what is wanted; a `ValueError`,
            `TypeError` or `KeyError` of it says that the data are corrupt.

    Returns:
        What `parse` returns, or `None` if nothing is kept.

    Example:
        >>> import os, tempfile
        >>> from tensornet_keras.contraction import store
        >>> os.environ[store.VARIABLE] = tempfile.mkdtemp()
        >>> store.save("one", {"order": [1, [0, 2]]})
        True
        >>> store.load("one")
        {'order': [1, [0, 2]]}
        >>> del os.environ[store.VARIABLE]
    """
    path = path_of(key)
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError:
        return _set_aside(path, "it is not text")
    except OSError:
        return None
    try:
        content = json.loads(text)
        if content["version"] != tensornet_keras.__version__:
            raise ValueError(f"its version is {content['version']}")
        if content["key"] != key:
            raise ValueError("it belongs to another key")
        return parse(content["data"])
    except (ValueError, TypeError, KeyError) as error:
        return _set_aside(path, f"{type(error).__name__}: {error}")


def save(key: str, data: Any) -> bool:
    """Keeps plain data under a key, for this process and later ones.

    Args:
        key: The key; what was kept under it is replaced.
        data: Dicts, lists, strings, numbers and `None`.

    Returns:
        Whether it could be written.
    """
    version = tensornet_keras.__version__
    content = {"version": version, "key": key, "data": data}
    path = path_of(key)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        writing.json_file(path, content)
    except OSError:
        return False
    return True


def _set_aside(path: str, reason: str) -> None:
    """Renames a file that cannot be used, and says so."""
    bad = f"{path}.bad"
    try:
        os.replace(path, bad)
        kept = f"It is set aside as {bad!r}"
    except FileNotFoundError:
        # Another process has set it aside, and has said so.
        return
    except OSError:
        kept = "It cannot be renamed"
    warnings.warn(
        "A cache file must be one that this version has written. "
        f"Received: {path!r}, which is not ({reason}). {kept}; calibrate or "
        "autotune again to have what it held.",
        stacklevel=3,
    )
