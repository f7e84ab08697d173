"""The table and the pictures of the guide on planning, from the results.

The guide's page has two lines between which the table stands; the pictures
lie beside the page.
"""

from pathlib import Path

from . import record, speed_figures
from .markdown import table

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "planning.md"
BEGIN = "<!-- table: drawn by python -m experiments.report -->"
END = "<!-- end of the table -->"
PICTURES = {
    "planning_batch.png": speed_figures.against_batch,
    "planning_rank.png": speed_figures.against_rank,
}
HEADINGS = (
    "layer",
    "batch",
    "dense, ms",
    "best of the others, ms",
    "ours, ms",
    "others / ours",
    "dense / layer",
    "dense / frozen",
)


def filled(page, result):
    """A page with the table between its two lines.

    Args:
        page: The page's text.
        result: A result of the suite `dense`, or `None` for no table.

    Returns:
        The text; without the two lines it is the page's own.
    """
    if BEGIN not in page or END not in page or result is None:
        return page
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{times(result['rows'])}\n\n{END}{tail}"


def times(rows):
    """A table of forward passes; where dense is faster, that is in bold.

    Args:
        rows: Rows of the suite `dense`.

    Returns:
        Markdown.
    """
    lines = []
    for title, chosen in speed_figures.layers(rows).items():
        for row in chosen:
            own, ours = speed_figures.best_of(row, speed_figures.OWN)
            peer, theirs = speed_figures.best_of(
                row, speed_figures.peers_of(row)
            )
            lines.append(
                [
                    title,
                    str(row["facts"]["batch"]),
                    _milliseconds(row["sides"]["dense"]["median"]),
                    f"{_milliseconds(theirs)} ({peer})" if peer else "",
                    _milliseconds(ours),
                    _times_faster(row["ratios"].get(f"{peer} / {own}")),
                    *(
                        _times_faster(row["ratios"].get(f"dense / {name}"))
                        for name in speed_figures.OWN
                    ),
                ]
            )
    return table(HEADINGS, lines, left=1)


def write(folder=record.RESULTS, page=PAGE):
    """Fills in the page and draws the pictures beside it.

    Args:
        folder: The folder with the results.
        page: The page; without the two lines nothing is written.

    Returns:
        The paths written.
    """
    source = folder / "bench_dense.json"
    text = page.read_text("utf-8")
    if BEGIN not in text or not source.exists():
        return []
    result = record.load(source)
    page.write_text(filled(text, result), "utf-8")
    drawn = [
        draw(result, page.parent / name) for name, draw in PICTURES.items()
    ]
    return [page, *(path for path in drawn if path)]


def _milliseconds(seconds):
    return f"{1e3 * seconds:.3g}"


def _times_faster(ratio):
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio >= 1 else f"**{ratio:.2f}**"
