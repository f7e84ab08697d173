"""Draws `reports/results.md` from the results, and from nothing else."""

import sys
from pathlib import Path

from . import record

REPORT = Path(__file__).parent / "reports" / "results.md"
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
        ["## Experiments\n", _table(headings, rows), "", *notes, ""]
    )


def _suite(result):
    rows = []
    for row in result["rows"]:
        for side, timing in row["sides"].items():
            ratio = row["ratios"].get(f"{side} / ours")
            low, high = timing["quartiles"]
            rows.append(
                [
                    row["case"],
                    side,
                    f"{1e3 * timing['median']:.3g}",
                    f"{1e3 * low:.3g} to {1e3 * high:.3g}",
                    f"{ratio:.2f}" if ratio else "",
                ]
            )
    headings = ["case", "side", "ms", "quartiles", "over ours"]
    lines = [f"## Timing: {result['suite']}\n", _table(headings, rows), ""]
    for row in result["rows"]:
        lines += [
            f"- {row['case']}: {name.replace('_', ' ')} {value:,.4g}"
            for name, value in row["facts"].items()
            if "error" in name or "peak" in name
        ]
    return "\n".join([*lines, _note(result["suite"], result), ""])


def _note(name, result):
    """What a table's numbers depend on, in one line."""
    data = f" {result['data']['source']};" if "data" in result else ""
    return (
        f"- {name}:{data} {result['backend']}, {result['device']}, "
        f"commit {(result['commit'] or 'none')[:10]}, {result['date'][:10]}."
    )


def _table(headings, rows):
    rule = ["---"] * 2 + ["---:"] * (len(headings) - 2)
    lines = [headings, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    """Entry point: writes the report.

    Returns:
        The exit status, 0.
    """
    REPORT.write_text(markdown(), encoding="utf-8")
    print(f"Report: {REPORT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
