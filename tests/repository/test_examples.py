import ast
import doctest
import inspect
import re
from pathlib import Path

import keras
import pytest

from tests.repository.modules import modules, public_objects

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^([ \t]*)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
DOCTEST_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def run_blocks(text, filename):
    """Runs the ```python blocks of a text, in order, in one namespace."""
    namespace = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 1
        source = inspect.cleandoc("\n" + block.group(2))
        tree = ast.increment_lineno(ast.parse(source, filename), line)
        exec(compile(tree, filename, "exec"), namespace)


def docstrings():
    named = [(module.__name__, module) for module in modules()]
    for name, value in named + public_objects():
        text = inspect.getdoc(value) or ""
        if ">>>" in text or "```python" in text:
            yield name, text


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """Examples may write files and set policies; neither outlives them."""
    monkeypatch.chdir(tmp_path)
    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_blocks_of_a_page_run_in_order(page):
    run_blocks(page.read_text("utf-8"), str(page))


@pytest.mark.parametrize(("name", "text"), list(docstrings()))
def test_examples_of_a_docstring_run(name, text):
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    report = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=DOCTEST_OPTIONS)
    runner.run(example, out=report.append)
    assert not report, "".join(report)
    run_blocks(text, name)


def test_an_error_in_a_block_names_the_line_of_the_page():
    text = "Text.\n\n```python\nx = 1\n```\n\n  ```python\n  x.y\n  ```\n"
    with pytest.raises(AttributeError) as caught:
        run_blocks(text, "page.md")
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == ("page.md", 8)
