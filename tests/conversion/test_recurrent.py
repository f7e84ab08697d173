"""Conversion of layers with two kernels, and of layers that have no twin."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.laws.oracles import as_numpy, assert_close, random_array
from tests.small_models import randomized

INPUTS = random_array((2, 5, 10))
VARIANTS = {
    "lstm": lambda: layers.LSTM(8, return_sequences=True, dropout=0.2),
    "lstm without bias": lambda: layers.LSTM(8, use_bias=False),
    "gru": lambda: layers.GRU(6, go_backwards=True, activation="relu"),
    "gru before": lambda: layers.GRU(8, reset_after=False),
    "regularized": lambda: layers.LSTM(
        8,
        kernel_regularizer="l2",
        kernel_initializer="ones",
        recurrent_initializer="identity",
        zero_output_for_mask=True,
    ),
}


def model_of(*members):
    return randomized(keras.Sequential([keras.Input((5, 10)), *members]))


@pytest.mark.parametrize("name", VARIANTS)
def test_full_rank_reproduces_the_layer_and_the_way_back(name):
    model = model_of(VARIANTS[name]())
    small, report = tk.convert(
        model, tk.formats.TensorTrain(), error=0, min_compression=0
    )
    source = model.layers[0]
    kind = type(source).__name__
    assert type(small.layers[0]) is getattr(tk.layers, f"Factorized{kind}")
    assert report.rows[0].relative_error < 1e-6
    assert_close(small(INPUTS), model(INPUTS))
    dense = tk.densify(small)
    assert type(dense.layers[0]) is type(source)
    assert_close(dense(INPUTS), model(INPUTS))
    names = ("kernel_initializer", "recurrent_initializer")
    configs = [layer.get_config() for layer in (dense.layers[0], source)]
    for config in configs:
        for name in names:
            config.pop(name)
    assert configs[0] == configs[1]


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_the_error_is_that_of_both_kernels_together(kind):
    model = model_of(kind(16, name="steps"))
    small, report = tk.convert(model, tk.formats.TensorTrain(rank=3))
    ours, theirs = small.layers[0], model.layers[0].cell
    pairs = (
        (ours.kernel, theirs.kernel),
        (ours.recurrent_kernel, theirs.recurrent_kernel),
    )
    missed = np.hypot(
        *(np.linalg.norm(as_numpy(a) - as_numpy(b)) for a, b in pairs)
    )
    whole = np.hypot(*(np.linalg.norm(as_numpy(b)) for _, b in pairs))
    [row] = report.rows
    assert row.relative_error == pytest.approx(missed / whole, rel=1e-4)
    assert row.params_after == small.count_params()
    assert row.params_before == model.count_params()
    formats = (ours.format, ours.recurrent_format)
    assert row.ranks == sum((format.rank for format in formats), ())
    assert row.modes == ", ".join(each.describe_modes() for each in formats)
    assert formats[0].output_dims == (theirs.kernel.shape[1] // 16, 16)
    assert "steps" in str(report)


def test_an_error_is_kept_by_each_kernel():
    layer = model_of(layers.LSTM(8)).layers[0]
    twin = tk.convert_layer(layer, tk.formats.TensorTrain(), error=0.3)
    for ours, theirs in (
        (twin.kernel, layer.cell.kernel),
        (twin.recurrent_kernel, layer.cell.recurrent_kernel),
    ):
        missed = np.linalg.norm(as_numpy(ours) - as_numpy(theirs))
        assert missed <= 0.3 * np.linalg.norm(as_numpy(theirs)) * (1 + 1e-5)


def test_both_kernels_count_for_the_compression():
    model = model_of(layers.LSTM(8))
    _, report = tk.convert(
        model, tk.formats.TensorTrain(rank=2), min_compression=1000
    )
    assert "less than 1000x" in report.rows[0].reason
    _, report = tk.convert(model, tk.formats.TensorTrain(), error=0)
    assert "no gain in parameters" in report.rows[0].reason


def test_what_is_frozen_stays_frozen():
    model = model_of(layers.GRU(8))
    cell = model.layers[0].cell
    cell.kernel.trainable = False
    twin = tk.convert_layer(model.layers[0], tk.formats.TensorTrain(rank=2))
    inner = twin.cell.input_kernel, twin.cell.state_kernel
    assert [[v.trainable for v in k.core_variables] for k in inner] == [
        [False, False],
        [True, True],
    ]
    dense = tk.densify(keras.Sequential([keras.Input((5, 10)), twin]))
    assert not dense.layers[0].cell.kernel.trainable
    assert dense.layers[0].cell.recurrent_kernel.trainable


@pytest.mark.parametrize("side", ["kernel", "recurrent"])
def test_a_constraint_of_either_kernel_is_an_obstacle(side):
    layer = layers.LSTM(8, **{f"{side}_constraint": "max_norm"})
    _, report = tk.convert(model_of(layer), tk.formats.TensorTrain(rank=2))
    assert report.rows[0].reason == f"{side} constraint"


def test_layers_without_a_keras_twin_stay_when_a_model_is_made_dense():
    members = [
        tk.layers.TensorContraction((4, 8)),
        tk.layers.TensorRegression(6, tk.formats.CP(rank=2)),
        tk.layers.TTDense(5, rank=2),
    ]
    model = model_of(*members)
    dense = tk.densify(model)
    assert [type(layer).__name__ for layer in dense.layers] == [
        "TensorContraction",
        "TensorRegression",
        "Dense",
    ]
    assert_close(dense(INPUTS), model(INPUTS))
