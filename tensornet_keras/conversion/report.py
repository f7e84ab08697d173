"""The report of a conversion: every layer, what became of it, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import rich.box
import rich.console
import rich.table
from rich.markup import escape

from tensornet_keras import reporting, surgery, validation, writing
from tensornet_keras.conversion.details import Details
from tensornet_keras.conversion.drawing import drawn
from tensornet_keras.conversion.page import page
from tensornet_keras.conversion.sensitivity import Sensitivity
from tensornet_keras.conversion.statistics import Statistics
from tensornet_keras.formats import Format
from tensornet_keras.profiling import compare

REPLACED = "replaced"
KEPT = "kept"


@dataclass(frozen=True)
class LayerRow:
    """What a conversion did with one layer.

    Args:
        path: Path of the layer in the model.
        kind: Class of the source layer.
        action: `"replaced"` or `"kept"`.
        reason: Why it was kept; empty if it was replaced.
        params_before: Parameters of the source layer, without those of the
            layers that it owns.
        params_after: Parameters of the layer that took its place.
        format: Catalog name of the format; `None` if kept.
        modes: Modes of both sides, such as `"8·8 x 4·4"`; `None` if kept.
            Those of two kernels are separated by a comma.
        ranks: Ranks of the bonds, of two kernels one after the other; `None`
            if kept.
        relative_error: Frobenius norm of the change of all kernels over that
            of the kernels; `None` if kept.
        converged: Whether an iterative decomposition met its tolerance;
            `True` for the others, `None` if kept.
        cut: Whether a rank asked for is more than a bond can carry, and was
            cut to that.
        output_error: Norm of the change of the layer's outputs on calibration
            data over that of the source's, about their mean where a bias makes
            up for it; `None` without data, and for what kept the source's
            kernel.
    """

    path: str
    kind: str
    action: str
    reason: str
    params_before: int
    params_after: int
    format: str | None = None
    modes: str | None = None
    ranks: tuple[int, ...] | None = None
    relative_error: float | None = None
    converged: bool | None = None
    cut: bool = False
    output_error: float | None = None

    @classmethod
    def kept(
        cls, path: str, layer, reason: str, output_error: float | None = None
    ) -> LayerRow:
        """The row of a layer that stays dense.

        Args:
            path: Path of the layer.
            layer: The layer.
            reason: Why it stays.
            output_error: Relative error of the outputs, if its kernel was
                fitted anew to calibration data.
        """
        if output_error is not None:
            reason = f"{reason}; fitted anew"
        params = surgery.own_params(layer) if layer.built else 0
        kind = type(layer).__name__
        return cls(
            path,
            kind,
            KEPT,
            reason,
            params,
            params,
            output_error=output_error,
        )

    @classmethod
    def replaced(
        cls,
        path: str,
        layer,
        formats: tuple[Format, ...],
        relative_error: float,
        converged: bool = True,
        cut: bool = False,
        output_error: float | None = None,
    ) -> LayerRow:
        """The row of a layer that gets a factorized twin.

        Args:
            path: Path of the layer.
            layer: The source layer.
            formats: The bound format of each kernel.
            relative_error: Relative error of the kernels.
            converged: Whether iterative decompositions met their tolerance.
            cut: Whether a rank was cut to what its bond can carry.
            output_error: Relative error of the outputs on calibration data.
        """
        before = layer.count_params()
        saved = (format.dense_params - format.num_params for format in formats)
        return cls(
            path,
            type(layer).__name__,
            REPLACED,
            "",
            before,
            before - sum(saved),
            formats[0].name,
            ", ".join(format.describe_modes() for format in formats),
            tuple(rank for format in formats for rank in format.rank),
            relative_error,
            converged,
            cut,
            output_error,
        )


@dataclass(frozen=True)
class Report(reporting.Report):
    """What a conversion did, layer by layer; prints as a table.

    Args:
        model: Name of the model.
        rows: One entry per layer, in graph order.
        params_before: Parameters of the whole source model.
        params_after: Parameters of the whole converted model.
        find_details: A function that finds spectra and plans by path, or
            `None`.
        sensitivity: The scores by which layers were weighed; `None` without
            `evaluate`.
        latency: Time of the frozen model over that of the source, as it was
            measured; `None` without `latency`.
        statistics: What batch normalizations do with the source's statistics
            and with new ones; `None` where there are none, or no calibration
            data to judge them on.
        share: Numbers in the cores and kernels of the selected layers that
            can be factorized over those in their kernels, which is what
            `ratio` bounds; `None` if there are none.
    """

    model: str
    rows: tuple[LayerRow, ...]
    params_before: int
    params_after: int
    find_details: Callable[[], Mapping[str, Details]] | None = field(
        default=None, repr=False, compare=False
    )
    sensitivity: Sensitivity | None = None
    latency: float | None = None
    statistics: Statistics | None = None
    share: float | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What there is to say of the whole, a sentence each."""
        found = []
        if self.share is not None:
            found.append(
                f"Kernels of the selected layers: {self.share:.3g} of their "
                "parameters."
            )
        if self.latency is not None:
            found.append(
                f"Frozen: {self.latency:.2f} of the original's time, measured."
            )
        if self.statistics is not None:
            found.append(str(self.statistics))
        return tuple(found)

    @property
    def compression(self) -> float:
        """Parameters of the whole model before over after."""
        if not self.params_before:
            return 1.0
        return self.params_before / max(1, self.params_after)

    @property
    def replaced(self) -> tuple[LayerRow, ...]:
        """The rows of the layers that were replaced."""
        return tuple(row for row in self.rows if row.action == REPLACED)

    def table(self) -> rich.table.Table:
        """The report as a `rich` table."""
        table = rich.table.Table(
            title=escape(f"Conversion of {self.model}"),
            box=rich.box.SIMPLE_HEAD,
            caption="\n".join(self.remarks) or None,
        )
        for heading in ("layer", "kind", "action", "modes", "ranks"):
            table.add_column(heading, overflow="fold")
        headings = ["before", "after", "x", "error"]
        calibrated = any(row.output_error is not None for row in self.rows)
        headings += ["output error"] if calibrated else []
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self.rows:
            cells = _cells(row) + ([_output_error(row)] if calibrated else [])
            table.add_row(*map(escape, cells))
        table.add_section()
        table.add_row(
            "whole model",
            *[""] * 4,
            f"{self.params_before:,}",
            f"{self.params_after:,}",
            f"{self.compression:.2f}",
        )
        return table

    def to_html(
        self,
        path=None,
        *,
        models: Mapping[str, object] | None = None,
        evaluate: Callable[[object], float | Mapping[str, float]] | None = None,
        batch_size: int = 1,
        sample=None,
    ) -> str:
        """The report as one page that works offline: tables, bars, spectra.

        Spectra are those of the source's kernels as they are when this is
        called.

        Args:
            path: Where to write it too; a file that is there is replaced.
                `None` writes nothing.
            models: Models by name to compare, such as the source, the
                converted and the tuned one: size, time and scores.
            evaluate: A function from a model to a score, or to scores by
                name, for the comparison.
            batch_size: Examples in the forward pass that is timed.
            sample: Inputs to time, where a model leaves sizes open.

        Returns:
            The HTML.

        Raises:
            ValueError: If the folder is missing or cannot be written.
        """
        if path is not None:
            path = validation.writable_file(path, overwrite=True)
        details = {} if self.find_details is None else self.find_details()
        comparison = None
        if models:
            comparison = compare(
                models, batch_size, evaluate=evaluate, sample=sample
            )
        text = page(self, details, comparison)
        if path is not None:
            draft = writing.draft(path)
            with draft as beside, open(beside, "w", encoding="utf-8") as file:
                file.write(text)
        return text

    def plot(self):
        """Parameters before and after and the errors of replaced layers.

        Returns:
            A `matplotlib` figure.

        Raises:
            ImportError: If matplotlib is not installed.
        """
        return drawn(self)

    def to_dict(self) -> dict:
        """The report as plain data."""
        return {
            "model": self.model,
            "params_before": self.params_before,
            "params_after": self.params_after,
            "compression": self.compression,
            "share": self.share,
            "layers": [dataclasses.asdict(row) for row in self.rows],
            "sensitivity": (
                None if self.sensitivity is None else self.sensitivity.to_dict()
            ),
            "latency": self.latency,
            "statistics": (
                None
                if self.statistics is None
                else dataclasses.asdict(self.statistics)
            ),
        }


def _output_error(row: LayerRow) -> str:
    return "" if row.output_error is None else f"{row.output_error:.3g}"


def _cells(row: LayerRow) -> list[str]:
    if row.action == KEPT:
        action = f"{KEPT}: {row.reason}"
        modes = ranks = ratio = error = ""
    else:
        action = f"{REPLACED}: {row.format}"
        modes = row.modes
        ranks = " ".join(map(str, row.ranks)) + (" (cut)" if row.cut else "")
        ratio = f"{row.params_before / max(1, row.params_after):.2f}"
        error = f"{row.relative_error:.3g}"
        if row.converged is False:
            action += " (not converged)"
    return [
        row.path,
        row.kind,
        action,
        modes,
        ranks,
        f"{row.params_before:,}",
        f"{row.params_after:,}",
        ratio,
        error,
    ]
