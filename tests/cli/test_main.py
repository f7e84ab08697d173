import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.cli import commands
from tests.cli.commands import run


def files(folder):
    return sorted(os.listdir(folder))


def test_inspect_shows_costs_and_what_can_be_converted(model, capsys):
    assert run("inspect", "in.keras", "--batch-size", 2) == 0
    out = capsys.readouterr().out
    assert "wide" in out
    assert f"{model.count_params():,}" in out
    assert "can be converted: conv, wide, head" in out


def test_inspect_writes_json(model, folder):
    assert run("inspect", "in.keras", "--json", "costs.json") == 0
    data = json.loads((folder / "costs.json").read_text())
    assert data["params"] == model.count_params()
    assert data["convertible"] == ["conv", "wide", "head"]


def test_convert_writes_a_smaller_model_and_a_report(model, folder, capsys):
    words = ["convert", "in.keras", "out.keras", "--format", "tt"]
    code = run(*words, "--rank", 4, "--report", "report.json")
    assert code == 0
    assert files(folder) == ["in.keras", "out.keras", "report.json"]
    small = keras.models.load_model("out.keras")
    report = json.loads((folder / "report.json").read_text())
    assert small.count_params() == report["params_after"]
    assert small.count_params() < model.count_params()
    assert small.optimizer.name == "sgd"
    assert "whole model" in capsys.readouterr().out


def test_convert_to_an_error_filters_and_compression(model, folder):
    words = ["convert", "in.keras", "out.keras", "--format", "tt"]
    code = run(
        *words,
        *("--error", 0.9, "--filters", "wide$", "head"),
        *("--min-compression", 2),
    )
    assert code == 0
    small = keras.models.load_model("out.keras")
    kinds = [type(layer).__name__ for layer in small.layers]
    assert kinds[0] == "Conv2D"
    assert kinds[2] == "FactorizedDense"


def test_freeze_writes_a_model_for_inference(model, folder, capsys):
    words = ["convert", "in.keras", "small.keras", "--format", "tt"]
    assert run(*words, "--rank", 4) == 0
    words = ["freeze", "small.keras", "fast.keras", "--no-measure"]
    code = run(
        *words,
        *("--batch-size", 1, "--objective", "memory"),
        *("--report", "report.json"),
    )
    assert code == 0
    frozen = keras.models.load_model("fast.keras")
    report = json.loads((folder / "report.json").read_text())
    assert report["objective"] == "memory"
    assert frozen.count_params() == report["params_after"]
    assert not frozen.trainable_variables
    out = capsys.readouterr().out
    assert "frozen for memory, batch 1" in out
    assert "fast.keras: " in out


def test_freeze_refuses_what_it_could_not_write(model, capsys):
    with pytest.raises(SystemExit) as stop:
        run("freeze", "in.keras", "out.h5")
    assert stop.value.code == 2
    assert "out must end in .keras" in capsys.readouterr().err
    assert run("freeze", "in.keras", "in.keras") == 1
    assert "must not exist yet" in capsys.readouterr().err


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)
@pytest.mark.parametrize(
    ("format", "name"),
    [("tf_saved_model", "saved"), ("litert", "m.tflite"), ("onnx", "m.onnx")],
)
def test_export_writes_every_format(model, folder, capsys, format, name):
    assert run("export", "in.keras", name, "--format", format) == 0
    assert files(folder) == sorted(["in.keras", name])
    assert f"{name}: {format}" in capsys.readouterr().out


def test_a_converted_file_exports(model, folder):
    words = ["convert", "in.keras", "out.keras", "--format", "tt"]
    assert run(*words, "--rank", 2) == 0
    words = ["export", "out.keras", "m.tflite", "--format", "litert"]
    assert run(*words) == 0
    words[2] = "half.tflite"
    assert run(*words, "--quantize", "float16") == 0
    assert os.path.getsize(words[2]) < os.path.getsize("m.tflite")
    assert "m.tflite" in files(folder)


def test_a_sample_file_stands_for_integer_inputs(folder, capsys):
    model = keras.Sequential(
        [keras.Input((4,), dtype="int32"), layers.Embedding(10, 3)]
    )
    model.save("in.keras")
    words = ["export", "in.keras", "m.onnx", "--format", "onnx"]
    assert run(*words) == 1
    assert "Pass sample=" in capsys.readouterr().err
    np.save("x.npy", np.arange(8).reshape(2, 4))
    assert run(*words, "--sample", "x.npy") == 0


def test_a_sample_file_holds_several_inputs(folder):
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
    total = layers.Add()([one, two])
    keras.Model([one, two], total).save("list.keras")
    keras.Model({"one": one, "two": two}, total).save("dict.keras")
    np.savez("x.npz", one=np.ones((2, 3)), two=np.zeros((2, 3)))
    for name in ("list.keras", "dict.keras"):
        assert run("inspect", name, "--sample", "x.npz") == 0


def test_a_subclassed_model_is_inspected(folder, capsys):
    @keras.saving.register_keras_serializable("tests")
    class Doubled(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = layers.Dense(3, name="inner")

        def build(self, input_shape):
            self.inner.build(input_shape)

        def call(self, inputs):
            return 2 * self.inner(inputs)

    doubled = Doubled()
    doubled(np.ones((2, 4), "float32"))
    doubled.save("in.keras")
    assert run("inspect", "in.keras") == 0
    assert "can be converted: doubled/inner" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["inspect", "none.keras"], "where there is none"),
        (["inspect", "broken.keras"], "broken.keras"),
        (["inspect", "in.keras", "--json", "no/x.json"], "json='no/x.json'"),
        (
            [
                *("convert", "in.keras", "in.keras"),
                *("--format", "tt", "--rank", "4"),
            ],
            "must not exist yet",
        ),
        (
            [
                *("convert", "in.keras", "out.keras", "--format", "tt"),
                *("--rank", "4", "--filters", "nothing"),
            ],
            "must match at least one layer",
        ),
        (
            ["export", "in.keras", "model", "--format", "onnx"],
            "must end in '.onnx'",
        ),
        (
            [
                *("export", "in.keras", "m.tflite", "--format", "litert"),
                *("--tolerance", "1e-30"),
            ],
            "must agree with the model",
        ),
    ],
)
def test_a_failure_is_one_line_and_leaves_nothing(
    model, folder, capsys, words, message
):
    (folder / "broken.keras").write_text("no model")
    before = files(folder)
    assert run(*words) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("tensornet: error: ")
    assert err.count("\n") == 1
    assert files(folder) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "tt", "--rank", "4", "--nothing"], "unrecognized"),
        (["--format", "xyz", "--rank", "4"], "--format must with --rank"),
        (["--format", "einsum", "--rank", "4"], "--format must with --rank"),
        (["--format", "low_rank", "--rate", "0.1"], "must with --rate be"),
    ],
)
def test_a_usage_error_exits_with_two(model, capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        run("convert", "in.keras", "out.keras", *words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_an_output_that_is_no_keras_file_is_a_usage_error(model, capsys):
    with pytest.raises(SystemExit) as stop:
        run("convert", "in.keras", "out.h5", "--format", "tt", "--rank", 4)
    assert stop.value.code == 2
    assert "must end in .keras" in capsys.readouterr().err


def test_overwrite_replaces_the_output(model, folder):
    (folder / "out.keras").write_text("old")
    words = ["convert", "in.keras", "out.keras", "--format", "tt"]
    assert run(*words, "--rank", 2) == 1
    assert (folder / "out.keras").read_text() == "old"
    assert run(*words, "--rank", 2, "--overwrite") == 0
    keras.models.load_model("out.keras")


def test_a_save_that_fails_leaves_nothing(model, folder, monkeypatch, capsys):
    def half_way(self, path, *args, **kwargs):
        with open(path, "w") as file:
            file.write("half")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", half_way)
    words = ["convert", "in.keras", "out.keras", "--format", "tt"]
    assert run(*words, "--rank", 2, "--report", "report.json") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert files(folder) == ["in.keras"]


def test_an_interrupt_exits_with_130_and_one_line(model, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.models, "load_model", interrupted)
    assert run("inspect", "in.keras") == 130
    assert capsys.readouterr().err == "tensornet: interrupted\n"


def test_a_traceback_is_there_for_the_asking(folder):
    with pytest.raises(ValueError, match="where there is none"):
        run("--traceback", "inspect", "none.keras")


def test_the_demo_gets_its_arguments(folder, monkeypatch):
    seen = []

    class Demo:
        @staticmethod
        def main(argv):
            seen.extend(argv)
            return 3

    monkeypatch.setattr(commands, "import_module", lambda name: Demo)
    assert run("demo", "--smoke", "out", "--help") == 3
    assert seen == ["--smoke", "out", "--help"]


def test_a_demo_that_is_not_there_is_an_error(monkeypatch, capsys):
    def missing(name):
        raise ModuleNotFoundError(name=name.partition(".")[0])

    monkeypatch.setattr(commands, "import_module", missing)
    assert run("demo") == 1
    assert "comes with the experiments" in capsys.readouterr().err


def test_a_package_that_the_demo_needs_is_named(monkeypatch, capsys):
    def missing(name):
        raise ModuleNotFoundError(
            "No module named 'matplotlib'", name="matplotlib"
        )

    monkeypatch.setattr(commands, "import_module", missing)
    assert run("demo") == 1
    assert "matplotlib" in capsys.readouterr().err


def in_a_process(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tensornet_keras", *words],
        capture_output=True,
        text=True,
        env={
            name: value
            for name, value in os.environ.items()
            if name != "TF_CPP_MIN_LOG_LEVEL"
        }
        | environment,
    )


def test_the_version_is_that_of_the_package():
    done = in_a_process("--version")
    assert done.stdout == f"tensornet {tk.__version__}\n"


def test_a_user_sees_no_word_of_the_backend(model):
    done = in_a_process("export", "in.keras", "m.tflite", "--format", "litert")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("m.tflite: litert")
    assert done.stdout.count("\n") == 1
