"""A budget of time: predicted for layers, measured for the whole."""

import keras
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras import profiling
from tensornet_keras.conversion import latency, sensitivity
from tests.small_models import (
    assert_same_values,
    numbers,
    randomized,
    values_of,
)

LOW = tk.formats.LowRank


def wide(units=2048):
    return randomized(
        keras.Sequential(
            [
                keras.Input((256,)),
                layers.Dense(units, activation="relu", name="one"),
                layers.Dense(units, activation="relu", name="two"),
                layers.Dense(8, name="head"),
            ]
        )
    )


def clock(monkeypatch, times):
    """Measured shares of the original's time, one after another."""
    left = iter(times)
    monkeypatch.setattr(
        latency.Latency, "_measured", lambda *_: next(left, times[-1])
    )


def test_layers_in_a_loop_take_time_and_others_stay_dense():
    inner = keras.Sequential([keras.Input((64,)), layers.Dense(64)])
    inputs = keras.Input((3, 64))
    model = keras.Model(inputs, layers.TimeDistributed(inner)(inputs))
    (layer,) = inner.layers
    own = latency.Latency(model)
    assert own.cost(layer, None) > 0
    bound = (LOW(1).bind((64,), (64,)),)
    other = layers.Dense(64)
    # What was not called has no time, and nothing to gain.
    assert own._fastest([other], [[(0.1, bound)]]) == [None]


def test_scores_are_spread_over_options_of_all_kinds(monkeypatch):
    scored = []

    def chosen(self, layers, options, share):
        for own in options:
            losses = [loss for loss, _ in own]
            assert losses == sorted(losses, reverse=True)
        return [None] * len(layers), 1.0

    def weighed(self, layer, options, approximated):
        errors = [error for error, _ in options]
        scored.append(errors)
        return options

    monkeypatch.setattr(latency.Latency, "chosen", chosen)
    monkeypatch.setattr(sensitivity.Evaluations, "weighed", weighed)
    tk.convert(wide(64), latency=0.6, evaluate=lambda model: 1.0)
    assert scored
    for errors in scored:
        assert errors == sorted(errors, reverse=True)


def test_options_of_every_kind_are_timed():
    kinds = [
        [
            (1.0 / rank, (format(rank).bind((64,), (64,)),))
            for rank in range(1, 31)
        ]
        for format in (LOW, tk.formats.TensorTrain)
    ]
    few = latency._few([*kinds[0], *kinds[1]])
    for own in kinds:
        taken = [each for each in few if each in own]
        assert len(taken) == latency.OPTIONS // 2
        assert {own[0][0], own[-1][0]} <= {loss for loss, _ in taken}
    assert latency._few(kinds[0][:5]) == kinds[0][:5]


def test_the_whole_is_measured_and_the_report_says_it(monkeypatch):
    """What is timed is the source beside a frozen model of those formats."""
    timed, frozen_from = [], []
    freeze = latency.deployment.freeze

    def compare(models, **kwargs):
        timed.append((models, profiling.compare(models, **kwargs)))
        return timed[-1][1]

    def freezing(model, batch):
        frozen_from.append((model, batch, freeze(model, batch)))
        return frozen_from[-1][-1]

    monkeypatch.setattr(latency, "compare", compare)
    monkeypatch.setattr(latency.deployment, "freeze", freezing)
    model = wide()
    small, report = tk.convert(model, LOW(), latency=0.6)
    assert 0 < report.latency <= 0.6
    assert report.replaced
    assert report.to_dict()["latency"] == report.latency
    shares = []
    for _, found in timed:
        original, frozen = found.versions
        shares.append(frozen.seconds / original.seconds)
    place = shares.index(report.latency)
    models, _ = timed[place]
    assert models["original"] is model
    made, batch, result = frozen_from[place]
    assert models["frozen"] is result
    assert batch == 1
    # How cores are merged and padded depends on the machine's mood.
    assert made.count_params() == small.count_params() < model.count_params()
    for theirs, ours in zip(made.layers, small.layers, strict=True):
        assert getattr(theirs, "format", 0) == getattr(ours, "format", 0)


def test_a_budget_that_was_missed_is_corrected(monkeypatch):
    clock(monkeypatch, [0.5])
    _, first = tk.convert(wide(1024), LOW(), latency=0.8)
    clock(monkeypatch, [0.95, 0.7])
    _, second = tk.convert(wide(1024), LOW(), latency=0.8)
    assert second.latency == 0.7
    assert second.params_after < first.params_after


def test_a_budget_that_was_more_than_met_is_loosened(monkeypatch):
    clock(monkeypatch, [0.4, 0.6, 0.75])
    _, first = tk.convert(wide(1024), LOW(), latency=0.8)
    assert first.latency == 0.75
    # What is too slow is not taken, and what was met is not given back.
    clock(monkeypatch, [0.4, 0.9])
    _, second = tk.convert(wide(1024), LOW(), latency=0.8)
    assert second.latency == 0.4
    assert second.params_after < first.params_after


def test_what_nothing_reaches_names_the_least(monkeypatch):
    model = wide(1024)
    before = values_of(model)
    clock(monkeypatch, [0.9, 0.8, 0.7, 0.6, 0.5, 0.42])
    with pytest.raises(ValueError, match=r"at least 0\.\d+, the least that"):
        tk.convert(model, LOW(), latency=0.01)
    assert_same_values(before, values_of(model))


def test_open_sizes_are_timed_on_a_sample():
    inputs = keras.Input((None, 256))
    outputs = layers.Dense(1024)(layers.Dense(1024)(inputs))
    model = randomized(keras.Model(inputs, outputs))
    sample = numbers(1, 16, 256)
    _, report = tk.convert(model, LOW(), latency=0.9, sample=sample)
    assert report.latency <= 0.9
    with pytest.raises(ValueError, match="Pass sample="):
        tk.convert(model, LOW(), latency=0.9)


def test_targets_exclude_each_other():
    with pytest.raises(ValueError, match="ratio=0.5, latency=0.5"):
        tk.convert(wide(), LOW(), ratio=0.5, latency=0.5)
