"""The report of the ResNet-20 that is converted on examples, as a page."""

from experiments.datasets import load
from experiments.tuning import Case
from tests.browser import check_page, needs_browser

SETTINGS = {"depth": 20, "examples": 32, "fill": True}


@needs_browser
def test_in_a_browser(data, tmp_path):
    case = Case(load("cifar10", smoke=True), SETTINGS, seed=0)
    small, report = case.reported(0.5, calibration_data=case.examples)
    assert len(report.replaced) >= 9
    path = tmp_path / "report.html"
    report.to_html(path, models={"original": case.model, "converted": small})
    check_page(path, report, versions=2)
