"""Recurrent layers in training: gradients, short types and switches."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.contraction import plan_for
from tensornet_keras.layers.recurrent_cells import USUAL_STEPS
from tensornet_keras.profiling import multiply_adds
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    dense_weight,
    random_array,
)
from tests.laws.test_gradients import chain_rule, gradients
from tests.layers.recurrent_twins import (
    INPUTS,
    KINDS,
    SHAPE,
    UNITS,
    factorized,
    twin_of,
)

TARGETS = random_array((SHAPE[0], UNITS), seed=2)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_a_gradient_reaches_every_core_as_through_the_kernels(kind):
    layer = factorized(kind)
    twin = twin_of(layer, use_cudnn=False)
    networks = (layer.format.network, layer.recurrent_format.network)
    cores = [as_numpy(core).astype("float64") for core in layer.cores]
    found = gradients(layer, layer.core_variables, INPUTS, TARGETS)
    kernels = [twin.cell.kernel, twin.cell.recurrent_kernel]
    of_kernels = gradients(twin, kernels, INPUTS, TARGETS)
    for network, of_kernel in zip(networks, of_kernels, strict=True):
        count = len(network.cores)
        own, cores = cores[:count], cores[count:]
        for number in range(count):
            expected = chain_rule(network, own, number, of_kernel)
            largest = np.abs(expected).max()
            assert largest > 0.0
            np.testing.assert_allclose(
                found.pop(0), expected, rtol=0, atol=1e-4 * largest
            )
    assert not found


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@every_kind
def test_mixed_precision_computes_short_and_keeps_long_weights(kind, policy):
    layer = factorized(kind, built=False, dtype=policy, return_sequences=True)
    outputs = layer(INPUTS)
    short = policy.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(outputs.dtype) == short
    assert {weight.dtype for weight in layer.trainable_weights} == {"float32"}
    single = factorized(kind, return_sequences=True)
    single.set_cores([as_numpy(core) for core in layer.cores])
    single.bias.assign(as_numpy(layer.bias))
    outputs = keras.ops.cast(outputs, "float32")
    assert_close(outputs, twin_of(single)(INPUTS), short)


def test_a_mixed_policy_trains():
    model = keras.Sequential(
        [
            keras.Input(SHAPE[1:]),
            factorized("LSTM", built=False, dtype="mixed_bfloat16"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1), loss="mse")
    before = model.get_weights()
    assert np.isfinite(model.train_on_batch(INPUTS, TARGETS))
    for old, new in zip(before, model.get_weights(), strict=True):
        assert new.dtype == np.float32
        assert np.abs(new - old).max() > 0.0


def test_orthogonal_sets_the_mean_square_of_the_recurrent_kernel():
    layer = tk.layers.FactorizedLSTM(32, tk.formats.TensorTrain(rank=4))
    layer.build((None, None, 20))
    kernel = as_numpy(keras.initializers.Orthogonal(seed=0)((32, 128)))
    found = np.mean(np.square(as_numpy(layer.recurrent_kernel)))
    assert found == pytest.approx(np.mean(np.square(kernel)), rel=1e-3)
    found = np.mean(np.square(as_numpy(layer.kernel)))
    assert found == pytest.approx(2 / (20 + 128), rel=1e-3)
    bias = as_numpy(layer.bias).reshape(4, 32)
    np.testing.assert_array_equal(bias[1], 1.0)
    assert not bias[[0, 2, 3]].any()
    closed = tk.layers.FactorizedLSTM(
        32, tk.formats.TensorTrain(rank=4), unit_forget_bias=False
    )
    closed.build((None, None, 20))
    assert not as_numpy(closed.bias).any()


def lasso(layer):
    """Sum over bonds and entries of the norm of all slices they pick."""
    total = 0.0
    for kernel in (layer.cell.input_kernel, layer.cell.state_kernel):
        network = kernel.format.network
        for label, size in network.bonds:
            squares = np.zeros(size)
            for labels, core in zip(network.cores, kernel.cores, strict=True):
                if label in labels:
                    axis = labels.index(label)
                    rows = np.moveaxis(as_numpy(core), axis, 0)
                    squares += np.square(rows.reshape(size, -1)).sum(axis=1)
            total += np.sqrt(squares).sum()
    return total


@every_kind
def test_the_rank_penalty_counts_each_kernel_once_a_call(kind):
    layer = factorized(kind, rank_penalty=0.5)
    for _ in range(2):
        layer(INPUTS)
        losses = sum(map(as_numpy, layer.losses))
        assert losses == pytest.approx(0.5 * lasso(layer), rel=1e-5)


@every_kind
def test_dropped_bonds_leave_the_layer_itself_at_inference(kind):
    layer = factorized(kind, bond_dropout=0.5)
    expected = as_numpy(twin_of(layer)(INPUTS))
    assert_close(layer(INPUTS), expected)
    trained = [as_numpy(layer(INPUTS, training=True)) for _ in range(3)]
    assert any(np.abs(each - expected).max() > 1e-3 for each in trained)
    assert np.abs(trained[1] - trained[0]).max() > 1e-3


@pytest.mark.parametrize("switch", ["recompute", "scale_learning_rates"])
def test_switches_change_no_output(switch):
    layer = factorized("LSTM", **{switch: True})
    expected = twin_of(layer)(INPUTS)
    assert_close(layer(INPUTS, training=True), expected)
    kernel = layer.cell.state_kernel
    dense = dense_weight(kernel.format.network, kernel.cores)
    assert_close(layer.recurrent_kernel, dense)
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    model.compile("sgd", loss="mse")
    assert np.isfinite(model.train_on_batch(INPUTS, TARGETS))


def test_frozen_layers_and_regularized_cores():
    layer = factorized(
        "GRU", kernel_regularizer="l2", recurrent_regularizer="l1"
    )
    of_input, of_state = (
        [as_numpy(core) for core in kernel.cores]
        for kernel in (layer.cell.input_kernel, layer.cell.state_kernel)
    )
    squares = sum(np.square(core).sum() for core in of_input)
    sizes = sum(np.abs(core).sum() for core in of_state)
    losses = sum(map(as_numpy, layer.losses))
    assert losses == pytest.approx(0.01 * (squares + sizes), rel=1e-5)
    layer.trainable = False
    assert not layer.trainable_variables
    assert len(layer.core_variables) == 4


def test_cores_are_set_for_both_kernels_at_once():
    layer, other = factorized("LSTM"), factorized("LSTM")
    other.set_cores([as_numpy(core) for core in layer.cores])
    assert_close(other.kernel, layer.kernel)
    assert_close(other.recurrent_kernel, layer.recurrent_kernel)
    with pytest.raises(ValueError, match="takes the cores of its format"):
        other.set_cores(layer.cores[1:])


def test_plans_speak_of_the_whole_sequence():
    layer = tk.layers.FactorizedLSTM(64, tk.formats.TensorTrain(rank=2))
    with pytest.raises(ValueError, match="once it is built"):
        layer.recurrent_plan()
    layer.build((None, 7, 100))
    plan = layer.plan((5, 7, 100))
    assert plan == plan_for(layer.format.network, 5, ((7,), (7,)))
    assert layer.plan().batch is None
    steps = layer.recurrent_plan(5, 7)
    assert steps.uses == 7
    assert "7 inputs" in str(steps)
    assert layer.recurrent_plan().uses == USUAL_STEPS
    counted = multiply_adds.count(layer, (5, 7, 100), (5, 64))
    assert counted == plan.multiply_adds + steps.multiply_adds
    before = tk.layers.FactorizedGRU(
        64, tk.formats.TensorTrain(rank=2), reset_after=False
    )
    before.build((None, 7, 100))
    assert before.recurrent_plan(5, 7).rebuilds


def test_a_planning_batch_plans_both_kernels():
    layer = factorized("LSTM", planning_batch=64)
    assert layer.plan((3, 5, SHAPE[-1])).batch == 3
    assert layer.recurrent_plan(3, 5).batch == 64
    assert_close(layer(INPUTS), twin_of(layer)(INPUTS))


LOAD = """
import keras
import numpy as np
import tensornet_keras

model = keras.models.load_model("model.keras")
np.save("outputs.npy", keras.ops.convert_to_numpy(model(np.load("x.npy"))))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    backend.name() != "tensorflow", reason="TensorFlow starts the others"
)
@pytest.mark.parametrize("other", ["jax", "torch"])
def test_a_saved_model_loads_on_other_backends(fresh_process, tmp_path, other):
    layers = [factorized(kind, built=False) for kind in KINDS]
    inputs = keras.Input(SHAPE[1:])
    outputs = keras.layers.concatenate([layer(inputs) for layer in layers])
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", INPUTS)
    fresh_process(LOAD, KERAS_BACKEND=other)
    assert_close(np.load(tmp_path / "outputs.npy"), model(INPUTS))
