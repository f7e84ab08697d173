"""Sensitivity: what the score of a model loses by each layer alone.

Every layer is approximated at a few sizes while all others stay, and the model
is evaluated; the options of the layer are then weighed by the loss of score
instead of an error of the kernel. AIMET (Qualcomm) chooses ranks in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import rich.box
import rich.table
from rich.markup import escape

from tensornet_keras import reporting
from tensornet_keras.conversion import rules
from tensornet_keras.conversion.factorization import Factorization
from tensornet_keras.conversion.selection import path_of

# Options of a layer that are evaluated.
EVALUATED = 5


@dataclass(frozen=True)
class SensitivityRow:
    """The score of the model with one layer approximated.

    Args:
        path: Path of the layer.
        format: Catalog name of the format.
        ranks: Ranks of the bonds.
        params: Numbers in the cores.
        score: What `evaluate` returned.
    """

    path: str
    format: str
    ranks: tuple[int, ...]
    params: int
    score: float


@dataclass(frozen=True)
class Sensitivity(reporting.Report):
    """Scores of a model, layer by layer; prints as a table.

    Args:
        score: The score of the source.
        rows: One entry per layer and size.
    """

    score: float
    rows: tuple[SensitivityRow, ...]

    def table(self) -> rich.table.Table:
        """The scores as a `rich` table."""
        table = rich.table.Table(
            title=f"Sensitivity, score of the source {self.score:.4g}",
            box=rich.box.SIMPLE_HEAD,
        )
        table.add_column("layer", overflow="fold")
        for heading in ("format", "ranks"):
            table.add_column(heading)
        for heading in ("parameters", "score"):
            table.add_column(heading, justify="right")
        for row in self.rows:
            ranks = " ".join(map(str, row.ranks))
            cells = (row.path, row.format, ranks, f"{row.params:,}")
            table.add_row(*map(escape, cells), f"{row.score:.4g}")
        return table

    def to_dict(self) -> dict:
        """The scores as plain data."""
        return asdict(self)


class EvaluationError(RuntimeError):
    """An `evaluate` failed, or gave no finite number.

    Args:
        message: What went wrong.
        sensitivity: The scores until then, `None` if there are none.
    """

    def __init__(self, message: str, sensitivity: Sensitivity | None):
        super().__init__(message)
        self.sensitivity = sensitivity


class Evaluations:
    """A copy of a model in which one layer at a time is approximated.

    Args:
        copy: The copy, of dense layers.
        twin: A function from a layer of the source to its layer in the copy.
        evaluate: A function from a model to its score; larger is better.

    Raises:
        EvaluationError: If the first evaluation fails.
    """

    def __init__(
        self, copy, twin: Callable, evaluate: Callable[[object], float]
    ):
        self._copy = copy
        self._twin = twin
        self._evaluate = evaluate
        self._rows: list[SensitivityRow] = []
        self._score: float | None = None
        self._score = self._scored()

    @property
    def table(self) -> Sensitivity | None:
        """The scores so far."""
        if self._score is None:
            return None
        return Sensitivity(self._score, tuple(self._rows))

    def weighed(
        self,
        layer,
        options: Sequence,
        approximated: Callable[[tuple], Factorization],
    ) -> list:
        """The options of a layer, by how much score each one loses.

        Args:
            layer: A layer of the source.
            options: Pairs of a squared error and the bound formats.
            approximated: A function from bound formats to what stands for
                the kernels.

        Raises:
            EvaluationError: If an evaluation fails.
        """
        if not options:
            return []
        few = sorted({*np.linspace(0, len(options) - 1, EVALUATED).astype(int)})
        twin = self._twin(layer)
        before = [np.array(x) for x in twin.get_weights()]
        errors, losses = [], []
        for place in few:
            error, bound = options[place]
            found = approximated(bound)
            rules.assign(twin, [part.to_dense() for part in found.parts])
            if found.bias is not None:
                twin.bias.assign(found.bias)
            try:
                score = self._scored()
            finally:
                twin.set_weights(before)
            errors.append(error)
            losses.append(max(0.0, self._score - score))
            self._rows.append(
                SensitivityRow(
                    path_of(layer),
                    bound[0].name,
                    tuple(rank for each in bound for rank in each.rank),
                    sum(each.num_params for each in bound),
                    score,
                )
            )
        return _interpolated(options, errors, losses)

    def _scored(self) -> float:
        try:
            score = float(self._evaluate(self._copy))
        except KeyboardInterrupt as stop:
            # What hours have brought is not lost with it.
            stop.sensitivity = self.table
            raise
        except Exception as error:
            raise EvaluationError(
                "`evaluate` failed on a copy of the model, which is not "
                f"changed itself: {error} The scores until then are in the "
                "`sensitivity` of this error.",
                self.table,
            ) from error
        if not np.isfinite(score):
            raise EvaluationError(
                "`evaluate` must return a finite number, larger for better. "
                f"Received: {score}.",
                self.table,
            )
        return score


def _interpolated(options, errors, losses) -> list:
    """Losses of all options, between those that were evaluated.

    They rise with the error; of two that were evaluated out of order both
    get their mean, and equal ones rise a little with the error.
    """
    order = np.argsort(errors)
    known, own = np.asarray(errors)[order], np.asarray(losses)[order]
    own = np.maximum.accumulate(
        (np.maximum.accumulate(own) + np.minimum.accumulate(own[::-1])[::-1])
        / 2
    )
    small = 1e-9 * (1.0 + own.max())
    return [
        (float(np.interp(error, known, own)) + small * error, bound)
        for error, bound in options
    ]
