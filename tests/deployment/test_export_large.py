"""ONNX files of models whose weights are kept aside on the way."""

import os

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.deployment import ExportError, large_onnx
from tests.laws.oracles import random_array

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)


def model():
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(40),
        ]
    )


def outputs_of(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    (inputs,) = session.get_inputs()
    return session.run(None, {inputs.name: x})[0]


def test_the_file_is_the_one_of_a_small_model(tmp_path, monkeypatch):
    source = model()
    tk.export(source, tmp_path / "small.onnx", format="onnx")
    monkeypatch.setattr(large_onnx, "LARGE", 1)
    report = tk.export(source, tmp_path / "large.onnx", format="onnx")
    sizes = [
        os.path.getsize(tmp_path / f"{n}.onnx") for n in ("small", "large")
    ]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)
    assert report.bytes == sizes[1] > 4 * source.count_params()
    assert sorted(os.listdir(tmp_path)) == ["large.onnx", "small.onnx"]
    x = random_array((5, 6, 6, 3))
    np.testing.assert_allclose(
        outputs_of(tmp_path / "large.onnx", x),
        outputs_of(tmp_path / "small.onnx", x),
        rtol=1e-5,
        atol=1e-6,
    )


def test_what_no_file_can_hold_is_refused(tmp_path, monkeypatch):
    from tf2onnx import convert

    before = convert.from_function
    monkeypatch.setattr(large_onnx, "LARGE", 1)
    monkeypatch.setattr(large_onnx, "MOST_BYTES", 1000)
    with pytest.raises(ExportError, match="less than 2 GiB"):
        tk.export(model(), tmp_path / "large.onnx", format="onnx")
    assert os.listdir(tmp_path) == []
    assert convert.from_function is before


def test_an_exporter_that_fails_leaves_nothing(tmp_path, monkeypatch):
    from tf2onnx import convert

    def failing(*arguments, **named):
        raise ValueError("No such operation.")

    monkeypatch.setattr(convert, "from_function", failing)
    monkeypatch.setattr(large_onnx, "LARGE", 1)
    with pytest.raises(ExportError, match="No such operation"):
        tk.export(model(), tmp_path / "large.onnx", format="onnx")
    assert os.listdir(tmp_path) == []
    assert convert.from_function is failing
