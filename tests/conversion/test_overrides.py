"""Layers whose format was given with a rank, whatever the target."""

import keras
import pytest
from keras import layers

import tensornet_keras as tk
from tests.conversion.test_latency import clock
from tests.small_models import randomized

LOW = tk.formats.LowRank


@pytest.fixture
def model():
    return randomized(
        keras.Sequential(
            [
                keras.Input((64,)),
                layers.Dense(1024, name="first"),
                layers.Dense(512, name="second"),
                layers.Dense(32, name="head"),
            ]
        )
    )


@pytest.mark.parametrize(
    "target",
    [
        {"ratio": 0.97},
        {"flops": 0.97},
        {"ratio": 0.97, "evaluate": lambda model: model.count_params()},
        {"latency": 0.97},
        {"latency": 1.0},
    ],
    ids=lambda target: ", ".join(target),
)
def test_a_rank_holds_whatever_the_target(model, target, monkeypatch):
    clock(monkeypatch, [0.9])
    overrides = {"head": LOW(rank=24)}
    small, report = tk.convert(model, LOW(), overrides=overrides, **target)
    (head,) = (row for row in report.rows if row.path.endswith("head"))
    assert head.ranks == (24,)
    assert small.get_layer("head").format.rank == (24,)


def test_what_it_costs_is_of_the_budget(model):
    overrides = {"first|second": LOW(rank=2)}
    _, report = tk.convert(model, LOW(), ratio=0.5, overrides=overrides)
    assert report.share < 0.5
    with pytest.raises(ValueError, match="must be at least 0.83"):
        tk.convert(model, LOW(), ratio=0.2, overrides={"second": LOW(rank=330)})


def test_what_would_be_no_smaller_stays_as_it_is(model):
    overrides = {"head": LOW(rank=32)}
    _, report = tk.convert(model, LOW(), ratio=0.5, overrides=overrides)
    assert report.rows[-1].reason == "no gain in parameters"


def test_a_pattern_that_finds_nothing_is_refused(model):
    with pytest.raises(ValueError, match="'haed'. The layers are: .*head"):
        tk.convert(model, ratio=0.5, overrides={"haed": None})
