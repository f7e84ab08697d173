import os
from importlib import util

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.deployment import ExportError, ExportReport
from tensornet_keras.deployment.export import FORMATS

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)

EVERY_FORMAT = pytest.mark.parametrize("format", sorted(FORMATS))


@pytest.fixture
def model():
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, activation="relu")]
    )


def place(folder, format):
    return os.path.join(folder, "model" + FORMATS[format].suffix)


def export(model, folder, format, **kwargs):
    return tk.export(model, place(folder, format), format=format, **kwargs)


@EVERY_FORMAT
def test_an_export_agrees_with_the_model_and_says_so(model, tmp_path, format):
    report = export(model, tmp_path, format)
    assert isinstance(report, ExportReport)
    assert report.max_difference <= 1e-5
    assert os.listdir(tmp_path) == [os.path.basename(report.path)]
    assert report.bytes > 4 * model.count_params()
    assert report.to_dict()["format"] == format
    assert report.path in str(report)


@EVERY_FORMAT
def test_tensor_train_layers_export(tmp_path, format):
    model = keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            tk.layers.TTConv2D(8, 3, rank=3, padding="same", strides=2),
            layers.BatchNormalization(),
            layers.Flatten(),
            tk.layers.TTDense(16, rank=2, activation="relu"),
            tk.layers.FactorizedDense(5, tk.formats.TensorTrain(rank=0.5)),
        ]
    )
    assert export(model, tmp_path, format).max_difference <= 1e-5


@EVERY_FORMAT
def test_a_train_of_six_cores_exports(tmp_path, format):
    modes = (2, 2, 2, 2, 2, 2)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            tk.layers.TTDense(
                64, rank=3, input_modes=modes, output_modes=modes
            ),
        ]
    )
    report = export(model, tmp_path, format)
    assert report.max_difference <= 1e-5
    if format == "onnx":
        assert 0 < largest_transpose(report.path) <= 6


def largest_transpose(path):
    import onnx

    return max(
        (
            len(attribute.ints)
            for node in onnx.load(path).graph.node
            if node.op_type == "Transpose"
            for attribute in node.attribute
            if attribute.name == "perm"
        ),
        default=1,
    )


@EVERY_FORMAT
def test_a_converted_model_exports(tmp_path, format):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3),
            layers.Flatten(),
            layers.Dense(32),
        ]
    )
    small, _ = tk.convert(model, tk.formats.TensorTrain(rank=2))
    assert export(small, tmp_path, format).max_difference <= 1e-5


@EVERY_FORMAT
def test_inputs_and_outputs_keep_their_order(tmp_path, format):
    first = keras.Input((3,), name="z in-put.1")
    second = keras.Input((3,), name="a")
    model = keras.Model(
        [first, second],
        [layers.Subtract()([first, second])]
        + [layers.Rescaling(float(n))(first) for n in range(11)],
    )
    assert export(model, tmp_path, format).max_difference <= 1e-6


@EVERY_FORMAT
def test_dicts_of_inputs_and_outputs_export(tmp_path, format):
    one, two = keras.Input((3,), name="two"), keras.Input((3,), name="one")
    difference = layers.Subtract()([one, two])
    model = keras.Model(
        {"two": one, "one": two}, {"z": difference, "b": layers.ReLU()(one)}
    )
    assert export(model, tmp_path, format).max_difference <= 1e-6


@EVERY_FORMAT
def test_a_subclassed_model_exports(tmp_path, format):
    class Doubling(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2)

        def call(self, inputs):
            return 2 * self.inner(inputs)

    model = Doubling()
    model(np.ones((2, 3), "float32"))
    assert export(model, tmp_path, format).max_difference <= 1e-5


def test_a_fixed_batch_is_the_only_one_tried(tmp_path):
    inputs = keras.Input(batch_shape=(4, 6))
    model = keras.Model(inputs, keras.ops.reshape(inputs, (4, 2, 3)))
    for format in FORMATS:
        assert export(model, tmp_path, format).max_difference == 0


def test_integer_inputs_need_a_sample(tmp_path):
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), layers.Embedding(10, 3)]
    )
    with pytest.raises(ValueError, match="Pass sample="):
        export(model, tmp_path, "onnx")
    sample = np.arange(8).reshape(2, 4)
    for format in FORMATS:
        report = export(model, tmp_path, format, sample=sample)
        assert report.max_difference == 0


def test_an_open_length_needs_a_sample(tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 2)])
    with pytest.raises(ValueError, match="every size but the batch"):
        export(model, tmp_path, "litert")
    sample = np.linspace(0, 1, 42).reshape(2, 7, 3)
    for format in FORMATS:
        report = export(model, tmp_path, format, sample=sample)
        assert report.max_difference <= 1e-5


def test_a_sample_of_another_shape_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match=r"Received: shape \(2, 5\)"):
        export(model, tmp_path, "onnx", sample=np.ones((2, 5)))


@pytest.mark.parametrize("format", ["litert", "onnx"])
def test_a_difference_above_the_tolerance_leaves_nothing(tmp_path, format):
    model = keras.Sequential(
        [
            keras.Input((32,)),
            layers.Dense(64, activation="tanh"),
            layers.Dense(8, activation="softmax"),
        ]
    )
    with pytest.raises(ExportError, match="tolerance=1.0e-15"):
        export(model, tmp_path, format, tolerance=1e-15)
    assert os.listdir(tmp_path) == []


@EVERY_FORMAT
def test_an_output_that_is_nan_leaves_nothing(model, tmp_path, format):
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(ExportError, match="of nan"):
        export(model, tmp_path, format)
    assert os.listdir(tmp_path) == []


@EVERY_FORMAT
def test_an_exporter_that_fails_half_way_leaves_nothing(
    model, tmp_path, format, monkeypatch
):
    def half_way(self, path, **kwargs):
        write_something(path, format)
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "export", half_way)
    with pytest.raises(ExportError, match="No space left"):
        export(model, tmp_path, format)
    assert os.listdir(tmp_path) == []


@EVERY_FORMAT
def test_a_file_that_does_not_load_leaves_nothing(
    model, tmp_path, format, monkeypatch
):
    monkeypatch.setattr(
        keras.Model,
        "export",
        lambda self, path, **kwargs: write_something(path, format),
    )
    with pytest.raises(ExportError, match="must load again"):
        export(model, tmp_path, format)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_export_leaves_nothing(model, tmp_path, monkeypatch):
    def interrupted(self, path, **kwargs):
        write_something(path, "onnx")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "export", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(model, tmp_path, "onnx")
    assert os.listdir(tmp_path) == []


def write_something(path, format):
    if format == "tf_saved_model":
        os.mkdir(path)
        path = os.path.join(path, "saved_model.pb")
    with open(path, "wb") as file:
        file.write(b"half")


def test_operations_that_the_runtime_lacks_are_named(tmp_path):
    model = keras.Sequential([keras.Input((4, 2)), layers.LSTM(3)])
    with pytest.raises(ExportError, match="Flex"):
        export(model, tmp_path, "litert")
    assert os.listdir(tmp_path) == []


@EVERY_FORMAT
def test_a_path_that_exists_is_refused_and_kept(model, tmp_path, format):
    path = place(tmp_path, format)
    with open(path, "w") as file:
        file.write("mine")
    with pytest.raises(ValueError, match="must not exist yet"):
        tk.export(model, path, format=format)
    with open(path) as file:
        assert file.read() == "mine"


def test_a_missing_folder_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="must exist and be writable"):
        tk.export(model, tmp_path / "no" / "model.onnx", format="onnx")


def test_an_unknown_format_is_refused_with_the_known_ones(model, tmp_path):
    with pytest.raises(ValueError, match="'litert', 'onnx', 'tf_saved_model'"):
        tk.export(model, tmp_path / "model", format="tflite")


@pytest.mark.parametrize(
    ("name", "format", "advice"),
    [
        ("model", "litert", "model.tflite"),
        ("model.tflite", "onnx", "model.onnx"),
        ("model.onnx", "tf_saved_model", "format='onnx'"),
    ],
)
def test_an_ending_of_another_format_is_refused(
    model, tmp_path, name, format, advice
):
    with pytest.raises(ValueError, match=advice):
        tk.export(model, tmp_path / name, format=format)


@pytest.mark.parametrize("tolerance", [0, -1e-4, float("nan"), "small"])
def test_a_tolerance_that_is_not_positive_is_refused(
    model, tmp_path, tolerance
):
    with pytest.raises(ValueError, match="`tolerance` must be"):
        tk.export(model, tmp_path / "model", tolerance=tolerance)


def test_a_model_that_is_not_built_is_refused(tmp_path):
    model = keras.Sequential([layers.Dense(3)])
    with pytest.raises(ValueError, match="must be built"):
        tk.export(model, tmp_path / "model")


def test_a_layer_is_no_model(tmp_path):
    with pytest.raises(TypeError, match="must be a Keras model"):
        tk.export(layers.Dense(3), tmp_path / "model")


@pytest.mark.parametrize(
    ("format", "package"),
    [("litert", "ai_edge_litert"), ("onnx", "tf2onnx")],
)
def test_a_missing_package_is_named_with_its_install_line(
    model, tmp_path, format, package, monkeypatch
):
    find_spec = util.find_spec
    monkeypatch.setattr(
        util,
        "find_spec",
        lambda name: None if name == package else find_spec(name),
    )
    with pytest.raises(ImportError, match=rf"{package}.*\[{format}\]"):
        export(model, tmp_path, format)


def test_other_backends_are_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "name", lambda: "jax")
    with pytest.raises(ExportError, match="KERAS_BACKEND='jax'"):
        export(model, tmp_path, "onnx")


def test_an_exact_gelu_exports_to_onnx(tmp_path):
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, activation="gelu")]
    )
    assert export(model, tmp_path, "onnx").max_difference <= 1e-5
