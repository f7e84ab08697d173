"""A report as a picture, for users of matplotlib."""

from __future__ import annotations


def drawn(report):
    """Bars of the parameters and the errors of the replaced layers.

    Args:
        report: The report of a conversion.

    Returns:
        A `matplotlib` figure.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'Pictures need matplotlib. Run: pip install "tensornet-keras[plot]"'
        ) from error
    rows = report.replaced
    places = range(len(rows))
    figure = Figure(figsize=(10, 1.5 + 0.3 * len(rows)), layout="constrained")
    sizes, errors = figure.subplots(1, 2, sharey=True)
    for shift, label, color, counts in (
        (-0.2, "before", "#cbd2d9", [row.params_before for row in rows]),
        (0.2, "after", "#2186eb", [row.params_after for row in rows]),
    ):
        sizes.barh(
            [place + shift for place in places],
            counts,
            height=0.4,
            color=color,
            label=label,
        )
    sizes.set_yticks(places, [row.path for row in rows])
    sizes.set_xlabel("parameters")
    sizes.legend(loc="best")
    calibrated = any(row.output_error is not None for row in rows)
    errors.barh(
        places,
        [
            row.relative_error if row.output_error is None else row.output_error
            for row in rows
        ],
        color="#e8833a",
    )
    kind = "of the outputs" if calibrated else "of the kernel"
    errors.set_xlabel(f"relative error {kind}")
    errors.invert_yaxis()
    figure.suptitle(f"Conversion of {report.model}")
    return figure
