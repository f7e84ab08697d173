"""What a row of a timing suite compares, for the terminal and the report."""


def own_sides(row):
    """The sides of a row that the others are compared with.

    Args:
        row: A row of a suite.

    Returns:
        A list of names, in the order of the row's ratios.
    """
    sides = (ratio.partition(" / ")[2] for ratio in row["ratios"])
    return list(dict.fromkeys(sides))


def device_limits(row):
    """What the device allows at best, as shares of our sides' times.

    Args:
        row: A row of a suite; its facts have `limit_seconds`, or such a fact
            for every one of their `formats`.

    Returns:
        A list of `(name, seconds, shares)`: the words for a table, the limit
        and a dict from our sides to the limit over their time.
    """
    facts, own = row["facts"], own_sides(row)
    name = "limit of the device"
    found = []
    if facts.get("limit_seconds"):
        found.append((name, facts["limit_seconds"], own))
    for format, its in facts.get("formats", {}).items():
        if its.get("limit_seconds") and format in row["sides"]:
            found.append((f"{name}, {format}", its["limit_seconds"], [format]))
    return [
        (
            name,
            seconds,
            {side: seconds / row["sides"][side]["median"] for side in sides},
        )
        for name, seconds, sides in found
    ]
