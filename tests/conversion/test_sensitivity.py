"""Budgets by the score of the model, layer by layer."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.conversion.sensitivity import (
    EvaluationError,
    _interpolated,
)
from tests.small_models import (
    assert_same_values,
    numbers,
    randomized,
    values_of,
)

LOW = tk.formats.LowRank


def two():
    model = keras.Sequential(
        [
            keras.Input((24,)),
            layers.Dense(24, name="first"),
            layers.Dense(24, name="second"),
        ]
    )
    return randomized(model)


def score_of(name):
    """A score that sees the kernel of one layer alone."""
    wanted = np.asarray(two().get_layer(name).kernel)

    def evaluate(model):
        kernel = np.asarray(model.get_layer(name).kernel)
        return -float(np.linalg.norm(kernel - wanted))

    return evaluate


@pytest.mark.parametrize("name", ["first", "second"])
def test_a_layer_on_which_no_score_depends_pays_the_budget(name):
    model = two()
    before = values_of(model)
    small, report = tk.convert(model, LOW(), ratio=0.6, evaluate=score_of(name))
    assert_same_values(before, values_of(model))
    (row,) = report.replaced
    assert row.path.split("/")[-1] != name
    assert small.count_params() < model.count_params()


def test_the_table_has_every_evaluation_and_prints():
    scores = []

    def evaluate(model):
        scores.append(score_of("first")(model))
        return scores[-1]

    _, report = tk.convert(two(), LOW(), ratio=0.6, evaluate=evaluate)
    table = report.sensitivity
    assert [table.score, *(row.score for row in table.rows)] == scores
    assert {row.path.split("/")[-1] for row in table.rows} == {
        "first",
        "second",
    }
    assert "Sensitivity" in str(table)
    saved = report.to_dict()["sensitivity"]
    assert len(saved["rows"]) == len(table.rows)


def test_on_examples_the_biases_follow():
    """A bias gives a layer the mean of its source's outputs."""
    x = numbers(64, 24) + 2.0
    model = two()

    def evaluate(each):
        given, missed = x, 0.0
        for name in ("first", "second"):
            own, source = (m.get_layer(name) for m in (each, model))
            found, wanted = (
                keras.ops.convert_to_numpy(layer(given))
                for layer in (own, source)
            )
            np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=1e-3)
            given, missed = wanted, missed + np.square(found - wanted).mean()
        scores.append(-float(missed))
        return scores[-1]

    scores: list[float] = []

    _, report = tk.convert(
        model, LOW(), ratio=0.6, evaluate=evaluate, calibration_data=x
    )
    assert report.replaced
    assert min(scores) < -0.01
    assert all(row.output_error is not None for row in report.replaced)


def test_an_evaluation_that_fails_half_way_keeps_the_table():
    model = two()
    before = values_of(model)
    calls = []

    def evaluate(_):
        calls.append(None)
        if len(calls) == 4:
            raise RuntimeError("the disk is gone")
        return 1.0

    with pytest.raises(EvaluationError, match="the disk is gone") as caught:
        tk.convert(model, LOW(), ratio=0.6, evaluate=evaluate)
    assert len(caught.value.sensitivity.rows) == 2
    assert_same_values(before, values_of(model))


def test_an_evaluation_that_is_stopped_keeps_the_table():
    calls = []

    def evaluate(_):
        calls.append(None)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt) as caught:
        tk.convert(two(), LOW(), ratio=0.6, evaluate=evaluate)
    assert len(caught.value.sensitivity.rows) == 2


def test_the_table_is_on_the_page():
    _, report = tk.convert(two(), LOW(), ratio=0.6, evaluate=score_of("first"))
    text = report.to_html()
    assert text.count("<tr") > 2 * len(report.rows)
    assert "score of the source" in text
    for row in report.sensitivity.rows:
        assert f"{row.score:.4g}" in text
    assert report.share <= 0.6
    assert f"{report.share:.3g} of their parameters" in text


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(EvaluationError, match="finite number") as caught:
        tk.convert(two(), LOW(), ratio=0.6, evaluate=lambda _: np.nan)
    assert caught.value.sensitivity is None


@pytest.mark.parametrize(
    ("kwargs", "error", "words"),
    [
        ({"ratio": 0.5, "evaluate": 0.9}, TypeError, "must be a function"),
        ({"error": 0.5, "evaluate": abs}, ValueError, "Pass ratio="),
    ],
)
def test_what_cannot_be_evaluated_is_refused(kwargs, error, words):
    with pytest.raises(error, match=words):
        tk.convert(two(), LOW(), **kwargs)


def test_losses_between_evaluations_rise_with_the_error():
    options = [(error, (error,)) for error in (1.0, 0.8, 0.5, 0.2, 0.0)]
    found = _interpolated(options, [1.0, 0.5, 0.0], [0.3, 0.4, 0.0])
    losses = [loss for loss, _ in found]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(0.0, abs=1e-6)
    assert losses[0] == pytest.approx(0.35, abs=1e-6)
