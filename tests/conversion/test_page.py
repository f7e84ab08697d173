"""The report as a page: what it holds, and that it works in a browser."""

import html.parser

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.browser import check_page, needs_browser
from tests.nasty_models import NASTY
from tests.small_models import numbers, randomized


@pytest.fixture(scope="module")
def conversion():
    inputs = keras.Input((8, 8, 6))
    x = layers.Conv2D(16, 3, name="conv>1")(inputs)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(24, 3, name="conv2")(x)
    outputs = layers.Dense(10, name="head")(layers.Flatten()(x))
    model = randomized(keras.Model(inputs, outputs, name="net"))
    small, report = tk.convert(
        model, tk.formats.LowRank(rank=3), calibration_data=numbers(8, 8, 8, 6)
    )
    return model, small, report


@pytest.fixture(scope="module")
def page(conversion, tmp_path_factory):
    model, small, report = conversion
    path = tmp_path_factory.mktemp("page") / "report.html"
    models = {"original": model, "converted": small}
    text = report.to_html(
        path, models=models, evaluate=lambda x: {"accuracy": x.count_params()}
    )
    assert path.read_text(encoding="utf-8") == text
    return path


class Tags(html.parser.HTMLParser):
    """Counts tags, and notes what attributes point elsewhere."""

    def __init__(self):
        super().__init__()
        self.tags, self.away = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.away += [k for k, _ in attrs if k in ("src", "href", "srcset")]


def test_the_page_stands_alone(page, conversion):
    _, _, report = conversion
    text = page.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    assert not tags.away
    assert "link" not in tags.tags
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert tags.tags.count("svg") == len(report.replaced)
    assert tags.tags.count("details") == len(report.replaced)
    assert "conv&gt;1" in text
    assert "conv>1" not in text


def test_the_cut_of_a_spectrum_is_where_the_rank_is(conversion):
    model, _, report = conversion
    details = report.find_details()
    assert set(details) == {row.path for row in report.replaced}
    (cut,) = details["head"].cuts
    kernel = np.asarray(model.get_layer("head").kernel)
    values = np.linalg.svd(kernel, compute_uv=False)
    np.testing.assert_allclose(cut.values, values / values[0], rtol=1e-4)
    assert cut.rank == 3
    assert "matmul" in details["head"].plan


@pytest.mark.parametrize("name", NASTY)
def test_any_report_has_a_page(name):
    model, _ = NASTY[name]()
    _, report = tk.convert(
        randomized(model), tk.formats.TensorTrain(rank=2), min_compression=0
    )
    text = report.to_html()
    assert text.count("<tr") > len(report.rows)
    assert text.count("<details") == len(report.replaced)


def test_a_picture_has_a_bar_for_every_replaced_layer(conversion, tmp_path):
    pytest.importorskip("matplotlib")
    _, _, report = conversion
    figure = report.plot()
    sizes, errors = figure.axes
    assert len(sizes.patches) == 2 * len(report.replaced)
    widths = [patch.get_width() for patch in errors.patches]
    assert widths == [row.output_error for row in report.replaced]
    figure.savefig(tmp_path / "report.png")


@needs_browser
def test_in_a_browser(page, conversion):
    _, _, report = conversion
    check_page(page, report, versions=2)
