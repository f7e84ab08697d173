"""The rank rules give the totals of the authors' code."""

import math

import pytest

from experiments import models, record, run
from experiments.configs import su_resnet32_ranks as config


def test_the_convolutions_have_the_published_weights():
    sizes = models.resnet32_convolutions()
    weights = [math.prod((*window, i, j)) for window, i, j in sizes]
    assert sum(weights) == 463_616
    assert [i * j for window, i, j in sizes if not window] == [256, 512, 2048]


@pytest.mark.parametrize("name", config.PUBLISHED)
def test_totals_are_those_of_the_published_code(name):
    rates = config.SETTINGS["rates"]
    totals = [config.total(config.method(name, rate)) for rate in rates]
    assert tuple(totals) == config.PUBLISHED[name]


@pytest.mark.parametrize("rate", config.SETTINGS["rates"])
def test_the_corrected_rule_spends_the_rate(rate):
    spent = config.total(config.method("rcp", rate)) / 463_616
    assert rate <= spent < 1.08 * rate


def test_the_command_writes_what_the_table_shows(tmp_path, capsys):
    arguments = ["su_resnet32_ranks", "--smoke", "--output", str(tmp_path)]
    assert run.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "no data" in printed
    assert "79,658" in printed
    result = record.load(tmp_path / "su_resnet32_ranks.json")
    assert result["summary"]["rtt 10%"] == {"mean": 48_269, "std": 0}


def test_the_result_is_that_of_the_config():
    result = record.load(record.RESULTS / "su_resnet32_ranks.json")
    assert not result["smoke"]
    for name, totals in config.PUBLISHED.items():
        for rate, total in zip((5, 10, 20, 40), totals, strict=True):
            assert result["summary"][f"{name} {rate}%"]["mean"] == total
