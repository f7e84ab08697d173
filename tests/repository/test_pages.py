"""Every format and every layer has a page, with an example and a drawing."""

import inspect
import re
from pathlib import Path

import pytest

import tensornet_keras as tk
from tensornet_keras import registration
from tensornet_keras.formats import CATALOG

DOCS = Path(__file__).parents[2] / "docs"
LAYERS = (*registration.LAYERS, *registration.OTHER_LAYERS)


@pytest.mark.parametrize("format", CATALOG.values(), ids=lambda x: x.name)
def test_a_format_has_a_page_with_formula_drawing_and_example(format):
    module = inspect.getmodule(format).__name__.rsplit(".", 1)[-1]
    page = (DOCS / "formats" / f"{module}.md").read_text(encoding="utf-8")
    assert f"({module}.svg)" in page
    assert (DOCS / "formats" / f"{module}.svg").is_file()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert any("assert " in block for block in blocks)
    assert "$" in page
    for heading in ("Parameters and cost", "When to use it", "Reference"):
        assert f"## {heading}" in page, heading
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    assert f"(formats/{module}.md)" in index


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_used_on_a_page(layer):
    pages = [
        path.read_text(encoding="utf-8")
        for path in (DOCS / "layers").glob("*.md")
    ]
    kin = re.sub(r"[123]D$", "", layer)
    assert any(f"tk.layers.{kin}" in page for page in pages)
    assert hasattr(tk.layers, layer)


def test_every_page_of_a_layer_is_in_the_index():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for path in (DOCS / "layers").glob("*.md"):
        assert f"(layers/{path.name})" in index
