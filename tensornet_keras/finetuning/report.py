"""The report of a fine-tuning: losses and metrics, epoch by epoch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import rich.box
import rich.table
from rich.markup import escape

from tensornet_keras import reporting


@dataclass(frozen=True)
class EpochRow:
    """One epoch, or one conversion.

    Args:
        stage: What was trained: a block, the whole, or a conversion.
        epoch: Number of the epoch in its stage, from 1; 0 of a conversion.
        logs: Loss and metrics as Keras logs them.
        seconds: Time it took.
        params: Parameters of the model.
    """

    stage: str
    epoch: int
    logs: dict[str, float]
    seconds: float
    params: int


@dataclass(frozen=True)
class FinetuneReport(reporting.Report):
    """What a fine-tuning did; prints as a table.

    Args:
        model: Name of the model.
        rows: One entry per epoch and conversion, in order.
    """

    model: str
    rows: tuple[EpochRow, ...]

    def table(self) -> rich.table.Table:
        """The report as a `rich` table."""
        names = list(dict.fromkeys(n for row in self.rows for n in row.logs))
        table = rich.table.Table(
            title=escape(f"Fine-tuning of {self.model}"),
            box=rich.box.SIMPLE_HEAD,
        )
        table.add_column("stage", overflow="fold")
        for heading in ("epoch", *names, "params", "seconds"):
            table.add_column(escape(heading), justify="right")
        for row in self.rows:
            logs = [
                f"{row.logs[name]:.4g}" if name in row.logs else ""
                for name in names
            ]
            table.add_row(
                escape(row.stage),
                str(row.epoch or ""),
                *logs,
                f"{row.params:,}",
                f"{row.seconds:.1f}",
            )
        return table

    def to_dict(self) -> dict:
        """The report as plain data."""
        return {
            "model": self.model,
            "epochs": [dataclasses.asdict(row) for row in self.rows],
        }
