"""The table and the picture of relative errors of kernels, by format."""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

REPORTS = Path(__file__).parent / "reports"


def report(names, errors, source, smoke=False):
    """Prints the mean errors and the best format of every kernel; draws them.

    Args:
        names: Names of the kernels, in the network's order.
        errors: Dict from a format's name to one error per kernel.
        source: Where the kernels come from.
        smoke: Whether the picture goes to the temporary folder.

    Returns:
        The name of the best format per kernel.
    """
    best = [
        min(errors, key=lambda key: errors[key][number])
        for number in range(len(names))
    ]
    table = Table(title=f"Mean relative error of {source}")
    table.add_column("format")
    table.add_column("mean error", justify="right")
    table.add_column("best for")
    for key in sorted(errors, key=lambda key: sum(errors[key])):
        mine = [n for n, f in zip(names, best, strict=True) if f == key]
        mean = sum(errors[key]) / len(names)
        table.add_row(key, f"{mean:.4f}", ", ".join(mine))
    console = Console()
    console.print(table)
    console.print(f"Picture: {draw(names, errors, best, smoke)}")
    return best


def draw(names, errors, best, smoke=False):
    """Draws the errors of all kernels in all formats, with the best marked.

    Args:
        names: Names of the kernels, in the network's order.
        errors: Dict from a format's name to one error per kernel.
        best: The name of the best format per kernel.
        smoke: Whether the picture goes to the temporary folder.

    Returns:
        The path of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ranked = sorted(errors, key=lambda key: sum(errors[key]))
    values = [errors[key] for key in ranked]
    figure, axes = pyplot.subplots(
        figsize=(2.5 + 0.55 * len(names), 1.6 + 0.36 * len(ranked))
    )
    image = axes.imshow(values, cmap="viridis_r", aspect="auto")
    for row, key in enumerate(ranked):
        for column, value in enumerate(errors[key]):
            chosen = best[column] == key
            axes.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=7,
                weight="bold" if chosen else "normal",
                color="white" if value > 0.7 else "black",
            )
    means = [sum(errors[key]) / len(names) for key in ranked]
    axes.set_yticks(
        range(len(ranked)),
        [f"{k}  {m:.3f}" for k, m in zip(ranked, means, strict=True)],
    )
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right")
    axes.set_title("Relative error at a tenth of the parameters; best in bold")
    figure.colorbar(image, label="relative error")
    figure.tight_layout()
    folder = Path(tempfile.gettempdir()) if smoke else REPORTS
    path = folder / "su_kernel_errors.png"
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return path
