"""Writes files whole or not at all."""

import contextlib
import json
import os
import shutil
import uuid


@contextlib.contextmanager
def draft(path):
    """A name beside `path` to write to; it moves to `path` at the end.

    The name has the same ending and lies in the same folder, so that the move
    is one step of the file system. If anything goes wrong before it, what was
    written is removed and nothing appears at `path`.

    Args:
        path: Where the file, or folder, shall be in the end.

    Yields:
        The path to write to.

    Example:
        >>> import os, tempfile
        >>> from tensornet_keras.writing import draft
        >>> path = os.path.join(tempfile.mkdtemp(), "notes.txt")
        >>> with draft(path) as beside:
        ...     with open(beside, "w") as file:
        ...         _ = file.write("all of it")
        >>> os.listdir(os.path.dirname(path))
        ['notes.txt']
    """
    folder, name = os.path.split(os.path.abspath(path))
    stem, suffix = os.path.splitext(name)
    beside = os.path.join(folder, f".{stem}.{uuid.uuid4().hex[:8]}{suffix}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        _remove(beside)


def json_file(path, data):
    """Writes plain data as an indented JSON file.

    Args:
        path: Where to write; what is there is replaced.
        data: Dicts, lists, tuples, strings, numbers and `None`.
    """
    with draft(path) as beside, open(beside, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2)
        file.write("\n")


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)
