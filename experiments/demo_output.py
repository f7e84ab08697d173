"""The demo's folder, which appears whole or not at all, and its tables."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from . import record

MADE_BY = "tensornet demo"
VERDICTS = {
    True: "[green]met[/green]",
    False: "[red]missed[/red]",
    None: "printed only",
}


@contextmanager
def fresh_folder(path):
    """A folder to fill; takes its place when the block ends well.

    An earlier demo's folder is replaced; anything else at the path stays and
    the demo is refused. When the block fails, all is left as it was.

    Args:
        path: Where the folder is to be.

    Yields:
        A new, empty folder beside it.

    Raises:
        FileExistsError: If something else than a demo's folder is there.
    """
    target = Path(path).resolve()
    _refuse_foreign(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    # mkdtemp's folders are for their owner alone; results are for everyone.
    draft.chmod(0o755)
    try:
        yield draft
        _refuse_foreign(target)
        _replace(target, draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def show(report, path):
    """Prints the results as tables.

    Args:
        report: The demo's report.
        path: The folder it is in.
    """
    console = Console()
    console.print(_models_table(report))
    console.print(_files_table(report))
    console.print(_targets_table(report))
    if not report["data"]["complete"]:
        console.print(
            f"Not the whole of MNIST ({report['data']['source']}): accuracy "
            "and time are printed, not judged."
        )
    console.print(
        f"Everything is in {path}{os.sep} (report.json, picture.png); "
        f"{report['seconds']:.0f} s.",
        soft_wrap=True,
    )


def show_conversion(report):
    """Prints which layers were replaced by what.

    Args:
        report: The conversion's report.
    """
    table = Table(title="Converted with tk.convert")
    for heading in ("layer", "modes", "ranks"):
        table.add_column(heading)
    for heading in ("parameters", "after", "times fewer", "error"):
        table.add_column(heading, justify="right")
    for row in report.replaced:
        table.add_row(
            row.path.split("/")[-1],
            row.modes,
            ", ".join(map(str, row.ranks)),
            f"{row.params_before:,}",
            f"{row.params_after:,}",
            f"{row.params_before / row.params_after:.1f}",
            f"{row.relative_error:.2f}",
        )
    Console().print(table)


def _refuse_foreign(target):
    if not target.exists():
        return
    if target.is_dir() and (not any(target.iterdir()) or _is_ours(target)):
        return
    raise FileExistsError(
        "The output must be a new folder, an empty one or an earlier demo's. "
        f"Received: --output {target}. Name another folder, or remove it."
    )


def _is_ours(folder):
    try:
        report = record.load(folder / "report.json")
    except (OSError, ValueError):
        return False
    return isinstance(report, dict) and report.get("made_by") == MADE_BY


def _replace(target, draft):
    """Two renames; if the second fails, the first is taken back."""
    if not target.exists():
        draft.rename(target)
        return
    old = draft.with_name(f"{draft.name}.old")
    target.rename(old)
    try:
        draft.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)


def _models_table(report):
    table = Table(title="LeNet-5 on MNIST")
    table.add_column("model")
    for heading in ("parameters", "times fewer", "accuracy"):
        table.add_column(heading, justify="right")
    for batch in report["timing"]:
        table.add_column(f"ms at batch {batch}", justify="right")
    dense = report["models"]["dense"]["parameters"]
    for name, side in (
        ("dense", "dense"),
        ("converted", None),
        ("tuned", "small"),
    ):
        model = report["models"][name]
        times = [
            f"{1000 * timing[side]['median']:.2f}" if side else ""
            for timing in report["timing"].values()
        ]
        table.add_row(
            name,
            f"{model['parameters']:,}",
            f"{dense / model['parameters']:.1f}",
            f"{model['accuracy']:.2%}",
            *times,
        )
    return table


def _files_table(report):
    table = Table(title="Files, each loaded again and compared")
    table.add_column("file")
    table.add_column("format")
    table.add_column("kB", justify="right")
    table.add_column("largest difference", justify="right")
    for row in report["artefacts"]:
        table.add_row(
            row["file"],
            row["format"],
            f"{row['bytes'] / 1000:,.0f}",
            f"{row['max_difference']:.0e}",
        )
    return table


def _targets_table(report):
    table = Table(title="Targets")
    table.add_column("what")
    table.add_column("value", justify="right")
    table.add_column("target")
    table.add_column("verdict")
    for row in report["targets"]:
        value = f"{row['value']:.2f}"
        table.add_row(row["name"], value, row["target"], VERDICTS[row["met"]])
    return table
