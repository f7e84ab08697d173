"""What the suites hold their numbers to, on rows with known numbers."""

import json
from pathlib import Path

import pytest

from experiments.suites import export, grid, memory, planning
from experiments.suites.dense import FROZEN, LOOP
from experiments.suites.layers import random_input
from experiments.suites.sides import frozen
from experiments.timing import Timing

ROOT = Path(__file__).parents[2]
# Of 21 numbers the 20th is the 95th percentile, the 11th the median.
COUNT = 21


def facts_of(kind, **lists):
    """Facts of one kind of row, from a list of values for every name."""
    names = {"regret_tuned": "regret_ours, tuned"}
    return [
        {"kind": kind}
        | {
            names.get(name, name): value
            for name, value in zip(lists, values, strict=True)
            if value is not None
        }
        for values in zip(*lists.values(), strict=True)
    ]


def rising(low, step):
    return [low + step * k for k in range(COUNT)]


@pytest.fixture
def grid_rows():
    """Rows of the suite `planning`; two frozen layers were timed again."""
    frozen_layers = facts_of(
        "frozen",
        ratio=[*[0.9] * (COUNT - 3), 1.1, 1.02, 1.02],
        ratio_before_longer=[*[None] * (COUNT - 2), 1.3, 1.4],
        noise=[1.0] * COUNT,
    )
    steps = facts_of("step", ratio=rising(0.5, 0.05), noise=rising(1.0, 0.01))
    regrets = facts_of(
        "regret", regret_ours=rising(1.0, 0.01), regret_tuned=rising(1.0, 0.02)
    )
    return [
        {"case": "a layer", "facts": facts}
        for facts in (*frozen_layers, *steps, *regrets)
    ]


def test_a_plan_is_held_to_percentiles_of_the_first_measurement(grid_rows):
    found = planning.targets_of(grid_rows)
    wanted = [
        ("frozen over dense, 95th percentile (A/A 1.000)", 1.3, False),
        (
            "training step over the best rival, 95th percentile (A/A 1.190)",
            1.45,
            False,
        ),
        ("frozen over dense, worst", 1.1, True),
        ("regret of ours, median", 1.1, True),
        ("regret of ours, 95th percentile", 1.19, True),
        ("regret of ours, tuned, median", 1.2, False),
        ("regret of ours, tuned, 95th percentile", 1.38, False),
    ]
    assert [one["what"] for one in found] == [what for what, _, _ in wanted]
    for one, (_, value, met) in zip(found, wanted, strict=True):
        assert one["value"] == pytest.approx(value)
        assert one["met"] is met
    # What a layer against itself shows is allowed for.
    assert [one["bound"] for one in found[:2]] == [
        "at most 1.05",
        f"at most {1.15 * 1.19:.4g}",
    ]


def test_without_tuned_plans_there_is_no_target_of_them(grid_rows):
    del grid_rows[-1]["facts"]["regret_ours, tuned"]
    found = planning.targets_of(grid_rows)
    assert not any("tuned" in one["what"] for one in found)
    assert any("regret of ours, median" in one["what"] for one in found)


@pytest.mark.parametrize(
    ("ratios", "kept", "before"),
    [((1.3, 1.02), 1.02, 1.3), ((1.1,), 1.1, None)],
)
def test_a_frozen_layer_that_looks_slow_is_timed_again_for_longer(
    ratios, kept, before, monkeypatch
):
    wanted, seen = iter(ratios), []

    def interleave(calls, *, rounds, budget, **others):
        seen.append((rounds, budget))
        ratio = next(wanted)
        return {
            name: Timing((ratio if name == "ours" else 1.0,) * 3)
            for name in calls
        }

    monkeypatch.setattr(planning, "interleave", interleave)
    case, _ = grid.drawn(smoke=True)
    x = random_input(case.input_shape)
    ours = frozen(case.layer(), x)
    row = planning._frozen_row("a layer", case, ours, x, {}, False)
    assert row["facts"]["ratio"] == pytest.approx(kept)
    assert row["facts"].get("ratio_before_longer") == before
    first = planning.ROUNDS, planning.BUDGET
    longer = tuple(planning.LONGER * one for one in first)
    assert planning.LONGER == 5
    assert seen == [first, longer][: len(ratios)]


@pytest.mark.parametrize(
    ("smaller", "quicker", "met"),
    [(12.0, 2.0, True), (11.9, 2.0, False), (12.0, 1.9, False)],
)
def test_an_exported_vgg16_is_held_to_its_size_and_speed(smaller, quicker, met):
    ratio = f"source / {export.FROZEN}"
    rows = [
        {
            "case": name,
            "ratios": {ratio: quicker},
            "facts": {"model": name, "times_smaller": smaller},
            **bounds,
        }
        for name, bounds in (
            ("lenet5", {}),
            ("vgg16", {"at_least": {ratio: export.QUICKER}}),
        )
    ]
    found = export.targets_of(rows)
    assert [one["what"] for one in found] == [
        f"vgg16: {ratio}",
        "vgg16: times smaller",
    ]
    assert [one["value"] for one in found] == [quicker, smaller]
    assert all(one["met"] for one in found) is met


def memory_rows(forward, step):
    return [
        {"case": "forward", "facts": forward},
        {"case": "step", "facts": step},
    ]


def test_memory_counts_what_a_frozen_layer_holds():
    forward = {
        "bytes_plan": 9e9,
        "bytes_ours": 2e6,
        f"bytes_{FROZEN}": 1.5e6,
        "bytes_frozen_weights": 0.6e6,
    }
    step = {"bytes_plan": 9e9, "bytes_ours": 3e6, f"bytes_{LOOP}": 6e6}
    ours, cold, share = memory.targets_of(memory_rows(forward, step))
    assert (ours["value"], ours["met"]) == (2e6, True)
    assert (cold["value"], cold["met"]) == (pytest.approx(2.1e6), False)
    assert "with its weights" in cold["what"]
    assert (share["value"], share["met"]) == (0.5, True)
    forward["bytes_frozen_weights"] = 0.5e6
    assert memory.targets_of(memory_rows(forward, step))[1]["met"]


def test_without_xlas_figures_the_plans_are_held_to_the_bound():
    rows = memory_rows({"bytes_plan": 2.1e6}, {"bytes_plan": 9e9})
    (target,) = memory.targets_of(rows)
    assert target["what"] == "forward: bytes_plan"
    assert not target["met"]


MEMORY = """
import json
from experiments.suites import memory

rows = list(memory.run(smoke=True))
print(json.dumps([rows, memory.targets_of(rows)]))
"""


def test_on_jax_memory_has_the_figures_of_xla(fresh_process):
    printed = fresh_process(MEMORY, KERAS_BACKEND="jax", PYTHONPATH=str(ROOT))
    rows, found = json.loads(printed.splitlines()[-1])
    forward, step = (row["facts"] for row in rows)
    case, one, many = memory.SMOKE_CASES[0]
    inputs, units = case.sizes
    assert (forward["batch"], step["batch"]) == (one, many)
    for side in ("dense", LOOP, "ours"):
        assert forward[f"bytes_{side}"] > 0
        assert step[f"bytes_{side}"] > 0
    # So small a layer keeps the dense kernel.
    assert forward["bytes_frozen_weights"] == 4 * inputs * units
    # A dense layer's step holds the kernel's slope at the least.
    assert step["bytes_dense"] >= 4 * inputs * units
    assert [round(target["value"], 6) for target in found] == [
        forward["bytes_ours"],
        forward[f"bytes_{FROZEN}"] + forward["bytes_frozen_weights"],
        round(step["bytes_ours"] / step[f"bytes_{LOOP}"], 6),
    ]
