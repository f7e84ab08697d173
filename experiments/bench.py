"""Times this package against what it replaces: `--help` says how.

Both sides of a comparison run by turns in one process; seconds are medians,
ratios medians over the rounds.
"""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from . import record

SUITES = ("dense", "conv", "decompositions", "embedding", "mps")


def run(suite, *, smoke=False, output=None, console=None):
    """Runs a suite, prints its table and writes its result.

    Args:
        suite: One of `SUITES`.
        smoke: Whether to shrink it to seconds; such a result goes to the
            temporary folder, so that it never passes for a real one.
        output: Folder for the result; None is `results`.
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
            status.update(f"Timing {suite}: done with {row['case']}")
    result = {
        "suite": suite,
        "smoke": smoke,
        "rows": rows,
        **record.provenance(),
    }
    console.print(_table(result))
    path = record.save(
        result, record.folder(output, smoke) / f"bench_{suite}.json"
    )
    return result, path


def _table(result):
    """One line a side; the last column is its time over ours."""
    table = Table(title=result["suite"])
    table.add_column("case")
    table.add_column("side")
    for heading in ("median, ms", "quartiles", "over ours"):
        table.add_column(heading, justify="right")
    for row in result["rows"]:
        case = row["case"]
        for name, timing in row["sides"].items():
            median, low, high = (
                f"{1e3 * seconds:.3g}"
                for seconds in (timing["median"], *timing["quartiles"])
            )
            ratio = row["ratios"].get(f"{name} / ours")
            times = f"{ratio:.2f}" if ratio else ""
            table.add_row(case, name, median, f"{low} to {high}", times)
            case = ""
        table.add_section()
    return table


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
    arguments = parser.parse_args(argv)
    try:
        _, path = run(
            arguments.suite, smoke=arguments.smoke, output=arguments.output
        )
    except ImportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Result: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
