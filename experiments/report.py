"""Draws `reports/results.md` from the results, and from nothing else."""

import sys
from pathlib import Path

from . import guide, record
from .markdown import table
from .suites import planning

REPORT = Path(__file__).parent / "reports" / "results.md"
# Facts whose names have these words are told below a table.
TOLD = ("error", "peak")
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
    if result["suite"] == "planning":
        headings, rows = planning.HEADINGS, planning.cells(result["rows"])
    else:
        headings = ["case", "side", "ms", "quartiles", "over ours"]
        rows = [line for row in result["rows"] for line in _lines(row)]
    title = f"## Timing: {result['suite']}"
    if result.get("label"):
        title += f", {result['label']}"
    lines = [f"{title}\n"]
    if rows:
        lines += [table(headings, rows), ""]
    for row in result["rows"]:
        lines += [
            f"- {row['case']}: {name.replace('_', ' ')} {value:,.4g}"
            for name, value in row["facts"].items()
            if isinstance(value, (int, float))
            and (not row["sides"] or any(word in name for word in TOLD))
        ]
    if result.get("targets"):
        lines += ["", _targets(result["targets"]), ""]
    return "\n".join([*lines, _note(result["suite"], result), ""])


def _lines(row):
    """One line a side, and one for what the device allows."""
    lines = []
    for side, timing in row["sides"].items():
        ratio = row["ratios"].get(f"{side} / ours")
        low, high = timing["quartiles"]
        lines.append(
            [
                row["case"],
                side,
                f"{1e3 * timing['median']:.3g}",
                f"{1e3 * low:.3g} to {1e3 * high:.3g}",
                f"{ratio:.2f}" if ratio else "",
            ]
        )
    limit = row["facts"].get("limit_seconds")
    if limit:
        share = limit / row["sides"]["ours"]["median"]
        limits = [row["case"], "limit of the device", f"{1e3 * limit:.3g}"]
        lines.append([*limits, "", f"{share:.2f}"])
    return lines


def _targets(targets):
    rows = [
        [
            one["what"],
            f"{one['value']:.4g}",
            one["bound"],
            "met" if one["met"] else "missed",
        ]
        for one in targets
    ]
    return table(["target", "measured", "wanted", ""], rows, left=1)


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
