"""Peak memory beyond input and output, as XLA has it and as the plan says.

The 25088 x 4096 layer of Novikov et al. 2015, table 3, which gives 0.766 MB
for one image: forward at batch 1, and a training step by Adam at batch 128
against TensorNet-TF's loop. XLA's figure is that of JAX'
`compile().memory_analysis()`; on another backend there is the plan's alone.
Weights are arguments, and so in none of XLA's figures: those of the frozen
layer, which holds merged cores or a kernel in place of the cores, are counted
beside them.
"""

import importlib
import math

import numpy as np

from tensornet_keras import backend

from .. import targets
from ..notes import skipped
from . import baselines
from .dense import FROZEN, LOOP, PAPER, Case
from .layers import random_input
from .sides import frozen_model, jax_state, jax_step_function, one_layer

CASES = ((Case(*PAPER, 4), 1, 128),)
SMOKE_CASES = ((Case((4, 4, 4), (4, 4, 4), 2), 1, 8),)
MOST_BYTES = 2e6
MOST_OF_THE_LOOP = 0.5


def run(smoke):
    """Yields a row for the forward pass and one for the step."""
    if backend.name() != "jax":
        skipped("No figures of XLA: they need KERAS_BACKEND=jax.")
    for case, one, many in SMOKE_CASES if smoke else CASES:
        yield _forward_row(case, one)
        yield _step_row(case, many)


def targets_of(rows):
    """The bounds on both passes, by XLA's figures where there are some.

    Args:
        rows: The rows of `run`.

    Returns:
        A list of targets.
    """
    found = []
    for forward, step in zip(rows[::2], rows[1::2], strict=True):
        key = "bytes_ours" if "bytes_ours" in step["facts"] else "bytes_plan"
        facts = forward["facts"]
        what = f"{forward['case']}: {key}"
        found.append(targets.at_most(what, facts[key], MOST_BYTES))
        if f"bytes_{FROZEN}" in facts:
            what = f"{forward['case']}: bytes_{FROZEN}, with its weights"
            value = facts[f"bytes_{FROZEN}"] + facts["bytes_frozen_weights"]
            found.append(targets.at_most(what, value, MOST_BYTES))
        if key == "bytes_ours":
            share = step["facts"][key] / step["facts"][f"bytes_{LOOP}"]
            what = f"{step['case']}: over {LOOP}"
            found.append(targets.at_most(what, share, MOST_OF_THE_LOOP))
    return found


def weight_bytes(model):
    """What the weights of a layer or a model take.

    Args:
        model: A built Keras layer or model.

    Returns:
        Bytes.
    """
    return sum(
        math.prod(weight.shape) * np.dtype(weight.dtype).itemsize
        for weight in model.weights
    )


def _forward_row(case, batch):
    inputs, units = case.sizes
    ours = case.layer()
    plan = ours.plan((batch, inputs))
    facts = {
        "batch": batch,
        "plan": str(plan),
        "bytes_plan": plan.peak_bytes_at(batch),
        "bytes_weights": 4 * ours.format.num_params,
        "bytes_input_and_output": 4 * batch * (inputs + units),
    }
    if backend.name() == "jax":
        sides = {
            "dense": case.dense(),
            LOOP: baselines.LoopDense(ours),
            "ours": ours,
            FROZEN: frozen_model(one_layer(ours, (inputs,)), batch),
        }
        x = random_input((batch, inputs))
        for name, side in sides.items():
            facts[f"bytes_{name}"] = _forward_bytes(side, x)
        facts["bytes_frozen_weights"] = weight_bytes(sides[FROZEN])
    title = f"{inputs} x {units}, {ours.format}, batch {batch}, forward"
    return _row(title, facts)


def _step_row(case, batch):
    inputs, units = case.sizes
    ours = case.layer()
    plan = ours.plan((batch, inputs), training=True)
    facts = {
        "batch": batch,
        "plan": str(plan),
        "bytes_plan": plan.peak_bytes_at(batch),
        "bytes_input_and_output": 4 * batch * (inputs + units),
    }
    if backend.name() == "jax":
        sides = {
            "dense": case.dense(),
            LOOP: baselines.LoopDense(ours),
            "ours": ours,
        }
        shapes = (batch, inputs), (batch, units)
        x, y = map(random_input, shapes)
        for name, side in sides.items():
            facts[f"bytes_{name}"] = _step_bytes(side, x, y)
    title = f"{inputs} x {units}, {ours.format}, batch {batch}, step"
    return _row(title, facts)


def _row(title, facts):
    return {"case": title, "sides": {}, "ratios": {}, "facts": facts}


def _forward_bytes(side, x):
    """What a forward pass holds beyond input, output and weights."""

    def function(weights, other, x):
        return side.stateless_call(weights, other, x)[0]

    kinds = (side.trainable_variables, side.non_trainable_variables)
    state = [[variable.value for variable in kind] for kind in kinds]
    return _analysis(function, *state, x).temp_size_in_bytes


def _step_bytes(side, x, y):
    """What a step holds beyond its arguments, which it may overwrite."""
    analysis = _analysis(
        jax_step_function(side), jax_state(side), x, y, donate_argnums=0
    )
    slope = 4 * math.prod(x.shape)
    written = analysis.output_size_in_bytes - analysis.alias_size_in_bytes
    return analysis.temp_size_in_bytes + max(0, written - slope)


def _analysis(function, *arguments, **settings):
    jax = importlib.import_module("jax")
    compiled = jax.jit(function, **settings).lower(*arguments).compile()
    return compiled.memory_analysis()
