"""What an autotuning found: predicted times, measured times and plans."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import rich.box
import rich.console
import rich.table
from rich.markup import escape

from tensornet_keras import reporting


@dataclass(frozen=True)
class Timing:
    """One plan that was timed.

    Args:
        title: What kind of plan it is, in words.
        order: Trees of cores in the order in which they meet the input.
        tiles: Into how many parts the batch is cut.
        predicted: Seconds of one pass by the cost model.
        measured: Seconds of one pass by the clock.
    """

    title: str
    order: tuple
    tiles: int
    predicted: float
    measured: float


@dataclass(frozen=True)
class TuningRow:
    """What was found for all layers of one shape, at one batch, in one mode.

    Args:
        layers: Paths of the layers.
        key: The name under which they hold the plan.
        timings: The plans, in order of their predicted times.
        stored: Whether the times were read from the cache folder.
        batch: The batch size that was timed.
        kept: Order and number of parts of the plan that the layers keep: of
            several sizes that share a name there is one for all.
    """

    layers: tuple[str, ...]
    key: str
    timings: tuple[Timing, ...]
    stored: bool = False
    batch: int | None = None
    kept: tuple | None = None

    @property
    def fastest(self) -> Timing:
        """The plan of the least measured time."""
        return min(self.timings, key=lambda timing: timing.measured)

    @property
    def chosen(self) -> Timing:
        """The plan that the layers keep, if it was timed at this batch."""
        for timing in self.timings:
            if (timing.order, timing.tiles) == self.kept:
                return timing
        return self.fastest

    @property
    def default(self) -> Timing:
        """The plan that the cost model would have taken."""
        return self.timings[0]

    @property
    def speed_up(self) -> float:
        """Measured time of the cost model's plan over that of the chosen."""
        return self.default.measured / self.chosen.measured


@dataclass(frozen=True)
class TuningReport(reporting.Report):
    """What an autotuning found, shape by shape; prints as a table.

    Args:
        model: Name of the model.
        rows: One entry per distinct layer shape, batch size and mode.
        skipped: `(path, reason)` of the layers that have nothing to choose.
        foreign: `(path, key)` of plans that layers hold for another device
            or backend. They stay in the layers, and are ignored here.
    """

    width: ClassVar[int] = 140

    model: str
    rows: tuple[TuningRow, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    foreign: tuple[tuple[str, str], ...] = ()

    def table(self) -> rich.table.Table:
        """The report as a `rich` table."""
        device = _split(self.rows[0].key)[0] if self.rows else "no layer"
        table = rich.table.Table(
            title=escape(f"Autotuning of {self.model} on {device}"),
            box=rich.box.SIMPLE_HEAD,
        )
        for heading in ("layers", "for", "chosen plan"):
            table.add_column(heading, overflow="fold")
        for heading in ("predicted ms", "measured ms"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("the cost model's", overflow="fold")
        for heading in ("measured ms", "x"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(escape, _cells(row, self.model)))
        return table

    def to_dict(self) -> dict:
        """The report as plain data."""
        return {
            "model": self.model,
            "rows": [
                {
                    **dataclasses.asdict(row),
                    "chosen": row.chosen.title,
                    "default": row.default.title,
                    "speed_up": row.speed_up,
                }
                for row in self.rows
            ],
            "skipped": dict(self.skipped),
            "foreign": [list(pair) for pair in self.foreign],
        }

    def print_to(self, console: rich.console.Console) -> None:
        """Prints the table, and below it what was left out.

        Args:
            console: Where to print.
        """
        if self.rows:
            super().print_to(console)
        for path, reason in self.skipped:
            console.print(escape(f"{path}: {reason}"))
        for path, key in self.foreign:
            console.print(
                escape(f"{path}: ignored a plan of another device, {key}")
            )


def _cells(row: TuningRow, model: str) -> list[str]:
    same = row.chosen == row.default
    return [
        ", ".join(path.removeprefix(f"{model}/") for path in row.layers),
        _purpose(row),
        _words(row.chosen),
        _milliseconds(row.chosen.predicted),
        _milliseconds(row.chosen.measured),
        "the same" if same else _words(row.default),
        _milliseconds(row.default.measured),
        f"{row.speed_up:.2f}",
    ]


def _purpose(row: TuningRow) -> str:
    """What a row is for, with the size that was timed."""
    size = "" if row.batch is None else f", timed at {row.batch}"
    return _split(row.key)[1] + size + (" (stored)" if row.stored else "")


def _split(key: str) -> tuple[str, str]:
    """A key's device and backend, and what of a layer it is for."""
    device, backend, *rest = key.split("/")
    return f"{device}/{backend}", " ".join(rest)


def _words(timing: Timing) -> str:
    parts = f" in {timing.tiles} parts" if timing.tiles > 1 else ""
    return timing.title + parts


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.3f}"
