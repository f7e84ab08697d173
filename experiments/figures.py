"""The demo's picture, drawn from its report and nothing else."""

from pathlib import Path

# Okabe and Ito's colours, told apart by colour-blind readers too.
DENSE = "#000000"
CONVERTED = "#777777"
TUNED = "#0072B2"
BONDS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#333333"
TICKS = (0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)


def draw(report, path):
    """Draws accuracy against parameters and the spectra of the kernels.

    Args:
        report: The demo's report as a dict of plain data.
        path: A `.png` file to write.

    Returns:
        The path.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kernels = report["spectra"]
    # A figure of its own, without pyplot: no global state, no display.
    figure = Figure(figsize=(12.5, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(kernels), 2, width_ratios=(1.15, 1))
    _accuracy(figure.add_subplot(grid[:, 0]), report)
    for row, (name, kernel) in enumerate(kernels.items()):
        last = row == len(kernels) - 1
        _spectrum(figure.add_subplot(grid[row, 1]), name, kernel, last)
    figure.suptitle(
        "LeNet-5 on MNIST, converted to tensor trains",
        fontsize=14,
        color=INK,
    )
    figure.savefig(path, dpi=150)
    return Path(path)


def _accuracy(axes, report):
    """Error falls upwards: a logit scale keeps 80 % and 99.2 % apart."""
    models = report["models"]
    shown = [one["accuracy"] for one in (*models.values(), *report["sweep"])]
    low, high = _visible(min(shown)), _visible(max(shown))
    sweep = report["sweep"]
    axes.plot(
        [one["parameters"] for one in sweep],
        [_visible(one["accuracy"]) for one in sweep],
        "o-",
        color=CONVERTED,
        label="converted, not tuned",
    )
    for one in sweep:
        _note(axes, one, f"rank {one['rank']}", CONVERTED, (8, -12))
    before, after = models["converted"], models["tuned"]
    axes.annotate(
        "",
        xy=(after["parameters"], _visible(after["accuracy"])),
        xytext=(before["parameters"], _visible(before["accuracy"])),
        arrowprops={
            "arrowstyle": "-|>",
            "color": TUNED,
            "shrinkA": 7,
            "shrinkB": 7,
        },
    )
    for name, color, marker, label in (
        ("tuned", TUNED, "*", "converted and tuned"),
        ("dense", DENSE, "s", "dense"),
    ):
        axes.plot(
            models[name]["parameters"],
            _visible(models[name]["accuracy"]),
            marker,
            markersize=15 if marker == "*" else 8,
            color=color,
            label=label,
        )
        one = models[name]
        text = f"{100 * one['accuracy']:.2f} %\n{one['parameters']:,}"
        _note(axes, one, text, color, (0, 11), ha="center")
    _scale(axes, low, high)
    axes.set_title("Accuracy against parameters", color=INK, fontsize=11)
    axes.set_xlabel("parameters of the whole model")
    axes.set_ylabel(f"accuracy on {report['data']['test']:,} test images")
    axes.legend(loc="lower right", frameon=False)
    plain(axes)


def _scale(axes, low, high):
    from matplotlib.ticker import FixedLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("logit")
    # A third of the odds below and above leaves room for the notes.
    axes.set_ylim(_shifted(low, 0.5), _shifted(high, 4.0))
    axes.margins(x=0.12)
    axes.yaxis.set_major_locator(FixedLocator(TICKS))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g} %")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")


def _visible(accuracy):
    """Keeps 0 and 1, which a tiny test set can give, on the scale."""
    return min(max(accuracy, 0.02), 0.9995)


def _shifted(accuracy, factor):
    odds = factor * accuracy / (1 - accuracy)
    return odds / (1 + odds)


def _note(axes, point, text, color, offset, ha="left"):
    axes.annotate(
        text,
        (point["parameters"], _visible(point["accuracy"])),
        xytext=offset,
        textcoords="offset points",
        color=color,
        ha=ha,
        fontsize=9,
        linespacing=1.3,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def _spectrum(axes, name, kernel, last):
    """Kept values solid, dropped ones faint, a line and a dot at the cut."""
    for bond, (values, rank) in enumerate(
        zip(kernel["values"], kernel["ranks"], strict=True)
    ):
        color = BONDS[bond % len(BONDS)]
        values = [value / values[0] for value in values]
        places = range(1, len(values) + 1)
        axes.plot(places, values, color=color, alpha=0.35, linewidth=1.5)
        axes.plot(
            places[:rank],
            values[:rank],
            color=color,
            linewidth=2.2,
            label=f"bond {bond + 1}: {rank} of {len(values)} kept",
        )
        axes.plot(rank, values[rank - 1], "o", color=color, markersize=6)
    for rank in sorted(set(kernel["ranks"])):
        axes.axvline(rank, color=INK, linewidth=1, linestyle=":")
        axes.annotate(
            f"cut at {rank}",
            (rank, 1.12),
            xytext=(5, 0),
            textcoords="offset points",
            color=INK,
            fontsize=9,
            va="top",
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    axes.set_ylim(0, 1.14)
    axes.set_title(
        f"Singular values of {name}, {kernel['modes']}", color=INK, fontsize=11
    )
    axes.set_ylabel("share of the largest")
    if last:
        axes.set_xlabel("number of the singular value")
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    plain(axes)


def plain(axes):
    """Gives axes the look of all pictures: a faint grid and no box.

    Args:
        axes: Axes of matplotlib.
    """
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, which="major", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK)
