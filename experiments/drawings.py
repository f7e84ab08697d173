"""Draws the networks of the formats for the documentation.

`python -m experiments.drawings` writes `docs/formats/*.svg`. Circles are
cores, lines are bonds; legs above are input modes, legs below output modes,
dashed ones the window. A dot joins all cores that have a label.
"""

import pathlib

import numpy as np

from tensornet_keras import formats
from tensornet_keras.formats import TensorTrain

FOLDER = pathlib.Path(__file__).parents[1] / "docs" / "formats"
INK, CORE, BOND = "#1f2937", "#dbeafe", "#b45309"
REACH = 0.62
COLUMNS = 4


def figures():
    """What is drawn: by file, panels of (title, network, positions)."""
    line = [(0, 0), (1.6, 0), (3.2, 0), (4.8, 0)]
    star = [(0, 1.6), (1.6, 1.6), (0.8, 0.8), (0, 0), (1.6, 0)]
    square = [(0, 1.6), (1.6, 1.6), (0, 0), (1.6, 0)]
    tucker = formats.Tucker(3, (4, 4), (4, 4)).bind((16,), (16,))
    grid = formats.EinsumNetwork(
        "i1 a b, a i2 j1 c, b j2 d, d c j3", rank=3
    ).bind((16,), (27,))
    ring = formats.TensorRing(3, (2, 2, 2), (2, 2, 2)).bind((8,), (8,))
    matrix = ((16,), (16,))
    kernel = ((16,), (16,), (3, 3))
    pairs = ((4, 4), (4, 4))
    return {
        "low_rank": [
            ("matrix", formats.LowRank(3).bind(*matrix), line),
            ("kernel", formats.LowRank(3).bind(*kernel), line),
            (
                'kernel, conv_split="spatial"',
                formats.LowRank(3, "spatial").bind(*kernel),
                line,
            ),
        ],
        "tucker": [
            (
                "matrix",
                tucker,
                star,
            ),
            ("kernel: Tucker-2", formats.Tucker(3).bind(*kernel), line),
        ],
        "cp": [
            (
                "matrix",
                formats.CP(3, (4, 2, 2), (4, 2, 2)).bind(*matrix),
                line,
            ),
            ("kernel", formats.CP(3).bind(*kernel), line),
        ],
        "tensor_ring": [("matrix", ring, [(0.9, 1.6), (1.8, 0), (0, 0)])],
        "block_tensor_train": [
            ("matrix", formats.BlockTensorTrain(3, *pairs).bind(*matrix), line)
        ],
        "monarch": [("matrix", formats.Monarch(*pairs).bind(*matrix), line)],
        "kronecker": [
            ("matrix", formats.Kronecker(3, *pairs).bind(*matrix), line),
            ("kernel", formats.Kronecker(3, *pairs).bind(*kernel), line),
        ],
        "spectrum_preserving": [
            (
                name,
                formats.get(name, rate=0.1).bind((64,), (64,), (3, 3)),
                line if name != "rtk" else star,
            )
            for name in ("svd", "cp", "tk", "tt", "rcp", "rtk", "rtt")
        ],
        "einsum_network": [("a 2 x 2 grid", grid, square)],
        "tensor_train": [
            ("matrix", TensorTrain(3, (2,) * 4, (2,) * 4).bind(*matrix), line),
            (
                'kernel, "spatial_first"',
                TensorTrain(3, *pairs).bind(*kernel),
                line,
            ),
            (
                'kernel, "channels_outside"',
                TensorTrain(3, conv_order="channels_outside").bind(*kernel),
                line,
            ),
            (
                'kernel, "spatial_last"',
                TensorTrain(3, *pairs, conv_order="spatial_last").bind(*kernel),
                line,
            ),
        ],
    }


def draw(axes, network, positions):
    """Draws one network.

    Args:
        axes: Matplotlib's axes.
        network: The network.
        positions: A place for every core.
    """
    places = [np.array(place, float) for place in positions]
    places = places[: len(network.cores)]
    holders = {
        label: [n for n, core in enumerate(network.cores) if label in core]
        for label in network.sizes
    }
    bent = {}
    for label, _ in network.bonds:
        ends = tuple(holders[label])
        bent[ends] = bent.get(ends, -1) + 1
        _bond(axes, label, [places[n] for n in ends], bent[ends])
    for n, core in enumerate(network.cores):
        own = [x for x in core if holders[x] == [n]]
        for kind, way in (("in", 1), ("window", 1), ("out", -1)):
            legs = [x for x in network.labels_of(kind) if x in own]
            shift = 0.55 if kind == "window" else 0.0
            for k, label in enumerate(legs):
                tilt = shift + 0.3 * (k - (len(legs) - 1) / 2)
                _leg(axes, label, places[n], tilt, way, kind == "window")
    for kind, way in (("in", 1), ("out", -1)):
        for label in network.labels_of(kind):
            if len(holders[label]) > 1:
                _shared(axes, label, [places[n] for n in holders[label]], way)
    for n, place in enumerate(places):
        axes.scatter(*place, s=560, c=CORE, edgecolors=INK, zorder=3)
        axes.annotate(f"G{n + 1}", place, ha="center", va="center", zorder=4)
    everything = np.array(places)
    low, high = everything.min(axis=0) - 1.4, everything.max(axis=0) + 1.1
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.axis("off")


def _bond(axes, label, ends, number):
    middle = np.mean(ends, axis=0)
    if len(ends) > 2:
        middle = middle + (0.4, -1.0)
        axes.scatter(*middle, s=26, c=BOND, zorder=3)
    elif number:
        middle = middle + (0, 0.5 * number)
    for end in ends:
        axes.plot(*zip(end, middle, strict=True), color=BOND, lw=1.6, zorder=1)
    below = len(ends) > 2
    axes.annotate(
        label,
        middle + (0, -0.08 if below else 0.08),
        ha="center",
        va="top" if below else "bottom",
        color=BOND,
    )


def _leg(axes, label, place, tilt, way, dashed):
    end = place + (tilt, way * REACH)
    style = (0, (2, 2)) if dashed else "-"
    axes.plot(
        *zip(place, end, strict=True), color=INK, lw=1.2, ls=style, zorder=1
    )
    axes.annotate(
        label, end + (0, 0.1 * way), ha="center", va="center", color=INK
    )


def _shared(axes, label, ends, way):
    middle = np.mean(ends, axis=0) + (0, way * 0.55)
    axes.scatter(*middle, s=26, c=INK, zorder=3)
    for end in ends:
        axes.plot(*zip(end, middle, strict=True), color=INK, lw=1.2, zorder=1)
    _leg(axes, label, middle, 0.0, way * 0.6, False)


def main():
    """Writes every drawing."""
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "tensornet_keras"
    for name, panels in figures().items():
        columns = min(COLUMNS, len(panels))
        rows = -(-len(panels) // columns)
        widest = max(len(panel[1].network.cores) for panel in panels) + 1
        figure, grid = pyplot.subplots(
            rows,
            columns,
            figsize=(1.05 * widest * columns, 2.9 * rows),
            squeeze=False,
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, (title, bound, places) in zip(
            grid.flat, panels, strict=False
        ):
            draw(axes, bound.network, places)
            axes.set_title(title, fontsize=9)
        figure.tight_layout()
        path = FOLDER / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
        print(path.name)


if __name__ == "__main__":
    main()
