"""Selection: which layers a conversion is about, and what format each has."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras

from tensornet_keras.conversion.targets import Target
from tensornet_keras.formats import Format

FormatOf = Callable[[keras.layers.Layer], Format | str | dict | None]
Filters = str | list[str] | Callable[[keras.layers.Layer], bool] | None


def is_function(format) -> bool:
    """Whether a format is chosen layer by layer; a class of formats is not.

    Args:
        format: What was passed as a format.
    """
    return callable(format) and not isinstance(format, (type, Format))


def targeted(format: Format, target: Target) -> Format:
    """Refuses two targets, or none.

    Args:
        format: The format.
        target: What is to be reached where the format has no rank.

    Returns:
        The format.

    Raises:
        ValueError: If both or neither of a rank and a target are given.
    """
    if (format.rank is None) == target.is_open:
        name = "an error" if target.budget is None else "a budget"
        raise ValueError(
            f"Exactly one of a rank and {name} must be given. "
            f"Received: format={format!r}, {target}. "
            "Pass TensorTrain(rank=8), or TensorTrain() with error=0.05."
        )
    return format


def path_of(layer) -> str:
    """The path by which filters and reports name a layer.

    Args:
        layer: A Keras layer.
    """
    return layer.path or layer.name


def selected(layers, filters: Filters) -> list[keras.layers.Layer]:
    """The layers that the filters let through, as in `model.quantize`.

    Args:
        layers: The layers to choose from.
        filters: A regular expression searched for in the layer's path, a
            list of them of which one must be found, a function from a layer
            to a bool, or `None` for all layers.

    Returns:
        The chosen layers, in the given order.

    Raises:
        TypeError: If `filters` is of another type.
        ValueError: If an expression is invalid, or nothing is chosen.
    """
    layers = list(layers)
    if filters is None:
        return layers
    accepts = filters if callable(filters) else _searching(filters)
    chosen = [layer for layer in layers if accepts(layer)]
    if not chosen:
        paths = ", ".join(path_of(layer) for layer in layers)
        raise ValueError(
            "`filters` must match at least one layer. "
            f"Received: filters={filters!r}. The layers are: {paths}."
        )
    return chosen


def _searching(filters) -> Callable[[keras.layers.Layer], bool]:
    patterns = [filters] if isinstance(filters, str) else filters
    strings = isinstance(patterns, (list, tuple)) and all(
        isinstance(pattern, str) for pattern in patterns
    )
    if not strings:
        raise TypeError(
            "`filters` must be a regular expression, a list of them or a "
            f"function of a layer. Received: filters={filters!r}. "
            'Pass for example filters="conv.*".'
        )
    compiled = [compiled_pattern(pattern, "filters") for pattern in patterns]
    return lambda layer: any(
        pattern.search(path_of(layer)) for pattern in compiled
    )


def compiled_pattern(pattern, name: str = "overrides") -> re.Pattern:
    """A regular expression, or an error.

    Args:
        pattern: The expression.
        name: The argument that holds it.

    Raises:
        ValueError: If it is invalid.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"`{name}` must hold valid regular expressions. "
            f"Received: {pattern!r} ({error}). "
            "Escape special characters with a backslash."
        ) from error
