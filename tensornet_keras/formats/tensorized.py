"""The base of the formats whose axes are split into modes."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar, Self

from tensornet_keras import validation
from tensornet_keras.formats.format import Format
from tensornet_keras.formats.modes import (
    check_modes,
    choose_modes,
    natural_modes,
)


@dataclass(frozen=True, repr=False)
class TensorizedFormat(Format):
    """A format whose input and output axes are split into modes.

    Abstract: use `TensorTrain`, `TensorRing`, `CP`, `Tucker` or `Kronecker`.

    Args:
        rank: Bond sizes, as in `Format`.
        input_modes: Factors of the input size. `None` chooses them.
        output_modes: Factors of the output size. `None` chooses them.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.

    Raises:
        ValueError: If a rank is below 1, a share outside (0, 1], or the two
            sides have numbers of modes that the format cannot have.
        TypeError: If an argument is of another type.
    """

    # Whether core k holds input mode k and output mode k together.
    pairs_modes: ClassVar[bool] = True

    input_modes: tuple[int, ...] | None = None
    output_modes: tuple[int, ...] | None = None
    pad: bool = False

    def __post_init__(self):
        super().__post_init__()
        for name in ("input_modes", "output_modes"):
            value = getattr(self, name)
            if value is not None:
                value = validation.integer_tuple(value, name)
                object.__setattr__(self, name, value)
                if not value:
                    raise ValueError(
                        "A format needs at least one mode a side. "
                        f"Received: {name}=(). "
                        "Leave both sides out to have them chosen."
                    )
        validation.boolean(self.pad, "pad")
        if self.input_modes is not None and self.output_modes is not None:
            self._check_mode_counts()

    def _shaped(self, input_dims, output_dims, window) -> Self:
        dims = (input_dims, output_dims)
        modes = self._modes_for(*dims, window)
        padded = any(
            math.prod(side) > math.prod(size)
            for side, size in zip(modes, dims, strict=True)
        )
        return dataclasses.replace(
            self,
            input_modes=modes[0],
            output_modes=modes[1],
            pad=self.pad or padded,
            input_dims=input_dims,
            output_dims=output_dims,
            window=window,
        )

    def describe_modes(self) -> str:
        sides = (self.input_modes, self.output_modes)
        return " x ".join("·".join(map(str, side)) for side in sides)

    def _modes_for(self, input_dims, output_dims, window):
        """The modes of both sides: the user's, checked, or chosen ones."""
        if self.input_modes is None and self.output_modes is None:
            return self._chosen_modes(input_dims, output_dims, window)
        if self.input_modes is None or self.output_modes is None:
            raise ValueError(
                "`input_modes` and `output_modes` must be given together. "
                f"Received: input_modes={self.input_modes}, "
                f"output_modes={self.output_modes}. Pass both or neither."
            )
        return tuple(
            check_modes(modes, math.prod(dims), self.pad, name)
            for modes, dims, name in (
                (self.input_modes, input_dims, "input_modes"),
                (self.output_modes, output_dims, "output_modes"),
            )
        )

    def _chosen_modes(self, input_dims, output_dims, window):
        """Modes where the user gives none."""
        del window
        if len(input_dims) > 1 or len(output_dims) > 1:
            return natural_modes(input_dims, output_dims)
        return choose_modes(*input_dims, *output_dims)

    def _check_mode_counts(self) -> None:
        """Refuses numbers of modes that the format cannot have."""
        if self.pairs_modes and len(self.input_modes) != len(self.output_modes):
            raise ValueError(
                "`input_modes` and `output_modes` must have one length. "
                f"Received: input_modes={self.input_modes}, "
                f"output_modes={self.output_modes}. "
                "Fill the shorter side with ones."
            )
