"""Whether the plans chosen are good ones, on layers drawn from a seed.

Per layer three rows. Frozen: its time over the dense layer's, where the plan
may keep the dense kernel, beside the dense layer against itself. Step: a
training step over the best of the rebuilt kernel and every other library,
beside that one against itself; PyTorch's run eagerly, since compiling them
would take longer than all the rest, and what takes a minute a step is left
out. Regret: the chosen plan over the best of the candidates timed, as the cost
model chooses and after `autotune`.
"""

from time import perf_counter

import keras
import numpy as np
from rich.table import Table

import tensornet_keras as tk

from .. import peers, targets
from ..timing import interleave
from . import baselines, candidates
from .grid import drawn
from .layers import SLICE, compared, quickest, random_input
from .sides import forward, frozen, one_layer, step

ROUNDS, BUDGET = 30, 2.0
# A frozen layer that looks slower than this is measured again, for longer.
SUSPECT, LONGER = 1.15, 5
# A rival whose first step takes longer, in seconds, is no rival.
PATIENCE = 20.0
AGAIN = "again"
HEADINGS = (
    "layer",
    "frozen over dense",
    "A/A",
    "step over best rival",
    "A/A",
    "regret",
    "tuned",
)


def run(smoke):
    """Yields three rows a layer."""
    for number, case in enumerate(drawn(smoke)):
        yield from _rows(number, case, smoke)


def _rows(number, case, smoke):
    ours = case.layer()
    title = f"{number}: {case.input_shape} to {case.outputs}, {ours.format}"
    facts = {
        "number": number,
        "batch": case.input_shape[0],
        "parameters": ours.format.num_params,
        "parameters_dense": ours.format.dense_params,
    }
    x, y = random_input(case.input_shape), random_input(case.output_shape)
    yield _frozen_row(title, case, frozen(ours, x), x, facts, smoke)
    yield _step_row(title, case, x, y, facts, smoke)
    yield _regret_row(title, case, x, facts, smoke)


def _frozen_row(title, case, ours, x, facts, smoke):
    sides = {"dense": forward(case.dense(), x), "ours": ours}
    calls, ways = quickest(sides, smoke)
    calls[f"dense, {AGAIN}"] = calls["dense"]
    row = _row(f"{title}, frozen", calls, "dense", facts, smoke)
    if row["facts"]["ratio"] > SUSPECT and not smoke:
        first = row["facts"]["ratio"]
        row = _row(
            f"{title}, frozen", calls, "dense", facts, smoke, longer=LONGER
        )
        row["facts"]["ratio_before_longer"] = first
    row["facts"] |= {"kind": "frozen", "compiled": ways}
    return row


def _step_row(title, case, x, y, facts, smoke):
    ours = case.layer()
    rivals = _rivals(case, ours)
    sides = {name: _step(side, x, y) for name, side in rivals.items()}
    first = {name: _first_call(side) for name, side in sides.items()}
    left_out = {
        n: seconds for n, seconds in first.items() if seconds > PATIENCE
    }
    rivals = {n: side for n, side in rivals.items() if n not in left_out}
    sides = {name: sides[name] for name in rivals}
    calls, ways = quickest(sides | {"ours": step(ours, x, y)}, smoke)
    trial = interleave(
        {name: calls[name] for name in rivals},
        rounds=5,
        budget=BUDGET,
        slice_seconds=0.0 if smoke else SLICE,
    )
    best = min(rivals, key=lambda name: trial[name].median)
    calls = {
        best: calls[best],
        f"{best}, {AGAIN}": calls[best],
        "ours": calls["ours"],
    }
    row = _row(f"{title}, step", calls, best, facts, smoke)
    seconds = {name: trial[name].median for name in rivals}
    row["facts"] |= {
        "kind": "step",
        "best": best,
        "trial_seconds": seconds,
        "left_out_seconds": left_out,
        "compiled": ways,
    }
    return row


def _first_call(side):
    """Seconds of the first call of a side, in the first way to compile."""
    started = perf_counter()
    next(iter(side.values()))()
    return perf_counter() - started


def _rivals(case, ours):
    """The rebuilt kernel, TensorNet-TF's loop and every other library."""
    rivals = {"rebuilt": baselines.Rebuilt(case.layer())}
    train = isinstance(ours.format, tk.formats.TensorTrain)
    if len(case.input_shape) == 2:
        if train:
            rivals["core by core"] = baselines.LoopDense(ours)
        return rivals | peers.dense(ours.format)
    if train and ours.format.conv_order == "spatial_first":
        rivals["channel by channel"] = baselines.LoopConv2D(ours)
    return rivals | peers.convolution(ours.format)


def _step(side, x, y):
    """As `step`; PyTorch's convolutions have the channels in front."""
    if isinstance(side, keras.layers.Layer) or len(x.shape) == 2:
        return step(side, x, y, compiler=False)
    first = (keras.ops.moveaxis(one, -1, 1) for one in (x, y))
    return step(side, *first, compiler=False)


def _regret_row(title, case, x, facts, smoke):
    layer = case.layer()
    plans = {"ours": layer.plan(case.input_shape)}
    machine = plans["ours"].machine
    model = one_layer(layer, case.input_shape[1:])
    tk.autotune(model, batch_size=case.input_shape[0], again=True)
    plans["ours, tuned"] = layer.plan(case.input_shape)
    found = candidates.timed(layer, x, plans, smoke)
    row = compared(f"{title}, plan", found.timings, tuple(plans), facts)
    row["facts"] |= {
        "kind": "regret",
        "machine": str(machine),
        "plans": found.titles,
        "trial_seconds": found.trial,
    }
    for name in plans:
        row["facts"][f"regret_{name}"] = found.regret(name)
    return row


def _row(title, calls, other, facts, smoke, longer=1):
    """Ours over another side, and that one over itself."""
    timings = interleave(
        calls,
        rounds=3 if smoke else ROUNDS * longer,
        warmup=1,
        budget=BUDGET * longer,
        slice_seconds=0.0 if smoke else SLICE,
    )
    row = compared(title, timings, (other,), facts)
    row["facts"]["ratio"] = row["ratios"][f"ours / {other}"]
    row["facts"]["noise"] = row["ratios"][f"{other}, {AGAIN} / {other}"]
    return row


def targets_of(rows):
    """Percentiles over the grid against what they should keep to.

    Args:
        rows: The rows of `run`.

    Returns:
        A list of targets.
    """
    facts = {
        kind: [row["facts"] for row in rows if row["facts"]["kind"] == kind]
        for kind in ("frozen", "step", "regret")
    }

    def high(kind, name):
        # A second, longer run is for the worst alone.
        values = [
            one.get(f"{name}_before_longer", one[name]) for one in facts[kind]
        ]
        return float(np.percentile(values, 95))

    worst = max(one["ratio"] for one in facts["frozen"])
    found = [
        targets.at_most(
            f"{text}, 95th percentile (A/A {high(kind, 'noise'):.3f})",
            high(kind, "ratio"),
            bound * high(kind, "noise"),
        )
        for kind, text, bound in (
            ("frozen", "frozen over dense", 1.05),
            ("step", "training step over the best rival", 1.15),
        )
    ]
    found.append(targets.at_most("frozen over dense, worst", worst, SUSPECT))
    for name, median, bound in (
        ("ours", 1.15, 1.6),
        ("ours, tuned", 1.05, 1.25),
    ):
        key = f"regret_{name}"
        if all(key in one for one in facts["regret"]):
            middle = float(np.median([one[key] for one in facts["regret"]]))
            found += [
                targets.at_most(f"regret of {name}, median", middle, median),
                targets.at_most(
                    f"regret of {name}, 95th percentile",
                    high("regret", key),
                    bound,
                ),
            ]
    return found


def table_of(rows):
    """One line a layer.

    Args:
        rows: The rows of `run`.

    Returns:
        A `rich.table.Table`.
    """
    table = Table(title="planning")
    for heading in HEADINGS:
        table.add_column(heading)
    for line in cells(rows):
        table.add_row(*line)
    return table


def cells(rows):
    """One line a layer, as texts under `HEADINGS`.

    Args:
        rows: The rows of `run`.

    Returns:
        A list of lists.
    """
    lines = []
    for kinds in zip(*[iter(rows)] * 3, strict=True):
        still, moving, regret = (row["facts"] for row in kinds)
        tuned = regret.get("regret_ours, tuned")
        lines.append(
            [
                kinds[0]["case"].removesuffix(", frozen"),
                f"{still['ratio']:.2f}",
                f"{still['noise']:.2f}",
                f"{moving['ratio']:.2f} ({moving['best']})",
                f"{moving['noise']:.2f}",
                f"{regret['regret_ours']:.2f}",
                f"{tuned:.2f}" if tuned else "",
            ]
        )
    return lines
