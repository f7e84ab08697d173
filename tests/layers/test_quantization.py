"""Cores in eight bits."""

import os

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.layers.quantization import quantized
from tests.laws.tracing import traced
from tests.layer_variants import data_for_every_variant, every_variant
from tests.small_models import (
    arrays,
    assert_same_outputs,
    numbers,
    randomized,
)

FORMATS = {
    "low_rank": tk.formats.LowRank(rank=16),
    "tt": tk.formats.TensorTrain(rank=16),
    "tucker": tk.formats.Tucker(rank=24),
    "kronecker": tk.formats.Kronecker(rank=8),
}


def model_of(format, width=256):
    model = keras.Sequential(
        [
            keras.Input((width,)),
            layers.Dense(width, activation="relu", name="wide"),
            layers.Dense(10, name="head"),
        ]
    )
    small, _ = tk.convert(
        randomized(model), format, filters="wide", min_compression=0
    )
    return small


@pytest.fixture(params=FORMATS)
def small(request):
    return model_of(FORMATS[request.param])


def relative(found, expected):
    (found,), (expected,) = arrays(found), arrays(expected)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def quantized_copy(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.quantize("int8", filters="wide")
    return copy


def test_outputs_change_by_the_rounding_of_the_cores(small):
    x = numbers(16, 256)
    eight = quantized_copy(small)
    assert 0 < relative(eight(x), small(x)) < 0.05
    layer = eight.layers[0]
    assert layer.quantization_mode == "int8"
    types = {
        keras.backend.standardize_dtype(core.dtype)
        for core in layer.core_variables
    }
    assert types == {"int8"}
    assert [x.name for x in layer.trainable_variables] == ["bias"]
    rounded = relative(layer.kernel, small.layers[0].kernel)
    assert rounded < 0.05


def test_an_entry_is_off_by_half_a_step_at_most():
    core = numbers(5, 40, 3)
    integers, scale = quantized(core)
    assert integers.dtype == np.int8
    assert scale.shape == (1, 40, 1)
    assert (np.abs(integers * scale - core) <= 0.5001 * scale).all()
    assert np.abs(integers).max(axis=(0, 2)).min() == 127
    zeros, scale = quantized(np.zeros((2, 3)))
    assert not zeros.any()
    assert np.isfinite(scale).all()


def test_a_file_is_smaller_and_loads_the_same(small, tmp_path):
    x = numbers(4, 256)
    eight = quantized_copy(small)
    sizes = []
    for name, model in (("float", small), ("eight", eight)):
        model.save(tmp_path / f"{name}.keras")
        sizes.append(os.path.getsize(tmp_path / f"{name}.keras"))
    cores = small.layers[0].format.num_params
    assert sizes[1] < sizes[0] - 2 * cores
    loaded = keras.saving.load_model(tmp_path / "eight.keras")
    assert_same_outputs(eight(x), loaded(x), tolerance=1e-6)


def test_every_kind_of_layer_is_reached():
    source = every_variant()
    small, report = tk.convert(
        source, tk.formats.LowRank(rank=4), min_compression=0
    )
    data = data_for_every_variant()
    before = traced(small, data)
    small.quantize("int8", filters=lambda x: hasattr(x, "core_variables"))
    reached = [
        layer
        for layer in small._flatten_layers()
        if getattr(layer, "quantization_mode", None) == "int8"
        and hasattr(layer, "core_variables")
    ]
    assert len(reached) == len(report.replaced)
    after = keras.tree.flatten(traced(small, data))
    for one, two in zip(keras.tree.flatten(before), after, strict=True):
        assert relative(two, one) < 0.05


def test_dense_again_copied_frozen_and_pruned(small):
    x = numbers(4, 256)
    eight = quantized_copy(small)
    dense = tk.densify(eight)
    assert dense.layers[0].dtype_policy.name == "float32"
    assert_same_outputs(eight(x), dense(x))
    frozen, report = tk.freeze(eight, 1, measure=False, return_report=True)
    assert "quantized" in report.rows[0].became
    assert_same_outputs(eight(x), frozen(x))
    _, report = tk.prune(eight)
    assert report.rows[0].reason == "quantized"


def test_it_can_be_trained_around():
    model = quantized_copy(model_of(FORMATS["low_rank"]))
    model.compile("sgd", "mse")
    before = [np.array(x) for x in model.layers[0].core_variables]
    model.fit(numbers(8, 256), numbers(8, 10), verbose=0)
    for one, two in zip(before, model.layers[0].core_variables, strict=True):
        np.testing.assert_array_equal(one, np.array(two))


def test_other_modes_leave_it_alone(small):
    with pytest.warns(UserWarning, match="quantized to int8"):
        small.quantize("int4", filters="wide")
    assert small.layers[0].quantization_mode is None


def test_twice_is_refused(small):
    eight = quantized_copy(small)
    with pytest.raises(ValueError, match="already quantized"):
        eight.layers[0].quantize("int8")
