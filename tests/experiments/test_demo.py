"""The demo: a small run leaves everything, and only where it may."""

import json

import keras
import matplotlib.image
import pytest

from experiments import artefacts, demo, demo_output, record
from experiments.datasets.sources import FOLDER_VARIABLE

MODELS = {"lenet5.keras", "lenet5_tt.keras"} | {
    name for name, _ in artefacts.EXPORTS
}


@pytest.fixture(scope="module")
def output(filled_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo_output"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(filled_folder))
        assert demo.main(["--smoke", "--output", str(folder)]) == 0
    return folder


def test_it_leaves_every_file_and_nothing_else(output):
    found = {path.name for path in output.iterdir()}
    assert found == MODELS | {"picture.png", "report.json"}
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_the_report_has_every_figure(output):
    report = record.load(output / "report.json")
    dense, tuned = (report["models"][name] for name in ("dense", "tuned"))
    assert dense["parameters"] == 431_080
    assert dense["parameters"] >= 15 * tuned["parameters"]
    assert list(report["timing"]) == ["1", "256"]
    assert {row["file"] for row in report["artefacts"]} == MODELS
    assert all(
        row["max_difference"] <= artefacts.TOLERANCE
        for row in report["artefacts"]
    )
    assert list(report["spectra"]) == ["conv2", "fc1"]
    assert "mnist.npz in the data folder" in report["data"]["source"]


def test_without_the_whole_of_mnist_only_the_size_is_judged(output):
    targets = record.load(output / "report.json")["targets"]
    assert [row["met"] for row in targets] == [True, None, None, None]


def test_the_picture_is_a_picture(output):
    pixels = matplotlib.image.imread(output / "picture.png")
    assert pixels.shape[0] > 500
    assert pixels[..., :3].std() > 0.05


def test_the_saved_model_is_small_and_loads(output):
    loaded = keras.saving.load_model(output / "lenet5_tt.keras")
    assert loaded.output_shape == (None, 10)
    sizes = [
        (output / name).stat().st_size
        for name in ("lenet5.keras", "lenet5_tt.keras")
    ]
    assert sizes[0] > 8 * sizes[1]


def test_an_earlier_demo_is_replaced(tmp_path):
    target = tmp_path / "out"
    target.mkdir()
    report = {"made_by": demo_output.MADE_BY}
    (target / "report.json").write_text(json.dumps(report))
    (target / "old").touch()
    with demo_output.fresh_folder(target) as folder:
        (folder / "new").touch()
        assert (target / "old").exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_demo_leaves_the_earlier_one(tmp_path):
    target = tmp_path / "out"
    with demo_output.fresh_folder(target) as folder:
        record.save({"made_by": demo_output.MADE_BY}, folder / "report.json")
    failed = pytest.raises(FileNotFoundError)
    with failed, demo_output.fresh_folder(target) as folder:
        (folder / "missing" / "half").touch()
    assert [path.name for path in target.iterdir()] == ["report.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"made_by": "me"}'])
def test_a_folder_that_is_not_a_demos_is_left_alone(tmp_path, content, capsys):
    (tmp_path / "report.json").write_text(content)
    assert demo.main(["--smoke", "--output", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: The output must be a new folder")
    assert error.count("\n") == 1
    assert (tmp_path / "report.json").read_text() == content


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path, capsys):
    path = tmp_path / "out"
    path.touch()
    assert demo.main(["--output", str(path)]) == 1
    assert "Received: --output" in capsys.readouterr().err


def test_missing_packages_are_named_before_the_training(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert demo.main(["--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "onnxruntime" in error
    assert "pip install 'tensornet-keras[demo,litert,onnx]'" in error


def test_a_saved_model_that_changes_is_refused(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    monkeypatch.setattr(keras.saving, "load_model", lambda path: other)
    sample = keras.ops.convert_to_numpy(keras.random.normal((4, 3), seed=0))
    with pytest.raises(RuntimeError, match=r"must load as it was.*m\.keras"):
        artefacts.saved(model, tmp_path / "m.keras", sample)
