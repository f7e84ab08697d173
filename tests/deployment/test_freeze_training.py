"""A frozen model and training: its own is over, its source's goes on."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.deployment import choosing
from tensornet_keras.deployment.options import OBJECTIVES
from tensornet_keras.formats import Merged
from tests.deployment.frozen_models import (
    OTHERS,
    WIDE,
    model_of,
    prefers,
    wide_model,
)
from tests.laws.oracles import as_numpy, assert_close, random_array

# A network of one core is its dense kernel.
SINGLE_CORES = {
    "contraction": lambda: tk.layers.TensorContraction((3,)),
    "dense": lambda: tk.layers.FactorizedDense(
        3, tk.formats.TensorTrain(2, (4,), (3,))
    ),
    "merged": lambda: tk.layers.FactorizedDense(
        3, Merged.dense(tk.formats.LowRank(rank=2).bind((4,), (3,)))
    ),
}


@pytest.mark.parametrize("name", SINGLE_CORES)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_the_source_later_changes_nothing(name, objective):
    """JAX takes the memory of what is trained, and of all that share it."""
    model = model_of(SINGLE_CORES[name](), (4,))
    frozen = tk.freeze(model, 2, objective, measure=False)
    inputs = random_array((2, 4))
    before = as_numpy(frozen(inputs)).copy()
    model.compile("sgd", "mse")
    model.fit(inputs, np.ones((2, 3)), verbose=0)
    assert np.abs(as_numpy(model(inputs)) - before).max() > 1e-4
    np.testing.assert_array_equal(as_numpy(frozen(inputs)), before)


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("name", ["lstm", "regression", "contraction"])
def test_training_the_source_of_other_layers_too(name, merged, monkeypatch):
    monkeypatch.setattr(choosing, "_regret", prefers(merged))
    make, shape = OTHERS[name]
    model = model_of(make(), shape)
    frozen = tk.freeze(model, 2, measure=False)
    inputs = random_array((2, *shape))
    before = as_numpy(frozen(inputs)).copy()
    model.compile("sgd", "mse")
    model.fit(
        inputs, np.ones(model.compute_output_shape(inputs.shape)), verbose=0
    )
    np.testing.assert_array_equal(as_numpy(frozen(inputs)), before)


def test_it_is_for_inference_only():
    model = wide_model(
        bond_dropout=0.5, rank_penalty=0.1, kernel_regularizer="l2"
    )
    model.compile("sgd", "mse")
    frozen = tk.freeze(model, 2, measure=False)
    assert not frozen.trainable
    assert frozen.trainable_variables == []
    assert not frozen.losses
    (layer,) = frozen.layers
    assert layer.bond_dropout == layer.rank_penalty == 0.0
    inputs = random_array((2, WIDE))
    predicted = frozen.predict(inputs, verbose=0)
    assert_close(predicted, model.predict(inputs, verbose=0))
    # Dropped bonds would show in a call for training.
    assert_close(frozen(inputs, training=True), predicted)
    assert frozen.evaluate(inputs, predicted, verbose=0) < 1e-6


def test_cores_that_stay_as_they_are_are_for_inference_too():
    layer = tk.layers.TTConv2D(
        128,
        3,
        rank=2,
        groups=2,
        bond_dropout=0.5,
        rank_penalty=0.1,
        recompute=True,
        scale_learning_rates=True,
        activity_regularizer="l2",
        activation=keras.layers.PReLU(alpha_initializer="ones"),
        planning_batch=8,
    )
    model = model_of(layer, (4, 4, 128))
    inputs = random_array((2, 4, 4, 128))
    model(inputs)
    frozen, report = tk.freeze(
        model, 2, "size", measure=False, return_report=True
    )
    (kept,) = frozen.layers
    assert report.rows[0].became.endswith("cores as they are")
    assert type(kept) is tk.layers.TTConv2D
    assert kept.bond_dropout == kept.rank_penalty == 0.0
    assert not kept.recompute
    assert not kept.scale_learning_rates
    assert kept.planning_batch is None
    predicted = model(inputs, training=False)
    assert_close(frozen(inputs, training=True), predicted)
    assert not frozen.losses
