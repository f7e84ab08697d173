"""Results: written whole, with what a number depends on."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from experiments import record


def test_a_result_reads_back(tmp_path):
    result = {"accuracy": np.float32(0.5), "ranks": (2, 3), "at": Path("here")}
    path = record.save(result, tmp_path / "deep" / "result.json")
    assert record.load(path) == {
        "accuracy": 0.5,
        "ranks": [2, 3],
        "at": "here",
    }
    assert path.stat().st_mode & 0o044
    assert os.listdir(path.parent) == ["result.json"]


def test_a_result_that_cannot_be_written_leaves_the_old_one(
    tmp_path, monkeypatch
):
    path = record.save({"accuracy": 0.5}, tmp_path / "result.json")
    monkeypatch.setattr(json, "dumps", lambda *_, **__: "\ud800")
    with pytest.raises(UnicodeEncodeError):
        record.save({"accuracy": 0.6}, path)
    assert record.load(path) == {"accuracy": 0.5}
    assert os.listdir(tmp_path) == ["result.json"]


def test_numbers_that_json_has_not_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        record.save({"loss": float("nan")}, tmp_path / "result.json")


def test_a_result_of_other_than_plain_data_is_refused(tmp_path):
    with pytest.raises(TypeError, match="plain data. Received: value=<object"):
        record.save({"model": object()}, tmp_path / "result.json")


def test_provenance_says_what_a_number_depends_on():
    facts = record.provenance()
    assert set(facts) == {
        "commit",
        "versions",
        "backend",
        "device",
        "threads",
        "date",
    }
    assert {"python", "keras", "numpy", "tensornet_keras"} <= set(
        facts["versions"]
    )
    assert "cores" in facts["device"]
    assert facts["threads"]["cores"] >= 1
    json.dumps(facts)


def test_settings_of_threads_are_told(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    assert record.provenance()["threads"]["OMP_WAIT_POLICY"] == "passive"


def test_smoke_results_stay_out_of_the_results(tmp_path):
    assert record.folder(tmp_path, smoke=True) == tmp_path
    assert record.folder() == record.RESULTS
    assert record.folder(smoke=True) != record.RESULTS
