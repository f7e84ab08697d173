"""A report as one page of HTML: tables, bars, spectra and plans."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from html import escape

from tensornet_keras.conversion.details import Cut, Details
from tensornet_keras.conversion.page_template import PAGE
from tensornet_keras.profiling import Comparison

# Text of a heading, and whether its column holds numbers.
_COLUMNS = (
    ("layer", False),
    ("kind", False),
    ("action", False),
    ("modes", False),
    ("ranks", False),
    ("before", True),
    ("after", True),
    ("x", True),
    ("error", True),
    ("output error", True),
)
_WIDTH, _HEIGHT, _MARGIN = 260, 140, 24
# Decades that a spectrum shows.
_DECADES = 5


def page(
    report, details: Mapping[str, Details], comparison: Comparison | None
) -> str:
    """A report as HTML that needs nothing but itself.

    Args:
        report: The report of a conversion.
        details: Spectra and plans by the paths of layers.
        comparison: The model before and after, for example; `None` to leave
            it out.
    """
    sections = [
        _comparison(comparison),
        _table(report),
        _bars(report),
        _sensitivity(report.sensitivity),
        _spectra(details),
        _plans(details),
    ]
    lead = (
        f"{report.params_before:,} parameters before, "
        f"{report.params_after:,} after: {report.compression:.2f}x smaller; "
        f"{len(report.replaced)} of {len(report.rows)} layers replaced. "
        f"{' '.join(report.remarks)}"
    )
    return string.Template(PAGE).substitute(
        title=escape(f"Conversion of {report.model}"),
        lead=escape(lead),
        sections="\n".join(filter(None, sections)),
    )


def _comparison(comparison) -> str:
    if comparison is None:
        return ""
    names = comparison.score_names
    heads = [("model", False), ("parameters", True), ("MB", True)]
    heads += [("ms", True), *((name, True) for name in names)]
    rows = [
        [
            (version.name, version.name),
            (f"{version.params:,}", version.params),
            (f"{version.bytes / 1e6:.2f}", version.bytes),
            (
                f"{1e3 * version.seconds:.3g} ± {version.spread:.0%}",
                version.seconds,
            ),
            *(
                _optional(version.scores.get(name), "{:.4g}".format)
                for name in names
            ),
        ]
        for version in comparison.versions
    ]
    table = _html_table("versions", heads, rows, [""] * len(rows))
    heading = f"Side by side, batch size {comparison.batch_size}"
    return _section(heading, table)


def _table(report) -> str:
    rows = [
        [
            (row.path, row.path),
            (row.kind, row.kind),
            (_action(row), _action(row)),
            (row.modes or "", row.modes or ""),
            _ranks(row),
            (f"{row.params_before:,}", row.params_before),
            (f"{row.params_after:,}", row.params_after),
            _optional(_gain(row), "{:.2f}".format),
            _optional(row.relative_error, "{:.3g}".format),
            _optional(row.output_error, "{:.3g}".format),
        ]
        for row in report.rows
    ]
    columns = _COLUMNS
    if not any(row.output_error is not None for row in report.rows):
        columns, rows = columns[:-1], [cells[:-1] for cells in rows]
    classes = [row.action for row in report.rows]
    return _section("Layers", _html_table("layers", columns, rows, classes))


def _action(row) -> str:
    what = row.reason if row.format is None else row.format
    return f"{row.action}: {what}"


def _gain(row) -> float | None:
    if row.format is None:
        return None
    return row.params_before / max(1, row.params_after)


def _ranks(row):
    text = " ".join(map(str, row.ranks or ()))
    return text + (" (cut)" if row.cut else ""), text


def _optional(value, written):
    return ("", "") if value is None else (written(value), value)


def _html_table(name, columns, rows, classes) -> str:
    head = "".join(
        f"<th{_number(is_number)}>{escape(text)}</th>"
        for text, is_number in columns
    )
    body = "".join(
        f'<tr class="{kind}">'
        + "".join(
            f'<td{_number(is_number)} data-key="{escape(str(key))}">'
            f"{escape(text)}</td>"
            for (text, key), (_, is_number) in zip(row, columns, strict=True)
        )
        + "</tr>"
        for row, kind in zip(rows, classes, strict=True)
    )
    return (
        f'<div class="wide"><table class="sortable" id="{name}"><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _number(is_number) -> str:
    return ' class="number"' if is_number else ""


def _sensitivity(found) -> str:
    """The scores of the model with one layer approximated."""
    if found is None:
        return ""
    heads = [("layer", False), ("format", False), ("ranks", False)]
    heads += [("parameters", True), ("score", True)]
    rows = [
        [
            (row.path, row.path),
            (row.format, row.format),
            (" ".join(map(str, row.ranks)),) * 2,
            (f"{row.params:,}", row.params),
            (f"{row.score:.4g}", row.score),
        ]
        for row in found.rows
    ]
    heading = f"Sensitivity, score of the source {found.score:.4g}"
    table = _html_table("sensitivity", heads, rows, [""] * len(rows))
    return _section(heading, table)


def _bars(report) -> str:
    """Parameters before and after, and errors, as bars."""
    if not report.replaced:
        return ""
    most = max(row.params_before for row in report.replaced)
    errors = [_shown_error(row) for row in report.replaced]
    worst = max(errors) or 1.0
    rows = "".join(
        f'<tr><td>{escape(row.path)}</td><td class="track">'
        f"{_bar('before', row.params_before / most)}<br>"
        f"{_bar('after', row.params_after / most)}</td>"
        f'<td class="track">{_bar("error", error / worst)} {error:.3g}</td>'
        "</tr>"
        for row, error in zip(report.replaced, errors, strict=True)
    )
    return _section(
        "Parameters before (grey) and after (blue), and errors (orange)",
        f'<table class="bars">{rows}</table>',
    )


def _shown_error(row) -> float:
    """The error of the outputs where there is one, else of the kernel."""
    error = row.output_error
    return row.relative_error if error is None else error


def _bar(kind: str, share: float) -> str:
    return f'<span class="bar {kind}" style="width:{60 * share:.2f}%"></span>'


def _spectra(details) -> str:
    figures = "".join(
        f"<figure>{_svg(cut)}<figcaption>{escape(path)}, bond "
        f"{escape(cut.bond)}: {cut.rank} of {len(cut.values)}</figcaption>"
        "</figure>"
        for path, own in details.items()
        for cut in own.cuts
    )
    if not figures:
        return ""
    text = (
        "<p>Singular values of the source's kernels over the largest one, on "
        "a logarithmic scale; the line is where the rank cuts.</p>"
    )
    return _section("Spectra", f'{text}<div class="spectra">{figures}</div>')


def _svg(cut: Cut) -> str:
    """A spectrum as a curve, with the cut as a dashed line."""
    count = len(cut.values)
    across = (_WIDTH - 2 * _MARGIN) / max(1, count)
    down = (_HEIGHT - 2 * _MARGIN) / _DECADES

    def x(place: float) -> float:
        return _MARGIN + across * place

    def y(value: float) -> float:
        decades = -math.log10(max(value, 10.0**-_DECADES))
        return _MARGIN + down * decades

    points = " ".join(
        f"{x(place + 0.5):.1f},{y(value):.1f}"
        for place, value in enumerate(cut.values)
    )
    bottom, line = _HEIGHT - _MARGIN, x(min(cut.rank, count))
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img">'
        f'<path d="M{_MARGIN} {_MARGIN}V{bottom}H{_WIDTH - _MARGIN}" '
        'fill="none" stroke="#9aa5b1"/>'
        f'<text x="2" y="{_MARGIN + 4}" font-size="9">1</text>'
        f'<text x="0" y="{bottom}" font-size="9">1e-{_DECADES}</text>'
        f'<polyline points="{points}" fill="none" stroke="#2186eb" '
        'stroke-width="1.5"/>'
        f'<line x1="{line:.1f}" x2="{line:.1f}" y1="{_MARGIN}" y2="{bottom}" '
        'stroke="#e12d39" stroke-dasharray="3 2"/>'
        f'<text x="{line + 3:.1f}" y="{_MARGIN + 9}" font-size="10" '
        f'fill="#e12d39">{cut.rank}</text></svg>'
    )


def _plans(details) -> str:
    found = "".join(
        f"<details><summary>{escape(path)}</summary>"
        f"<pre>{escape(own.plan)}</pre></details>"
        for path, own in details.items()
    )
    return _section("Plans", found) if found else ""


def _section(heading: str, content: str) -> str:
    return f"<section><h2>{escape(heading)}</h2>{content}</section>"
