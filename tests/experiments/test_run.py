"""The runner and its configs: each runs, and says what it is."""

import re
from pathlib import Path

import pytest

from experiments import record, run

FIELDS = ("Paper:", "Run:", "Time:", "Got:")
# Configs that look at data; the others count.
ON_DATA = [name for name in run.names() if run.config(name).DATA]


def lines_of(name):
    return Path(run.config(name).__file__).read_text().splitlines()


@pytest.mark.parametrize("name", ON_DATA)
def test_every_config_runs_in_seconds(name, data, tmp_path):
    result, path = run.run(name, smoke=True, output=tmp_path)
    assert record.load(path)["experiment"] == name
    assert result["seeds"] == [0]
    assert "the first 128 and 100" in result["data"]["source"]
    assert 0 <= result["summary"]["accuracy"]["mean"] <= 1
    assert all(one["met"] is None for one in result["targets"].values())


def test_a_config_on_text_runs_without_any(no_data, tmp_path):
    result, _ = run.run("minilm_sst2", smoke=True, output=tmp_path)
    assert result["data"]["source"].startswith("weights/minilm_l6_f16.npz, ")
    assert result["data"]["source"].endswith("sst2_dev.tsv made up")
    assert not result["data"]["complete"]
    for way in ("weights alone", "calibrated", "tuned"):
        assert 0 <= result["summary"][f"accuracy, {way}, at 0.5"]["mean"] <= 1
        assert -1 <= result["summary"][f"cosine, {way}, at 0.5"]["mean"] <= 1


@pytest.mark.parametrize("name", run.names())
def test_every_config_says_what_it_is(name):
    text = run.config(name).__doc__
    assert text.splitlines()[0].endswith("?")
    starts = [text.find(f"\n{field} ") for field in FIELDS]
    assert -1 not in starts
    assert starts == sorted(starts)
    command = re.search(r"^Run: (.*)$", text, re.M).group(1)
    assert command == f"python -m experiments.run {name}"
    assert re.search(r"^Paper: [\s\S]*\d", text, re.M)


@pytest.mark.parametrize("name", run.names())
def test_every_config_is_short(name):
    assert len(lines_of(name)) <= 80


@pytest.mark.parametrize("name", ON_DATA)
def test_every_config_states_the_number_in_its_result(name):
    got = run.config(name).__doc__.split("\nGot: ")[1]
    path = record.RESULTS / f"{name}.json"
    if not path.exists():
        assert got.startswith("not yet run in full")
        return
    result = record.load(path)
    assert not result["smoke"]
    assert result["data"]["complete"]
    assert f"{result['summary']['accuracy']['mean']:.2%}" == (
        re.match(r"(\S+) %", got).group(1) + "%"
    )
    assert result["settings"] == run.config(name).SETTINGS


def test_seeds_give_a_mean_and_a_spread(data, tmp_path):
    result, _ = run.run(
        "t3f_mnist_scratch", smoke=True, seeds=[1, 2], output=tmp_path
    )
    accuracies = [one["metrics"]["accuracy"] for one in result["runs"]]
    summary = result["summary"]["accuracy"]
    assert [one["seed"] for one in result["runs"]] == [1, 2]
    assert summary["mean"] == pytest.approx(sum(accuracies) / 2)
    assert summary["std"] == pytest.approx(
        abs(accuracies[0] - accuracies[1]) / 2**0.5
    )


def test_targets_are_judged_on_whole_data_only():
    summary = {"accuracy": {"mean": 0.97, "std": 0.0}}
    for least, complete, met in (
        (0.96, True, True),
        (0.98, True, False),
        (0.96, False, None),
    ):
        judged = run.judged({"accuracy": least}, summary, complete)
        assert judged == {"accuracy": {"at_least": least, "met": met}}


def test_the_command_prints_the_source_and_the_result(data, tmp_path, capsys):
    arguments = ["t3f_mnist_scratch", "--smoke", "--output", str(tmp_path)]
    assert run.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "mnist.npz in the data folder" in printed
    assert "t3f_mnist_scratch.json" in printed
    assert "7,985" in printed


def test_the_list_names_every_config(capsys):
    assert run.main(["--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in run.names())


def test_missing_data_is_one_line(no_data, monkeypatch, capsys):
    def nowhere(name, smoke):
        raise FileNotFoundError(f"no {name}")

    monkeypatch.setattr(run, "load", nowhere)
    assert run.main(["garipov_conv"]) == 1
    assert capsys.readouterr().err == "error: no cifar10\n"


def test_a_command_without_a_config_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        run.main([])
    assert "--list" in capsys.readouterr().err
