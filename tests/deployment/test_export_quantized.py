"""LiteRT files whose weights are stored in fewer bits."""

import os

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)


@pytest.mark.parametrize(
    ("quantize", "least"), [("dynamic_range", 3), ("float16", 1.8), ("int8", 3)]
)
def test_weights_of_litert_files_in_fewer_bits(tmp_path, quantize, least):
    model = keras.Sequential(
        [
            keras.Input((256,)),
            layers.Dense(256, activation="relu", name="wide"),
            layers.Dense(8),
        ]
    )
    small, _ = tk.convert(model, tk.formats.LowRank(64), filters="wide")
    examples = np.random.default_rng(0).normal(size=(32, 256))
    whole = tk.export(small, tmp_path / "whole.tflite", format="litert")
    data = examples if quantize == "int8" else None
    few = tk.export(
        small,
        tmp_path / "few.tflite",
        format="litert",
        quantize=quantize,
        calibration_data=data,
    )
    assert whole.bytes > least * few.bytes
    assert whole.max_difference < few.max_difference <= few.tolerance


@pytest.mark.parametrize(
    ("format", "told", "message"),
    [
        ("onnx", {"quantize": "int8"}, "Only LiteRT files are quantized"),
        ("litert", {"quantize": "int4"}, "must be one of 'dynamic_range'"),
        ("litert", {"quantize": "int8"}, "needs `calibration_data`.*no data"),
        (
            "litert",
            {"quantize": "float16", "calibration_data": np.ones((2, 6))},
            "other kinds take none.*some data",
        ),
        (
            "litert",
            {"calibration_data": np.ones((2, 6))},
            "Received: calibration_data and quantize=None",
        ),
        (
            "litert",
            {"quantize": "int8", "calibration_data": np.ones((2, 5))},
            "`calibration_data`|`sample`",
        ),
    ],
)
def test_quantization_that_cannot_be_is_refused(
    tmp_path, format, told, message
):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4)])
    path = tmp_path / f"model.{'onnx' if format == 'onnx' else 'tflite'}"
    with pytest.raises(ValueError, match=message):
        tk.export(model, path, format, **told)
    assert os.listdir(tmp_path) == []
