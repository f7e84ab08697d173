"""Selection: which layers a conversion is about, and what format each has."""

from __future__ import annotations

import re
from collections.abc import Callable

import keras

from tensornet_keras import formats, validation
from tensornet_keras.formats import Format

FormatOf = Callable[[keras.layers.Layer], Format | str | dict | None]
Filters = str | list[str] | Callable[[keras.layers.Layer], bool] | None


def format_of(
    layer, format: Format | str | dict | FormatOf, error: float | None
) -> Format | None:
    """The format that a conversion is to use for a layer.

    Args:
        layer: The layer.
        format: A format for all layers, its catalog name or its dict, or a
            function from a layer to one of these, or to `None`.
        error: Relative error that goes with a format that has no rank.

    Returns:
        The format, or `None` if the function gives none.

    Raises:
        TypeError: If it is no format.
        ValueError: If both or neither of a rank and the error are given.
    """
    if is_function(format):
        format = format(layer)
        if format is None:
            return None
    return targeted(formats.get(format), error)


def is_function(format) -> bool:
    """Whether a format is chosen layer by layer; a class of formats is not.

    Args:
        format: What was passed as a format.
    """
    return callable(format) and not isinstance(format, (type, Format))


def targeted(format: Format, error: float | None) -> Format:
    """Refuses two targets, or none.

    Args:
        format: The format.
        error: The relative error, or `None`.

    Returns:
        The format.

    Raises:
        ValueError: If both or neither of a rank and an error are given.
    """
    if error is not None:
        validation.relative_error(error)
    if (format.rank is None) == (error is None):
        raise ValueError(
            "Exactly one of a rank and an error must be given. "
            f"Received: format={format!r}, error={error}. "
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
    try:
        compiled = [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise ValueError(
            "`filters` must hold valid regular expressions. "
            f"Received: filters={filters!r} ({error}). "
            "Escape special characters with a backslash."
        ) from error
    return lambda layer: any(
        pattern.search(path_of(layer)) for pattern in compiled
    )
