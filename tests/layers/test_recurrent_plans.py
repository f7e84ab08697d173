"""Recurrent layers run by the plans that were timed for them."""

import importlib

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.contraction import candidates, devices
from tensornet_keras.contraction.execute import execute
from tensornet_keras.deployment.freezable import USUAL_SIZE
from tensornet_keras.layers import factorized as factorized_layer
from tests.laws.oracles import assert_close
from tests.layers.recurrent_twins import (
    INPUTS,
    KINDS,
    SHAPE,
    factorized,
)

# The verb has the name of its module.
autotune = importlib.import_module("tensornet_keras.deployment.autotune")
every_kind = pytest.mark.parametrize("kind", KINDS)


def one_step(kernel):
    return (SHAPE[0], 1, kernel.format.input_size)


@pytest.mark.parametrize("both", [False, True])
@every_kind
def test_tuned_plans_of_the_kernels_are_saved_and_copied(kind, both, tmp_path):
    layer = factorized(kind)
    kernels = (layer.cell.input_kernel, layer.cell.state_kernel)[: 1 + both]
    key = devices.tuning_key(SHAPE[0], "float32", "inference")
    for kernel in kernels:
        predicted = kernel.plan(one_step(kernel)).order
        plans = candidates(kernel.format.network)
        order = next(p.order for p in plans if p.order != predicted)
        kernel.tuned_plans[key] = {"order": order, "tiles": 1}
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for other in (loaded, keras.models.clone_model(model)):
        [again] = other.layers
        assert again.tuned_plans == layer.tuned_plans
        found = again.cell.input_kernel
        shape = one_step(found)
        assert found.plan(shape).order == kernels[0].plan(shape).order
        assert found.plan(shape).order == found.tuned_plans[key]["order"]
        assert (key in again.cell.state_kernel.tuned_plans) == both
    assert_close(loaded(INPUTS), model(INPUTS))


@pytest.mark.parametrize(
    ("steps", "batches"), [(SHAPE[1], 3), (None, (3, 16))], ids=str
)
def test_a_call_takes_the_plan_that_was_timed(steps, batches, monkeypatch):
    def slowest_wins(plans, *_, **__):
        return [1.0 / (1 + n) for n in range(len(plans))]

    run = []

    def recorded(plan, *arguments):
        run.append(plan.order)
        return execute(plan, *arguments)

    monkeypatch.setattr(autotune, "measure", slowest_wins)
    monkeypatch.setattr(factorized_layer, "execute", recorded)
    layer = factorized("LSTM", built=False)
    model = keras.Sequential([keras.Input((steps, SHAPE[-1])), layer])
    report = tk.autotune(model, batches)
    best = {row.chosen.order for row in report.rows}
    assert not best & {row.default.order for row in report.rows}
    run.clear()
    # Steps that are left open are taken for so many.
    usual = np.repeat(INPUTS[:, :1], USUAL_SIZE, axis=1)
    model(INPUTS if steps else usual)
    assert set(run) <= best
    assert run


@pytest.mark.parametrize(
    ("tuned", "message"),
    [
        (3, "`recurrent_kernel`. Received: tuned_plans=3"),
        ({"bias": {}}, "Received: tuned_plans={'bias'"),
        ({"kernel": {"a": {"order": [0], "tiles": 0}}}, "tiles=0"),
        ({"recurrent_kernel": {"a": 3}}, "Received: 'a': 3"),
    ],
    ids=str,
)
def test_tuned_plans_that_are_none_are_refused(tuned, message):
    with pytest.raises(ValueError, match=message):
        factorized("LSTM", built=False, tuned_plans=tuned)
