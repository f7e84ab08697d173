"""What a run leaves out, said beside its tables."""

from rich.console import Console


def skipped(text):
    """Says what a run leaves out, and why.

    Args:
        text: A sentence, such as "Not compared with X, which is not
            installed."
    """
    # One line, so that a log can be searched for it.
    Console(stderr=True, soft_wrap=True).print(text)
