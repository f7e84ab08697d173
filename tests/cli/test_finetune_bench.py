"""The commands `finetune` and `bench`, and the page of `convert`."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.cli.commands import run
from tests.small_models import numbers, values_of


@pytest.fixture
def models(folder):
    model = keras.Sequential(
        [
            keras.Input((32,)),
            layers.Dense(24, activation="relu", name="wide"),
            layers.Dense(3, name="head"),
        ],
        name="net",
    )
    small, _ = tk.convert(model, tk.formats.LowRank(rank=4), filters="wide")
    model.save("big.keras")
    small.save("small.keras")
    np.savez("data.npz", x=numbers(64, 32), y=numbers(64, 3))
    np.save("x.npy", numbers(64, 32))
    return model, small


def code_of(*words):
    """The exit code, of a wrong usage too."""
    try:
        return run(*words)
    except SystemExit as error:
        return error.code


def test_tuned_towards_the_original_by_blocks_and_as_a_whole(models, folder):
    words = ["finetune", "small.keras", "out.keras", "--data", "x.npy"]
    words += ["--teacher", "big.keras", "--block-epochs", 2, "--epochs", 1]
    words += ["--checkpoint", "state", "--report", "r.json"]
    assert run(*words, "--learning-rate", 0.01) == 0
    rows = json.loads((folder / "r.json").read_text())["epochs"]
    assert [row["stage"][:5] for row in rows] == ["block", "block", "end t"]
    tuned = keras.saving.load_model("out.keras")
    _, small = models
    assert tuned.count_params() == small.count_params()
    changed = zip(values_of(tuned), values_of(small), strict=True)
    assert any(not np.array_equal(*pair) for pair in changed)
    assert (folder / "state" / "state.npz").exists()


def test_tuned_with_labels(models):
    words = ["finetune", "small.keras", "out.keras", "--data", "data.npz"]
    assert run(*words, "--loss", "mse", "--optimizer", "sgd") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "none.npy"], "--data must be a file"),
        (["--data", "x.npy"], "needs labels or a teacher"),
        (["--data", "x.npy", "--epochs", 0], "must be at least 1"),
        (["--data", "data.npz"], "needs a loss for the labels"),
    ],
)
def test_what_cannot_be_trained_is_said(models, folder, words, message, capsys):
    assert code_of("finetune", "small.keras", "out.keras", *words) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (folder / "out.keras").exists()


def test_models_are_timed_by_turns(models, folder, capsys):
    words = ["big.keras", "small.keras", "--batch-size", 2, "--json", "b.json"]
    assert run("bench", *words) == 0
    assert "small.keras" in capsys.readouterr().out
    found = json.loads((folder / "b.json").read_text())
    assert found["batch_size"] == 2
    assert [x["name"] for x in found["versions"]] == words[:2]


def test_a_budget_of_time(models, folder, monkeypatch, capsys):
    from tensornet_keras.conversion import latency

    wanted = []

    def chosen(self, layers, options, share):
        wanted.append(share)
        return [own[0][1] for own in options], 0.6

    monkeypatch.setattr(latency.Latency, "chosen", chosen)
    words = ["convert", "big.keras", "out.keras", "--latency", 0.7]
    assert run(*words, "--report", "r.json") == 0
    assert wanted == [0.7]
    assert json.loads((folder / "r.json").read_text())["latency"] == 0.6
    assert "Frozen: 0.60 of the original's time" in capsys.readouterr().out


def test_a_page_in_place_of_json(models, folder):
    words = ["convert", "big.keras", "out.keras", "--ratio", 0.8]
    assert run(*words, "--report", "page.html") == 0
    page = (folder / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    for name in ("Side by side", "original", "converted"):
        assert name in page


@pytest.mark.parametrize(
    "words",
    [["freeze", "--no-measure"], ["finetune", "--data", "x.npy"]],
    ids=["freeze", "finetune"],
)
def test_a_page_of_what_has_none_is_refused_at_once(
    words, models, folder, capsys, monkeypatch
):
    monkeypatch.setattr("tensornet_keras.cli.commands.loaded", None)
    verb, *rest = words
    words = [verb, "small.keras", "out.keras", "--report", "page.html", *rest]
    assert code_of(*words) == 2
    assert "--report must not end in .html" in capsys.readouterr().err
    assert not (folder / "out.keras").exists()


def test_a_page_that_fails_does_not_take_the_model_with_it(
    models, folder, monkeypatch, capsys
):
    def fails(*_, **__):
        raise ValueError("no page today")

    monkeypatch.setattr(tk.conversion.Report, "to_html", fails)
    words = ["convert", "big.keras", "out.keras", "--ratio", 0.8]
    assert code_of(*words, "--report", "page.html") != 0
    assert "no page today" in capsys.readouterr().err
    assert keras.saving.load_model("out.keras").count_params()
    assert not (folder / "page.html").exists()


def test_a_sample_to_time_open_sizes_on(folder, monkeypatch):
    from tensornet_keras.conversion import latency

    timed = []

    def chosen(self, layers, options, share):
        timed.append(self._inputs.shape)
        return [own[0][1] for own in options], 0.6

    monkeypatch.setattr(latency.Latency, "chosen", chosen)
    inputs = keras.Input((None, 32))
    keras.Model(inputs, layers.Dense(24)(inputs)).save("open.keras")
    np.save("sample.npy", numbers(2, 7, 32))
    words = ["convert", "open.keras", "out.keras", "--latency", 0.7]
    assert run(*words, "--sample", "sample.npy") == 0
    assert timed == [(2, 7, 32)]
