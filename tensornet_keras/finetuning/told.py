"""What tells one fine-tuning from another, the same in every process."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

import keras
import numpy as np

from tensornet_keras import backend


def told(model, teacher, run) -> str:
    """Models, phases and settings as text.

    Args:
        model: The model to tune.
        teacher: The teacher, or `None`.
        run: Phases and settings; arrays among them count by their numbers.
    """
    weights = [
        None if each is None else list(map(_weight, each.variables))
        for each in (model, teacher)
    ]
    return repr((weights, _text(run)))


def _weight(variable) -> str:
    """The numbers of a variable; a random seed moves on as it is used."""
    if "seed" in variable.name:
        return "seed"
    return _digest(backend.numbers_of(variable))


def _text(value) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        pairs = sorted((str(key), _text(each)) for key, each in value.items())
        return repr(pairs)
    if isinstance(value, np.ndarray) or keras.ops.is_tensor(value):
        return _digest(keras.ops.convert_to_numpy(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {x.name: getattr(value, x.name) for x in _fields(value)}
        return f"{type(value).__name__}{_text(fields)}"
    if hasattr(value, "get_config"):
        return f"{type(value).__name__}{_text(value.get_config())}"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    # Neither the address of a function nor that of an object.
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"<{name}>"


def _fields(value):
    return [x for x in dataclasses.fields(value) if x.compare]


def _digest(array: np.ndarray) -> str:
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.name}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()[:32]
