"""Tables in Markdown."""


def table(headings, rows, left=2):
    """A table.

    Args:
        headings: One text a column.
        rows: Lists of as many texts.
        left: How many columns, from the first, are aligned to the left.

    Returns:
        Markdown.
    """
    rule = ["---"] * left + ["---:"] * (len(headings) - left)
    lines = [headings, rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
