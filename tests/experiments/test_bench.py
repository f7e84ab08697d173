"""Timing suites: what they compare agrees, and a small run is complete."""

import importlib.util
import sys
import time

import keras
import numpy as np
import pytest
from rich.console import Console

import tensornet_keras as tk
from experiments import bench, limits, record, resident, targets
from experiments.suites import (
    baselines,
    candidates,
    decompositions,
    grid,
    layers,
)
from experiments.suites.dense import Case
from experiments.timing import Timing


def noop():
    """Takes no time to speak of."""


@pytest.mark.parametrize("suite", bench.SUITES)
def test_every_suite_runs_in_seconds(suite, tmp_path, capsys):
    arguments = [suite, "--smoke", "--output", str(tmp_path)]
    assert bench.main(arguments) == 0
    result = record.load(tmp_path / f"bench_{suite}.json")
    printed = capsys.readouterr().out
    assert result["smoke"]
    assert result["rows"]
    assert ("targets" in printed) == bool(result["targets"])
    for row in result["rows"]:
        compared = {
            side for ratio in row["ratios"] for side in ratio.split(" / ")
        }
        assert compared == set(row["sides"]) or len(row["sides"]) < 2
        assert all(one["median"] > 0 for one in row["sides"].values())


def test_a_table_has_the_times_over_ours(capsys):
    sides = {"theirs": noop, "ours": noop}
    row = layers.timed_row("a case", sides, {}, True)
    Console().print(bench.table_of(row))
    printed = capsys.readouterr().out
    assert "a case" in printed
    assert "over ours" in printed


def test_a_row_without_times_shows_its_numbers(capsys):
    facts = {"bytes_plan": 1234, "plan": "text"}
    row = {"case": "a case", "sides": {}, "ratios": {}, "facts": facts}
    Console().print(bench.table_of(row))
    printed = capsys.readouterr().out
    assert "bytes plan" in printed
    assert "1,234" in printed


def test_a_row_takes_the_better_way_to_compile():
    slow = {"plain": lambda: time.sleep(0.002), "xla": lambda: None}
    row = layers.timed_row("case", {"theirs": slow, "ours": noop}, {}, True)
    assert row["facts"]["compiled"] == {"theirs": "xla"}
    assert set(row["ratios"]) == {"theirs / ours"}


def test_a_ratio_of_a_side_that_was_skipped_is_no_target():
    wanted = {"theirs / ours": 2.0, "missing / ours": 1.0}
    sides = {"theirs": lambda: time.sleep(0.002), "ours": noop}
    row = layers.timed_row("case", sides, {}, True, at_least=wanted)
    (target,) = targets.of_rows([row])
    assert target["what"] == "case: theirs / ours"
    assert target["met"]


def test_targets_are_met_at_the_bound():
    assert targets.at_least("x", 2.0, 2.0)["met"]
    assert not targets.at_least("x", 1.9, 2.0)["met"]
    assert targets.at_most("x", 2.0, 2.0)["met"]
    assert not targets.at_most("x", 2.1, 2.0)["met"]


def test_a_limit_is_the_longer_of_arithmetic_and_traffic():
    device = limits.Limits(
        multiply_adds_per_second=10.0, bytes_per_second=100.0
    )
    assert device.seconds(50, 100) == 5.0
    assert device.seconds(50, 1000) == 10.0
    assert limits.measured(smoke=True).multiply_adds_per_second > 1e6


def test_the_grid_is_the_same_every_time_and_large_enough():
    drawn = grid.drawn()
    assert drawn == grid.drawn()
    assert drawn != grid.drawn(seed=1)
    assert len(set(drawn)) == len(drawn) >= 60
    assert all(one.saves() for one in drawn)
    assert {len(one.input_shape) for one in drawn} == {2, 4}


def test_every_candidate_gives_what_the_layer_gives():
    layer = tk.layers.TTDense(16, 2, use_bias=False)
    layer.build((3, 64))
    x = layers.random_input((3, 64))
    plans = candidates.several(x.shape, {"ours": layer.plan((3, 64))}, 9)
    assert len(plans) > 2
    for plan in plans:
        found = candidates.Planned(layer, plan)(x)
        np.testing.assert_allclose(found, layer(x), atol=1e-5)


def test_the_regret_is_over_the_best_candidate():
    timings = {
        "ours": Timing((2.0, 2.0, 2.2)),
        "candidate 1": Timing((4.0, 4.0, 4.0)),
        "candidate 2": Timing((1.0, 1.0, 1.0)),
    }
    found = candidates.Found(timings, {}, {})
    assert found.regret("ours") == 2.0
    assert found.regret("candidate 2") == 1.0


def test_the_rise_of_resident_memory_is_counted():
    if not resident.counted():
        pytest.skip("counted on Linux only")
    rise = resident.rise(lambda: np.ones(2**24, "float32").sum())
    assert 2**25 < rise < 2**27


def test_tensornet_loop_agrees_with_the_layer():
    layer = tk.layers.TTDense(
        30, rank=(2, 3), input_modes=(2, 3, 4), output_modes=(5, 3, 2)
    )
    x = np.random.default_rng(0).normal(size=(7, 24)).astype("float32")
    expected = layer(x)
    found = baselines.core_by_core(
        x, baselines.core_matrices(layer), layer.format.output_modes
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    for side in (baselines.LoopDense(layer), baselines.Rebuilt(layer)):
        np.testing.assert_allclose(side(x), expected, atol=1e-5)


def test_channel_by_channel_agrees_with_the_layer():
    layer = tk.layers.TTConv2D(
        15,
        3,
        rank=(4, 2),
        input_modes=(2, 3),
        output_modes=(5, 3),
        padding="same",
        use_bias=False,
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 6)).astype("float32")
    expected = layer(x)
    for side in (baselines.LoopConv2D(layer), baselines.Rebuilt(layer)):
        np.testing.assert_allclose(side(x), expected, atol=1e-5)
    found = baselines.channel_by_channel(
        keras.ops.convert_to_tensor(x),
        layer.cores[0].value,
        baselines.core_matrices(layer, spatial=True),
        layer.format.output_modes,
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_both_decompositions_find_the_same_error():
    pytest.importorskip("t3f")
    row = next(decompositions.run(smoke=True))
    facts = row["facts"]
    assert facts["relative_error_ours"] == pytest.approx(
        facts["relative_error_t3f"], rel=0.01
    )
    assert 0.05 < facts["relative_error_ours"] < 0.5


def test_the_kernel_to_decompose_is_a_train_and_noise():
    case = Case((2, 3, 2), (2, 2, 3), 2)
    kernel = decompositions.noisy_train(case)
    assert kernel.shape == (12, 12)
    assert kernel.dtype == np.float32
    bound = tk.formats.TensorTrain(2, case.input_modes, case.output_modes)
    found = tk.decompose(kernel, bound)
    assert found.relative_error < decompositions.NOISE


def test_without_t3f_the_suite_goes_on(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "t3f", None)
    arguments = ["decompositions", "--smoke", "--output", str(tmp_path)]
    assert bench.main(arguments) == 0
    said = capsys.readouterr().err
    assert "Not compared with t3f, which is not installed." in said
    first, *others = record.load(tmp_path / "bench_decompositions.json")["rows"]
    assert list(first["sides"]) == ["ours"]
    assert first["ratios"] == {}
    assert first["facts"]["relative_error_ours"] < 0.5
    if importlib.util.find_spec("tensorly"):
        assert others


def test_a_suite_whose_package_is_missing_says_so(monkeypatch, capsys):
    def missing(smoke):
        raise ImportError(f"Run: pip install it. Received: smoke={smoke}")

    monkeypatch.setattr(decompositions, "run", missing)
    assert bench.main(["decompositions", "--smoke"]) == 1
    assert "Run: pip install it" in capsys.readouterr().err
