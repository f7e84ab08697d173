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


LINE = [(0, 0), (1.6, 0), (3.2, 0), (4.8, 0)]
STAR = [(0, 1.6), (1.6, 1.6), (0.8, 0.8), (0, 0), (1.6, 0)]
SQUARE = [(0, 1.6), (1.6, 1.6), (0, 0), (1.6, 0)]
RING = [(0.9, 1.6), (1.8, 0), (0, 0)]
MATRIX, KERNEL = ((16,), (16,)), ((16,), (16,), (3, 3))
PAIRS, FOURS = ((4, 4), (4, 4)), ((2,) * 4, (2,) * 4)
TRIPLES = ((4, 2, 2), (4, 2, 2))
GRID = "i1 a b, a i2 j1 c, b j2 d, d c j3"

# By file: panels of a title, a format, the sizes it is bound to and places.
FIGURES = {
    "low_rank": [
        ("matrix", formats.LowRank(3), MATRIX, LINE),
        ("kernel", formats.LowRank(3), KERNEL, LINE),
        ("kernel, spatial", formats.LowRank(3, "spatial"), KERNEL, LINE),
    ],
    "tucker": [
        ("matrix", formats.Tucker(3, *PAIRS), MATRIX, STAR),
        ("kernel: Tucker-2", formats.Tucker(3), KERNEL, LINE),
    ],
    "cp": [
        ("matrix", formats.CP(3, *TRIPLES), MATRIX, LINE),
        ("kernel", formats.CP(3), KERNEL, LINE),
    ],
    "tensor_ring": [("matrix", formats.TensorRing(3, *TRIPLES), MATRIX, RING)],
    "block_tensor_train": [
        ("matrix", formats.BlockTensorTrain(3, *PAIRS), MATRIX, LINE)
    ],
    "monarch": [("matrix", formats.Monarch(*PAIRS), MATRIX, LINE)],
    "kronecker": [
        ("matrix", formats.Kronecker(3, *PAIRS), MATRIX, LINE),
        ("kernel", formats.Kronecker(3, *PAIRS), KERNEL, LINE),
    ],
    "einsum_network": [
        (
            "a 2 x 2 grid",
            formats.EinsumNetwork(GRID, rank=3),
            ((16,), (27,)),
            SQUARE,
        )
    ],
    "spectrum_preserving": [
        (
            name,
            formats.get(name, rate=0.1),
            ((64,), (64,), (3, 3)),
            STAR if name == "rtk" else LINE,
        )
        for name in ("svd", "cp", "tk", "tt", "rcp", "rtk", "rtt")
    ],
    "tensor_train": [("matrix", TensorTrain(3, *FOURS), MATRIX, LINE)]
    + [
        (f'kernel, "{order}"', TensorTrain(3, conv_order=order), KERNEL, LINE)
        for order in ("spatial_first", "channels_outside", "spatial_last")
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
    _legs(axes, network, places, holders)
    for n, place in enumerate(places):
        axes.scatter(*place, s=560, c=CORE, edgecolors=INK, zorder=3)
        axes.annotate(f"G{n + 1}", place, ha="center", va="center", zorder=4)
    everything = np.array(places)
    low, high = everything.min(axis=0) - 1.4, everything.max(axis=0) + 1.1
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.axis("off")


def _legs(axes, network, places, holders):
    for kind, way in (("in", 1), ("window", 1), ("out", -1)):
        for n, core in enumerate(network.cores):
            own = [
                label
                for label in network.labels_of(kind)
                if label in core and holders[label] == [n]
            ]
            shift = 0.55 if kind == "window" else 0.0
            for k, label in enumerate(own):
                tilt = shift + 0.3 * (k - (len(own) - 1) / 2)
                _leg(axes, label, places[n], tilt, way, kind == "window")
        for label in network.labels_of(kind):
            if len(holders[label]) > 1:
                _shared(axes, label, [places[n] for n in holders[label]], way)


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
    for name, panels in FIGURES.items():
        columns = min(COLUMNS, len(panels))
        rows = -(-len(panels) // columns)
        bound = [format.bind(*sizes) for _, format, sizes, _ in panels]
        widest = max(len(each.network.cores) for each in bound) + 1
        figure, grid = pyplot.subplots(
            rows,
            columns,
            figsize=(1.05 * widest * columns, 2.9 * rows),
            squeeze=False,
        )
        for axes in grid.flat:
            axes.axis("off")
        for axes, panel, format in zip(grid.flat, panels, bound, strict=False):
            draw(axes, format.network, panel[-1])
            axes.set_title(panel[0], fontsize=9)
        figure.tight_layout()
        path = FOLDER / f"{name}.svg"
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
        print(path.name)


if __name__ == "__main__":
    main()
