import inspect
import re

import pytest

from tests.repository.modules import public_objects

ENTRY = re.compile(
    r"`?(\*{0,2}\w+`?(?:(?:, | / )`?\*{0,2}\w+`?)*)(?: \(.*?\))?:"
)


def documented_arguments(docstring):
    """Names under `Args:`, which are indented one step deeper than it."""
    section = re.search(
        r"^Args:\n+((?:[ \t]+.*\n|\n)+)", docstring + "\n", re.MULTILINE
    )
    if section is None:
        return []
    lines = [line for line in section.group(1).splitlines() if line.strip()]
    depth = len(lines[0]) - len(lines[0].lstrip())
    names = []
    for line in lines:
        entry = ENTRY.match(line[depth:])
        if entry and not line[:depth].strip():
            names += re.findall(r"\w+", entry.group(1))
    return names


WITH_ARGUMENTS = [
    (name, value)
    for name, value in public_objects()
    if "Args:" in (inspect.getdoc(value) or "")
]


@pytest.mark.parametrize(
    "value",
    [value for _, value in WITH_ARGUMENTS],
    ids=[name for name, _ in WITH_ARGUMENTS],
)
def test_documented_arguments_are_in_the_signature(value):
    documented = documented_arguments(inspect.getdoc(value))
    assert documented, "the section Args: names no argument"
    unknown = set(documented) - set(inspect.signature(value).parameters)
    assert not unknown


def test_arguments_are_read_off_a_docstring():
    docstring = """One line.

    Args:
        first: Says what
            it is: in two lines.
        second, third (int): Two at once.
        **more: The rest.

    Returns:
        nothing: really.
    """
    names = documented_arguments(inspect.cleandoc(docstring))
    assert names == ["first", "second", "third", "more"]
