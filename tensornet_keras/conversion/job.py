"""The job: all that a conversion was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tensornet_keras.conversion import layer_inputs, rules
from tensornet_keras.conversion.calibration import Calibration
from tensornet_keras.conversion.wish import Wish
from tensornet_keras.formats import Format


@dataclass(frozen=True, eq=False)
class Job:
    """All that a conversion was asked for.

    Args:
        model: The source model.
        wish: Formats and target.
        min_compression: Least ratio of a kernel's numbers to its cores'.
        search_modes: As in `decompose`.
        seed: As in `decompose`.
        calibration: Calibration data with the model and a copy of it, or
            `None`.
        tied: The ids of layers that share a variable with another one.
        evaluate: A function from a model to its score, or `None`.
        sample: Inputs to time or to count multiply-adds on, or `None`.
    """

    model: object
    wish: Wish
    min_compression: float
    search_modes: bool
    seed: int
    calibration: Calibration | None = None
    tied: frozenset[int] = frozenset()
    evaluate: Callable[[object], float] | None = None
    sample: object = None

    def drawn_from(self):
        """Inputs to count multiply-adds on, `None` where any will do."""
        if self.sample is not None or self.calibration is None:
            return self.sample
        return self.calibration.example

    @property
    def rounds(self) -> int:
        """How often the layers are gone over."""
        return 1 if self.wish.target.budget is None else 2

    def formats_for(self, layer) -> tuple[Format, ...]:
        """The formats that a layer may get, none if it is to stay."""
        kernels = rules.kernels_of(layer)
        return self.wish.formats_for(layer, kernels[0].array.ndim - 2)

    def fits(self, layer) -> bool:
        """Whether a layer is fitted to calibration data."""
        if self.calibration is None:
            return False
        return layer_inputs.obstacle(layer) is None

    def obstacle(self, layer) -> str | None:
        """Why a layer cannot be factorized, in a few words, or `None`."""
        if id(layer) in self.tied:
            return "tied to another layer"
        obstacle = rules.obstacle(layer)
        return None if obstacle is None else obstacle.reason
