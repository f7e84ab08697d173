import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("tensornet_keras", "experiments", "tests", "docs", ".ci")
SOURCES = sorted(
    [
        *ROOT.glob("*.py"),
        *(path for room in ROOMS for path in (ROOT / room).rglob("*.py")),
    ]
)
SUFFIXES = {"", ".cff", ".json", ".md", ".py", ".sh", ".toml", ".txt"}
TEXTS = sorted(
    path
    for path in [
        *ROOT.glob("*"),
        *(path for room in ROOMS for path in (ROOT / room).rglob("*")),
    ]
    if path.is_file()
    and path.suffix in SUFFIXES
    and not path.name.startswith(".")
)
MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:farm|home|root|Users|work)/")
UNFINISHED = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")
HARD_BOUND = 350
FUNCTION_BOUND = 60
UNNAMED_CONCEPTS = {"utils", "util", "helpers", "common", "misc"}


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_module_outgrows_the_style_guide(path):
    assert len(path.read_text("utf-8").splitlines()) <= HARD_BOUND


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_function_outgrows_the_style_guide(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            assert code_lines(node) <= FUNCTION_BOUND, node.name


def code_lines(function):
    """Lines of a function without its docstring."""
    length = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        length -= first.end_lineno - first.lineno + 1
    return length


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_modules_are_named_after_their_concept(path):
    assert path.stem not in UNNAMED_CONCEPTS


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_no_file_names_a_place_on_one_machine(path):
    assert not MACHINE_PATH.findall(path.read_text("utf-8"))


@pytest.mark.parametrize("path", TEXTS, ids=relative)
def test_no_file_is_left_unfinished(path):
    assert not UNFINISHED.findall(path.read_text("utf-8"))
