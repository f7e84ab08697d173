import ast
import re
from pathlib import Path

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


def offenders(paths, breaks_the_rule):
    """The paths whose text breaks a rule, as one reads them."""
    return [
        path.relative_to(ROOT).as_posix()
        for path in paths
        if breaks_the_rule(path.read_text("utf-8"))
    ]


def test_the_files_are_found():
    names = {path.name for path in TEXTS}
    assert {"README.md", "Makefile", "run", "__init__.py"} <= names


def test_no_module_outgrows_the_style_guide():
    assert not offenders(
        SOURCES, lambda text: len(text.splitlines()) > HARD_BOUND
    )


def test_no_function_outgrows_the_style_guide():
    assert not offenders(
        SOURCES, lambda text: longest_function(text) > FUNCTION_BOUND
    )


def longest_function(text):
    """Lines of the longest function, docstrings apart."""
    lengths = [0]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[0]
            documented = ast.get_docstring(node, clean=False) is not None
            start = first.end_lineno if documented else node.lineno - 1
            lengths.append(node.end_lineno - start)
    return max(lengths)


def test_modules_are_named_after_their_concept():
    assert not [path for path in SOURCES if path.stem in UNNAMED_CONCEPTS]


def test_no_file_names_a_place_on_one_machine():
    assert not offenders(TEXTS, MACHINE_PATH.search)


def test_no_file_is_left_unfinished():
    assert not offenders(TEXTS, UNFINISHED.search)
