"""Times this package against what it replaces: `--help` says how.

Both sides of a comparison run by turns in one process; seconds are medians,
ratios medians over the rounds.
"""

import argparse
import logging
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from . import record, targets
from .rows import device_limits, own_sides

SUITES = (
    "dense",
    "conv",
    "embedding",
    "training",
    "planning",
    "memory",
    "decompositions",
    "model",
    "export",
    "mps",
)
# With more sides to compare with, quartiles of ratios are in the file alone.
MOST_SPREADS = 2


def run(suite, *, smoke=False, output=None, label=None, console=None):
    """Runs a suite, prints its table and writes its result.

    Args:
        suite: One of `SUITES`.
        smoke: Whether to shrink it to seconds; such a result goes to the
            temporary folder, so that it never passes for a real one.
        output: Folder for the result; None is `results`.
        label: What tells the result from another machine's, such as "gpu".
        console: Where to print; None is the terminal.

    Returns:
        `(result, path)`: the result as a dict, and the file it is in.
    """
    console = console or Console()
    module = import_module(f".suites.{suite}", __package__)
    rows = []
    with console.status(f"Timing {suite}") as status:
        for row in module.run(smoke):
            rows.append(row)
            if not hasattr(module, "table_of"):
                console.print(table_of(row))
            status.update(f"Timing {suite}: done with {row['case']}")
    result = {
        "suite": suite,
        "label": label,
        "smoke": smoke,
        "rows": rows,
        "targets": getattr(module, "targets_of", targets.of_rows)(rows),
        **record.provenance(),
    }
    if hasattr(module, "table_of"):
        console.print(module.table_of(rows))
    if result["targets"]:
        console.print(targets.table(result["targets"]))
    name = f"bench_{suite}_{label}" if label else f"bench_{suite}"
    path = record.save(result, record.folder(output, smoke) / f"{name}.json")
    return result, path


def table_of(row):
    """A row as a table: one line a side, its time over ours at the end.

    Args:
        row: A row of a suite.

    Returns:
        A `rich.table.Table`; of a row without sides, of its numbers.
    """
    table = Table(title=row["case"], title_justify="left", title_style="bold")
    if not row["sides"]:
        return _facts_table(table, row["facts"])
    table.add_column("side")
    ours = own_sides(row)
    for heading in ("median, ms", "quartiles", *(f"over {o}" for o in ours)):
        table.add_column(heading, justify="right")
    for name, timing in row["sides"].items():
        median, low, high = (
            f"{1e3 * seconds:.3g}"
            for seconds in (timing["median"], *timing["quartiles"])
        )
        ratios = [
            _ratio(row, f"{name} / {own}", len(ours) <= MOST_SPREADS)
            for own in ours
        ]
        table.add_row(name, median, f"{low} to {high}", *ratios)
    for name, seconds, shares in device_limits(row):
        cells = [f"{shares[own]:.2f}" if own in shares else "" for own in ours]
        table.add_row(name, f"{1e3 * seconds:.3g}", "", *cells)
    return table


def _facts_table(table, facts):
    """What a row without times has to say."""
    table.add_column("what")
    table.add_column("value", justify="right")
    for name, value in facts.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            table.add_row(name.replace("_", " "), f"{value:,.4g}")
    return table


def _ratio(row, name, spread):
    ratio = row["ratios"].get(name)
    if ratio is None or not spread or name not in row.get("spreads", {}):
        return "" if ratio is None else f"{ratio:.2f}"
    low, high = row["spreads"][name]
    return f"{ratio:.2f} ({low:.2f}-{high:.2f})"


def main(argv=None):
    """Entry point: runs what the command line says.

    Args:
        argv: Arguments after the program's name; None takes the process'.

    Returns:
        The exit status: 0, or 1 where a package is missing.
    """
    parser = argparse.ArgumentParser(
        prog="python -m experiments.bench", description="Runs a timing suite."
    )
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--smoke", action="store_true", help="in seconds")
    parser.add_argument("--output", type=Path, help="folder of the result")
    parser.add_argument("--label", help="another machine's, such as gpu")
    arguments = parser.parse_args(argv)
    # TensorFlow warns when many functions are traced, as they are here.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        _, path = run(
            arguments.suite,
            smoke=arguments.smoke,
            output=arguments.output,
            label=arguments.label,
        )
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Result: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
