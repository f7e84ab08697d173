"""Choice of modes by the matrix itself: a handful of splits, the best kept.

Every peer chooses modes by divisibility alone. Which entries of a trained
matrix belong together depends on the matrix, and so does the best split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.formats import Format
from tensornet_keras.formats.modes import balanced_splits
from tensornet_keras.formats.tensorized import TensorizedFormat


def rivals(
    format: Format, chosen: Format, error: float | None
) -> Iterator[Format]:
    """The same format with other balanced modes, at equal parameters.

    Args:
        format: The format as the user wrote it, without modes.
        chosen: What it became with the modes that are chosen by size.
        error: The relative error to meet, or `None` for equal parameters.

    Yields:
        Unbound formats with explicit modes; none for a side of several
        dimensions, whose modes are chosen within them.

    Raises:
        ValueError: If the format has no modes, or they are given.
    """
    if not isinstance(format, TensorizedFormat) or format.input_modes:
        raise ValueError(
            "Modes are searched for in a format that splits axes into modes "
            f"and leaves them to be chosen. Received: format={format!r}. "
            "Leave out input_modes and output_modes, or search_modes."
        )
    if max(map(len, (chosen.input_dims, chosen.output_dims))) > 1:
        # Modes within the dimensions are what is wanted there.
        return
    spent = min(1.0, chosen.num_params / chosen.dense_params)
    for input_modes, output_modes in balanced_splits(
        chosen.input_size, chosen.output_size
    ):
        if (input_modes, output_modes) == (
            chosen.input_modes,
            chosen.output_modes,
        ):
            continue
        try:
            rival = dataclasses.replace(
                format,
                rank=spent if error is None else None,
                input_modes=input_modes,
                output_modes=output_modes,
                pad=True,
            )
        except ValueError:
            # The format is particular about the number of modes.
            continue
        yield rival


def best_of(found: list[Decomposition], error: float | None) -> Decomposition:
    """The decomposition that is best at what was asked for.

    Args:
        found: Decompositions of one weight.
        error: The relative error they were to meet, or `None`.

    Returns:
        With an error, the one of the fewest parameters; else the one of the
        lowest relative error. The first of equals.
    """
    if error is None:
        return min(found, key=lambda each: each.relative_error)
    return min(found, key=lambda each: each.format.num_params)
