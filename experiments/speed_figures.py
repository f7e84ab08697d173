"""Pictures of the timing suites, drawn from their results and nothing else."""

from pathlib import Path

from .figures import INK, plain

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLORS = {
    "dense": "#000000",
    "best of the others": "#D55E00",
    "ours": "#0072B2",
    "limit": "#999999",
}
STYLES = {"limit": ":"}
OWN = ("ours", "ours, frozen")
# Sides that are no other library's.
NOT_PEERS = ("dense", "dense, again", "rebuilt", *OWN)
MOST_PANELS, LEAST_BATCHES, LEAST_RANKS = 4, 2, 3
BANDS = ("#56B4E9", "#E69F00", "#009E73")


def against_batch(result, path):
    """Draws time against batch: dense, best other library, ours, the limit.

    Args:
        result: A result of the suite `dense`.
        path: A `.png` file to write.

    Returns:
        The path, or `None` if no layer has several batches.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    found = {
        name: rows
        for name, rows in layers(result["rows"]).items()
        if len(rows) >= LEAST_BATCHES
    }
    # The layers with most sizes, and of these first where dense is hardest
    # to beat.
    ranked = sorted(
        found, key=lambda name: (-len(found[name]), _worst(found[name]))
    )
    panels = ranked[:MOST_PANELS]
    if not panels:
        return None
    figure, axes = _figure(len(panels), "Time of a forward pass")
    for place, name in zip(axes, panels, strict=True):
        _times(place, name, found[name])
    axes[0].set_ylabel("milliseconds")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False
    )
    figure.savefig(path, dpi=150)
    return Path(path)


def against_rank(result, path):
    """Draws the speed-up over the dense layer against the rank.

    Args:
        result: A result of the suite `dense`.
        path: A `.png` file to write.

    Returns:
        The path, or `None` if no layer comes at several ranks.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    families = {}
    for row in result["rows"]:
        key = str(row["facts"]["modes"]), row["facts"]["layer"]
        families.setdefault(key, []).append(row)
    rows = max(families.values(), key=lambda rows: len(_ranks(rows)))
    if len(_ranks(rows)) < LEAST_RANKS:
        return None
    title = f"{rows[0]['facts']['layer']}: speed-up over the dense layer"
    figure, (axes,) = _figure(1, title)
    batches = sorted({row["facts"]["batch"] for row in rows})
    for batch, color in zip(batches, BANDS, strict=False):
        chosen = [row for row in rows if row["facts"]["batch"] == batch]
        if len(chosen) >= LEAST_RANKS:
            _speedups(axes, batch, chosen, color)
    axes.axhline(1, color=INK, linewidth=1, linestyle="--")
    axes.annotate(
        "as fast as dense",
        (0, 1),
        xycoords=("axes fraction", "data"),
        xytext=(4, 4),
        textcoords="offset points",
        color=INK,
        fontsize=9,
    )
    _scales(axes, "rank", sorted(_ranks(rows)))
    axes.set_ylabel("times faster")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
    return Path(path)


def layers(rows):
    """Rows by the layer that they are of, in the order of the batches.

    Args:
        rows: Rows of the suite `dense`.

    Returns:
        A dict from a title to rows.
    """
    found = {}
    for row in sorted(rows, key=lambda row: row["facts"]["batch"]):
        facts = row["facts"]
        cores = len(facts["modes"][0] or ()) or 2
        title = f"{facts['layer']}, {cores} cores, rank {facts['rank']}"
        found.setdefault(title, []).append(row)
    return found


def best_of(row, names):
    """The quickest of some sides of a row.

    Args:
        row: A row of a suite.
        names: Names of sides; those that are not there do not count.

    Returns:
        `(name, seconds)`, or `(None, None)` if none is there.
    """
    sides = row["sides"]
    there = [name for name in names if name in sides]
    if not there:
        return None, None
    best = min(there, key=lambda name: sides[name]["median"])
    return best, sides[best]["median"]


def peers_of(row):
    """Names of the sides of a row that are other libraries'.

    Args:
        row: A row of a suite.
    """
    return [name for name in row["sides"] if name not in NOT_PEERS]


def _worst(rows):
    return min(row["ratios"][f"dense / {best_of(row, OWN)[0]}"] for row in rows)


def _ranks(rows):
    return {row["facts"]["rank"] for row in rows}


def _figure(panels, title):
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A figure of its own, without pyplot: no global state, no display.
    width = 6.4 if panels == 1 else 3.6 * panels
    figure = Figure(figsize=(width, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13, color=INK)
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def _times(axes, title, rows):
    batches = [row["facts"]["batch"] for row in rows]
    lines = {
        "dense": [best_of(row, ["dense"])[1] for row in rows],
        "best of the others": [best_of(row, peers_of(row))[1] for row in rows],
        "ours": [best_of(row, OWN)[1] for row in rows],
        "limit": [row["facts"]["limit_seconds"] for row in rows],
    }
    for name, seconds in lines.items():
        if None not in seconds:
            axes.plot(
                batches,
                [1e3 * one for one in seconds],
                STYLES.get(name, "o-"),
                color=COLORS[name],
                label=name,
                linewidth=2.4 if name == "ours" else 1.6,
            )
    _scales(axes, "batch", batches)
    axes.set_title(title, color=INK, fontsize=10)


def _speedups(axes, batch, rows, color):
    rows = sorted(rows, key=lambda row: row["facts"]["rank"])
    ranks = [row["facts"]["rank"] for row in rows]
    keys = [f"dense / {best_of(row, OWN)[0]}" for row in rows]
    pairs = list(zip(rows, keys, strict=True))
    axes.plot(
        ranks,
        [row["ratios"][key] for row, key in pairs],
        "o-",
        color=color,
        linewidth=2,
        label=f"batch {batch}",
    )
    low, high = zip(*(row["spreads"][key] for row, key in pairs), strict=True)
    axes.fill_between(ranks, low, high, color=color, alpha=0.2, linewidth=0)


def _scales(axes, word, ticks):
    from matplotlib.ticker import LogLocator

    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    low, high = axes.get_ylim()
    steps = (1.0,) if high > 1000 * low else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    axes.set_xlabel(word)
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:,.12g}")
    plain(axes)
