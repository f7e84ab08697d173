"""The command `convert` within a budget, on examples."""

import json

import numpy as np
import pytest

from tests.cli.commands import run


@pytest.mark.parametrize("file", ["examples.npy", "examples.npz"])
def test_convert_to_a_budget_on_examples(model, folder, file):
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 1))
    np.save("examples.npy", x)
    np.savez("examples.npz", x=x, y=np.zeros(32))
    words = ["convert", "in.keras", "out.keras", "--ratio", 0.3]
    code = run(*words, "--calibration", file, "--report", "r.json")
    assert code == 0
    rows = json.loads((folder / "r.json").read_text())["layers"]
    (wide,) = (row for row in rows if row["path"].endswith("wide"))
    assert wide["output_error"] is not None
    assert wide["params_after"] < 0.4 * wide["params_before"]


def test_a_calibration_file_that_is_not_there_is_said(model, capsys):
    words = ["convert", "in.keras", "out.keras", "--flops", 0.3]
    assert run(*words, "--calibration", "none.npy") == 1
    assert "--calibration must be a file" in capsys.readouterr().err


def test_ranks_in_steps(model, folder):
    words = ["convert", "in.keras", "out.keras", "--format", "low_rank"]
    words += ["--ratio", 0.5, "--rank-multiple", 4, "--report", "r.json"]
    assert run(*words) == 0
    report = json.loads((folder / "r.json").read_text())
    ranks = [rank for row in report["layers"] for rank in row["ranks"] or ()]
    assert ranks
    assert all(rank % 4 == 0 for rank in ranks)
    assert report["share"] <= 0.5
