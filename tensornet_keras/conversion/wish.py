"""What a conversion is asked for: which formats each layer may get."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tensornet_keras import formats, validation
from tensornet_keras.conversion.selection import (
    FormatOf,
    compiled_pattern,
    is_function,
    path_of,
    targeted,
)
from tensornet_keras.conversion.targets import Target
from tensornet_keras.formats import (
    BlockTensorTrain,
    Format,
    Kronecker,
    LowRank,
    TensorTrain,
    Tucker,
)

AUTO = "auto"
# What `"auto"` chooses among: formats whose spectra tell what any rank misses.
MATRIX_FORMATS = (
    LowRank(),
    TensorTrain(),
    Tucker(),
    BlockTensorTrain(),
    Kronecker(),
)
KERNEL_FORMATS = (
    LowRank(),
    LowRank(conv_split="spatial"),
    LowRank(conv_split="spatial_transposed"),
    Tucker(),
    TensorTrain(conv_order="channels_outside"),
)


@dataclass(frozen=True, eq=False)
class Wish:
    """What a conversion is asked for.

    Args:
        format: A format, its name or its dict, `"auto"`, or a function of a
            layer that returns one of these, or `None`.
        overrides: Patterns of paths, and the format of layers whose path the
            pattern finds; `None` keeps them. The first one found counts.
        target: What formats without a rank are to reach.
        rank_multiple: As in `Format`, for all that do not say so themselves.

    Raises:
        ValueError: If a pattern is invalid, the multiple is below 1, or a
            format has a rank and a target, or neither.
        TypeError: If a format is none.
    """

    format: Format | str | dict | FormatOf
    overrides: Mapping
    target: Target
    rank_multiple: int = 1

    def __post_init__(self):
        validation.positive_integer(self.rank_multiple, "rank_multiple")
        if not is_function(self.format):
            object.__setattr__(self, "format", self._known(self.format))
        found = {}
        for pattern, format in _checked(self.overrides).items():
            known = format if format is None else self._known(format, True)
            found[compiled_pattern(pattern)] = known
        object.__setattr__(self, "overrides", found)

    def check(self, layers) -> None:
        """Refuses overrides that no layer is concerned by.

        Args:
            layers: All layers of the model.

        Raises:
            ValueError: If a pattern finds no layer.
        """
        paths = [path_of(layer) for layer in layers]
        for pattern in self.overrides:
            if not any(map(pattern.search, paths)):
                raise ValueError(
                    "`overrides` must match at least one layer each. "
                    f"Received: {pattern.pattern!r}. "
                    f"The layers are: {', '.join(paths)}."
                )

    def formats_for(self, layer, window: int) -> tuple[Format, ...]:
        """The formats that a layer may get; none to keep it.

        Args:
            layer: A layer that can be factorized.
            window: How many window axes its kernel has.

        Raises:
            TypeError: If a function returns no format.
            ValueError: If it returns one with a rank and a target, or
                neither.
        """
        format = self._of(layer)
        if format is None:
            return ()
        found = (format,)
        if format == AUTO:
            found = KERNEL_FORMATS if window else MATRIX_FORMATS
        return tuple(map(self._in_steps, found))

    def _in_steps(self, format: Format) -> Format:
        if self.rank_multiple == 1 or format.rank_multiple != 1:
            return format
        return dataclasses.replace(format, rank_multiple=self.rank_multiple)

    def _of(self, layer) -> Format | str | None:
        for pattern, format in self.overrides.items():
            if pattern.search(path_of(layer)):
                return format
        if not is_function(self.format):
            return self.format
        format = self.format(layer)
        return None if format is None else self._known(format)

    def _known(self, format, is_override: bool = False) -> Format | str:
        """A format that fits the target, or `"auto"`."""
        if isinstance(format, str) and format == AUTO:
            if self.target.is_open:
                raise ValueError(
                    "A format that is chosen needs a target. "
                    "Received: format='auto' without one. "
                    "Pass error=, or a budget such as ratio=, or a format "
                    "with a rank."
                )
            return format
        format = formats.get(format)
        if is_override and format.rank is not None:
            return format
        return targeted(format, self.target)


def _checked(overrides) -> Mapping[str, object]:
    if overrides is None:
        return {}
    if not isinstance(overrides, Mapping) or not all(
        isinstance(pattern, (str, re.Pattern)) for pattern in overrides
    ):
        raise TypeError(
            "`overrides` must map regular expressions to formats. "
            f"Received: overrides={overrides!r}. "
            'Pass for example {"head$": None}.'
        )
    return overrides
