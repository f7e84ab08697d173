"""The report of freezing: every layer of ours, and what became of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import rich.box
import rich.console
import rich.table
from rich.markup import escape

from tensornet_keras import reporting

_UNKNOWN = "–"


@dataclass(frozen=True)
class FrozenRow:
    """What freezing did with one layer.

    Times are of one forward pass at the row's `batch`, in milliseconds.

    Args:
        path: Path of the layer in the model.
        kind: Class of the source layer.
        became: What it is now, in words, such as `"dense"` or
            `"2 of 6 cores"`; for a recurrent layer of both kernels.
        numbers_before: Numbers stored by the source layer.
        numbers_after: Numbers stored now.
        batch: The batch size of the times; `None` if nothing was predicted.
        predicted_ms: Predicted time.
        predicted_dense_ms: Predicted time of the dense kernel.
        measured_ms: Measured time; `None` if nothing was timed.
        measured_dense_ms: Measured time of the dense kernel.
    """

    path: str
    kind: str
    became: str
    numbers_before: int
    numbers_after: int
    batch: int | None = None
    predicted_ms: float | None = None
    predicted_dense_ms: float | None = None
    measured_ms: float | None = None
    measured_dense_ms: float | None = None


@dataclass(frozen=True)
class FreezeReport(reporting.Report):
    """What freezing did, layer by layer; prints as a table.

    Args:
        model: Name of the model.
        batch_size: The batch size asked for, `None` for all from 1 to 1024.
        objective: `"latency"`, `"size"` or `"memory"`.
        rows: One entry per layer of ours, in graph order.
        params_before: Parameters of the whole source model.
        params_after: Parameters of the whole frozen model.
    """

    width: ClassVar[int] = 130

    model: str
    batch_size: int | None
    objective: str
    rows: tuple[FrozenRow, ...]
    params_before: int
    params_after: int

    def table(self) -> rich.table.Table:
        """The report as a `rich` table."""
        size = self.batch_size or "1…1024"
        table = rich.table.Table(
            title=escape(
                f"{self.model} frozen for {self.objective}, batch {size}"
            ),
            box=rich.box.SIMPLE_HEAD,
        )
        for heading in ("layer", "kind", "became"):
            table.add_column(heading, overflow="fold")
        for heading in ("before", "after", "batch"):
            table.add_column(heading, justify="right", no_wrap=True)
        for heading in ("predicted ms", "dense", "measured ms", "dense"):
            table.add_column(heading, justify="right")
        for row in self.rows:
            table.add_row(*map(escape, _cells(row)))
        table.add_section()
        table.add_row(
            "whole model",
            "",
            "",
            f"{self.params_before:,}",
            f"{self.params_after:,}",
            *[""] * 5,
        )
        return table

    def to_dict(self) -> dict:
        """The report as plain data."""
        return dataclasses.asdict(self)


def _cells(row: FrozenRow) -> list[str]:
    times = (
        row.predicted_ms,
        row.predicted_dense_ms,
        row.measured_ms,
        row.measured_dense_ms,
    )
    return [
        row.path,
        row.kind,
        row.became,
        f"{row.numbers_before:,}",
        f"{row.numbers_after:,}",
        _UNKNOWN if row.batch is None else str(row.batch),
        *(_UNKNOWN if time is None else f"{time:.3f}" for time in times),
    ]
