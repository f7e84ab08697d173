"""Layers that stay dense behind converted ones are fitted anew."""

import numpy as np
import pytest

import tensornet_keras as tk
from tests.conversion.calibrated import deep, missed
from tests.laws.oracles import as_numpy
from tests.small_models import assert_same_values, numbers, values_of

LOW = tk.formats.LowRank


@pytest.mark.parametrize("bias", [True, False])
def test_a_dense_layer_makes_up_for_those_in_front(bias):
    # At rank 8 the last layer is smaller as it is.
    model, _ = deep("tanh", use_bias=bias)
    x = numbers(256, 24)
    before = values_of(model)
    small, report = tk.convert(model, LOW(rank=8), calibration_data=x)
    assert_same_values(before, values_of(model))
    *_, head = report.rows
    assert head.action == "kept"
    assert head.reason.endswith("; fitted anew")
    assert head.params_after == head.params_before
    fitted = missed(model, small, x)
    # With a bias the report's error is that about the mean.
    wanted = as_numpy(model(x))
    mean = wanted.mean(axis=0) if bias else 0.0
    share = np.linalg.norm(wanted - mean) / np.linalg.norm(wanted)
    assert fitted == pytest.approx(head.output_error * share, rel=0.02)
    small.layers[-1].set_weights(model.layers[-1].get_weights())
    assert fitted < 0.9 * missed(model, small, x)


def test_what_gets_what_it_got_stays_as_it_is():
    model, x = deep()
    formats = {"first": tk.formats.TensorTrain(rank=32), "head": LOW(rank=2)}
    small, report = tk.convert(
        model, lambda layer: formats.get(layer.name), calibration_data=x
    )
    assert [row.action for row in report.rows] == ["kept", "kept", "replaced"]
    assert not any("anew" in row.reason for row in report.rows)
    for theirs, ours in zip(model.layers[:2], small.layers[:2], strict=True):
        assert_same_values(values_of(theirs), values_of(ours))


def test_what_is_frozen_stays_as_it_is():
    model, _ = deep("tanh")
    model.layers[-1].trainable = False
    small, report = tk.convert(
        model, LOW(rank=8), calibration_data=numbers(256, 24)
    )
    *_, head = report.rows
    assert head.action == "kept"
    assert "anew" not in head.reason
    pair = (model.layers[-1], small.layers[-1])
    assert_same_values(*map(values_of, pair))
    assert not small.layers[-1].trainable


def test_few_examples_do_not_change_a_dense_layer():
    model, x = deep()
    small, report = tk.convert(model, LOW(rank=8), calibration_data=x[:120])
    assert report.rows[-1].output_error is None
    head = small.layers[-1]
    assert_same_values(values_of(model.layers[-1]), values_of(head))


def test_what_was_left_out_stays_as_it_is():
    model, x = deep()
    for how in (
        {"overrides": {"head": None}},
        {"filters": "first|second"},
    ):
        small, report = tk.convert(
            model, LOW(rank=8), calibration_data=x, **how
        )
        assert len(report.replaced) == 2
        assert report.rows[-1].output_error is None
        head = small.layers[-1]
        assert_same_values(values_of(model.layers[-1]), values_of(head))
