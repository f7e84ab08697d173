import dataclasses

import keras
import pytest

import tensornet_keras as tk
from tensornet_keras.contraction import candidates
from tensornet_keras.deployment.export import FORMATS
from tensornet_keras.layers import factorized, planning
from tests.laws.oracles import random_array


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_graph_that_leaves_tensorflow_has_one_plan(
    monkeypatch, tmp_path, format
):
    layer = tk.layers.TTDense(64, 4, (4, 4, 4), (4, 4, 4))
    layer.build((None, 64))
    plans = candidates(layer.format.network)
    small, large = plans[0], plans[-1]
    alone = plans[1]
    two = dataclasses.replace(alone, ranges=((1, small), (2, large)))
    monkeypatch.setattr(planning, "plan_for", lambda *_, **__: two)
    taken = []
    execute = factorized.execute

    def recorded(plan, inputs, *arguments):
        if inputs.shape[0] is None:
            taken.append(plan.title)
        return execute(plan, inputs, *arguments)

    model = keras.Sequential([keras.Input((64,)), layer])
    monkeypatch.setattr(factorized, "execute", recorded)
    path = tmp_path / f"model{FORMATS[format].suffix}"
    tk.export(model, path, format=format)
    branches = {small.title, large.title}
    saved = format == "tf_saved_model"
    assert set(taken) == (branches if saved else {alone.title})


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)
@pytest.mark.parametrize("format", sorted(FORMATS))
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_a_batch_in_parts_leaves_tensorflow(tmp_path, format, batch):
    """Parts of a batch that is smaller than their number are empty."""
    layer = tk.layers.TTDense(64, 4, (4, 4, 4), (4, 4, 4), planning_batch=16)
    model = keras.Sequential([keras.Input((64,)), layer])
    layer.max_memory = layer.plan(16).peak_bytes // 2
    assert layer.plan(16).tiles > 1
    path = tmp_path / f"model{FORMATS[format].suffix}"
    sample = random_array((batch, 64))
    report = tk.export(model, path, format=format, sample=sample)
    assert report.max_difference <= 1e-5
