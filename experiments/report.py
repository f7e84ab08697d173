"""Draws `reports/results.md` from the results, and from nothing else."""

import sys
from itertools import groupby
from pathlib import Path

from . import guide, record, targets
from .markdown import table
from .rows import device_limits, own_sides
from .suites import planning

REPORT = Path(__file__).parent / "reports" / "results.md"
# Facts whose names have these words are told below a table.
TOLD = ("error", "peak", "smaller")
HEAD = """# Results

Drawn by `python -m experiments.report` from the files in `results`; do not
edit. A spread is the standard deviation over the seeds. Times are medians;
read the ratios, taken round by round, rather than the milliseconds.
"""


def markdown(folder=record.RESULTS):
    """The report's text.

    Args:
        folder: The folder with the results.

    Returns:
        Markdown with a table of the experiments and one for every suite.
    """
    results = [record.load(path) for path in sorted(folder.glob("*.json"))]
    results = [result for result in results if not result["smoke"]]
    parts = [HEAD]
    experiments = [one for one in results if "experiment" in one]
    if experiments:
        parts.append(_experiments(experiments))
    parts += [_suite(one) for one in results if "suite" in one]
    return "\n".join(parts)


def _experiments(results):
    rows = []
    for result in results:
        for metric, value in result["summary"].items():
            target = result["targets"].get(metric)
            rows.append(
                [
                    result["experiment"],
                    metric,
                    f"{value['mean']:,.4f}".rstrip("0").rstrip("."),
                    f"{value['std']:.4f}" if value["std"] else "",
                    f"{target['at_least']} or more, "
                    f"{'met' if target['met'] else 'missed'}"
                    if target
                    else "",
                ]
            )
    headings = ["experiment", "metric", "mean", "spread", "target"]
    notes = [_note(one["experiment"], one) for one in results]
    return "\n".join(
        ["## Experiments\n", table(headings, rows), "", *notes, ""]
    )


def _suite(result):
    title = f"## Timing: {result['suite']}"
    if result.get("label"):
        title += f", {result['label']}"
    lines = [f"{title}\n", *_tables(result)]
    for row in result["rows"]:
        lines += [
            f"- {row['case']}: {name.replace('_', ' ')} {value:,.4g}"
            for name, value in _told(row)
        ]
    if result.get("targets"):
        headings = ["target", "measured", "wanted", ""]
        cells = targets.cells(result["targets"])
        lines += ["", table(headings, cells, left=1), ""]
    return "\n".join([*lines, _note(result["suite"], result), ""])


def _tables(result):
    """Tables with a blank line after each: one for every set of our sides."""
    if result["suite"] == "planning":
        cells = planning.cells(result["rows"])
        return [table(planning.HEADINGS, cells), ""]
    drawn = []
    timed = [row for row in result["rows"] if row["sides"]]
    for own, group in groupby(timed, own_sides):
        headings = ["case", "side", "ms", "quartiles"]
        headings += [f"over {side}" for side in own]
        cells = [line for row in group for line in _lines(row, own)]
        drawn += [table(headings, cells), ""]
    return drawn


def _told(row):
    """Names and values of the facts below a table; of a row without, all."""
    facts = dict(row["facts"])
    sizes = facts.pop("bytes", {})
    for name, value in facts.items():
        if isinstance(value, (int, float)) and (
            not row["sides"] or any(word in name for word in TOLD)
        ):
            yield name, value
    for side, size in sizes.items():
        yield f"bytes {side}", size


def _lines(row, own):
    """One line a side, and one for what the device allows."""
    lines = []
    for side, timing in row["sides"].items():
        ratios = [row["ratios"].get(f"{side} / {other}") for other in own]
        low, high = timing["quartiles"]
        lines.append(
            [
                row["case"],
                side,
                f"{1e3 * timing['median']:.3g}",
                f"{1e3 * low:.3g} to {1e3 * high:.3g}",
                *(f"{ratio:.2f}" if ratio else "" for ratio in ratios),
            ]
        )
    for name, seconds, shares in device_limits(row):
        over = [f"{shares[side]:.2f}" if side in shares else "" for side in own]
        lines.append([row["case"], name, f"{1e3 * seconds:.3g}", "", *over])
    return lines


def _note(name, result):
    """What a table's numbers depend on, in one line."""
    data = f" {result['data']['source']};" if "data" in result else ""
    return (
        f"- {name}:{data} {result['backend']}, {result['device']}, "
        f"commit {(result['commit'] or 'none')[:10]}, {result['date'][:10]}."
    )


def main():
    """Entry point: writes the report.

    Returns:
        The exit status, 0.
    """
    REPORT.write_text(markdown(), encoding="utf-8")
    print(f"Report: {REPORT}")
    for path in guide.write():
        print(f"Guide: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
