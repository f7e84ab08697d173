"""Targets of a suite: what is measured, the bound, and whether it is met."""

from rich.table import Table


def at_least(what, value, bound):
    """A target that a number should reach.

    Args:
        what: What the number is, in words.
        value: The number measured.
        bound: The least that will do.

    Returns:
        A dict of plain data.
    """
    return _target(what, value, f"at least {bound:.4g}", value >= bound)


def at_most(what, value, bound):
    """A target that a number should not exceed.

    Args:
        what: What the number is, in words.
        value: The number measured.
        bound: The most that will do.

    Returns:
        A dict of plain data.
    """
    return _target(what, value, f"at most {bound:.4g}", value <= bound)


def _target(what, value, bound, met):
    return {"what": what, "value": value, "bound": bound, "met": bool(met)}


def of_rows(rows):
    """The targets that the rows of a suite bring along.

    Args:
        rows: Rows whose `at_least` says which ratios should reach what.

    Returns:
        A list of dicts; a side that was skipped has no target.
    """
    return [
        at_least(f"{row['case']}: {ratio}", row["ratios"][ratio], bound)
        for row in rows
        for ratio, bound in row.get("at_least", {}).items()
        if ratio in row["ratios"]
    ]


def table(targets):
    """A table of targets for the terminal.

    Args:
        targets: A list of dicts.

    Returns:
        A `rich.table.Table`.
    """
    drawn = Table(title="targets")
    for heading in ("what", "measured", "wanted", ""):
        drawn.add_column(heading)
    for line in cells(targets):
        drawn.add_row(*line)
    return drawn


def cells(targets):
    """One line a target, as texts.

    Args:
        targets: A list of dicts.

    Returns:
        A list of lists: what, measured, wanted, and the verdict.
    """
    return [
        [
            one["what"],
            f"{one['value']:.4g}",
            one["bound"],
            "met" if one["met"] else "missed",
        ]
        for one in targets
    ]
