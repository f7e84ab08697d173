import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.deployment import choosing
from tensornet_keras.deployment.export import FORMATS
from tensornet_keras.deployment.options import OBJECTIVES
from tests.deployment.frozen_models import (
    MODES,
    OTHERS,
    TRAIN,
    WIDE,
    assert_same,
    model_of,
    prefers,
    wide_model,
)
from tests.laws.examples import a_selection_of_layers, examples_of_every_layer
from tests.laws.oracles import as_numpy, assert_close, random_array

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)


@pytest.mark.parametrize("example", examples_of_every_layer(), ids=str)
def test_outputs_are_those_of_the_source(example):
    model = keras.Sequential(
        [example.symbolic(*example.input_shape[1:]), example.unbuilt()]
    )
    inputs = example.inputs()
    for objective in OBJECTIVES:
        frozen = tk.freeze(model, 3, objective, measure=False)
        assert_same(frozen, model, inputs)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_outputs_of_the_other_layers_too(name, objective):
    make, shape = OTHERS[name]
    model = model_of(make(), shape)
    frozen = tk.freeze(model, 3, objective, measure=False)
    assert_same(frozen, model, random_array((3, *shape)))


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("merged", [True, False])
def test_merged_and_dense_kernels_give_the_same(name, merged, monkeypatch):
    """Whatever would be chosen: every kernel merged, or dense."""
    monkeypatch.setattr(choosing, "_regret", prefers(merged))
    make, shape = OTHERS[name]
    model = model_of(make(), shape)
    frozen = tk.freeze(model, 3, measure=False)
    assert_same(frozen, model, random_array((3, *shape)))
    kept = name == "mps"
    ours = any(hasattr(x, "cores") for x in frozen._flatten_layers())
    assert ours == (merged or kept)


@pytest.mark.parametrize("example", a_selection_of_layers(), ids=str)
@pytest.mark.parametrize("merged", [True, False])
def test_a_frozen_model_saves_and_loads(example, merged, tmp_path, monkeypatch):
    monkeypatch.setattr(choosing, "_regret", prefers(merged))
    model = keras.Sequential(
        [example.symbolic(*example.input_shape[1:]), example.unbuilt()]
    )
    frozen = tk.freeze(model, measure=False)
    assert_same(frozen, model, example.inputs())
    frozen.save(tmp_path / "frozen.keras")
    loaded = keras.models.load_model(tmp_path / "frozen.keras")
    assert type(loaded.layers[0]) is type(frozen.layers[0])
    assert not loaded.trainable_variables
    np.testing.assert_array_equal(
        as_numpy(loaded(example.inputs())), as_numpy(frozen(example.inputs()))
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_freezing_twice_is_freezing_once(objective):
    model = keras.Sequential(
        [
            keras.Input((5, WIDE)),
            tk.layers.TTDense(WIDE, 2, MODES, MODES),
            tk.layers.FactorizedLSTM(
                16, tk.formats.TensorTrain(2, pad=True), return_sequences=True
            ),
            tk.layers.TTDense(4, 2),
        ]
    )
    once = tk.freeze(model, 2, objective, measure=False)
    twice = tk.freeze(once, 2, objective, measure=False)
    inputs = random_array((2, 5, WIDE))
    assert_same(once, model, inputs)
    assert_same(twice, model, inputs)
    shapes = [[weight.shape for weight in m.weights] for m in (once, twice)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("merged", [(True, False), (False, True)])
def test_one_kernel_of_a_loop_may_be_dense(merged, monkeypatch):
    def regret(options, batch):
        del batch
        return {
            each: 1.0
            + sum(
                kernel.is_dense == wish
                for kernel, wish in zip(each.kernels, merged, strict=True)
            )
            if hasattr(each, "kernels")
            else 1.0
            for each in options
        }

    monkeypatch.setattr(choosing, "_regret", regret)
    model = model_of(tk.layers.FactorizedLSTM(6, TRAIN), (5, 10))
    frozen = tk.freeze(model, 3, measure=False)
    (layer,) = frozen.layers
    formats = (layer.format, layer.recurrent_format)
    assert [len(each.cores) > 1 for each in formats] == list(merged)
    assert_same(frozen, model, random_array((3, 5, 10)))
    again = tk.freeze(frozen, 3, measure=False)
    assert_same(again, model, random_array((3, 5, 10)))


def test_the_source_is_not_changed():
    model = wide_model()
    before = [as_numpy(weight).copy() for weight in model.weights]
    frozen = tk.freeze(model, 1, measure=False)
    for weight in frozen.weights:
        weight.assign(np.zeros(weight.shape))
    assert model.trainable
    for weight, numbers in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(as_numpy(weight), numbers)


def test_nothing_is_done_among_the_weights():
    model = wide_model(planning_batch=1)
    frozen = tk.freeze(model, 1, measure=False)
    (layer,) = frozen.layers
    assert any(step.weight_only for step in model.layers[0].plan(1).steps)
    for batch in (1, 100, None):
        plan = layer.plan((batch, WIDE))
        assert not any(step.weight_only for step in plan.steps)
    assert layer.name == "wide"
    assert layer.planning_batch is None
    assert type(layer) is tk.layers.FactorizedDense


def test_learning_rate_factors_are_multiplied_in():
    model = wide_model(scale_learning_rates=True)
    frozen = tk.freeze(model, 2, measure=False)
    assert_same(frozen, model, random_array((2, WIDE)))


def test_a_small_layer_becomes_dense_with_its_config():
    layer = tk.layers.TTDense(
        10,
        rank=3,
        activation="tanh",
        name="small",
        dtype="mixed_bfloat16",
        bias_initializer="ones",
    )
    frozen = tk.freeze(model_of(layer, (12,)), 1, measure=False)
    (dense,) = frozen.layers
    assert type(dense) is keras.layers.Dense
    assert dense.name == "small"
    assert dense.activation is keras.activations.tanh
    assert dense.dtype_policy.name == "mixed_bfloat16"
    assert_close(dense.kernel, layer.kernel)
    np.testing.assert_array_equal(as_numpy(dense.bias), np.ones(10))


def test_nested_and_shared_layers():
    shared = tk.layers.TTDense(16, rank=2, name="shared")
    inner = keras.Sequential(
        [keras.Input((16,)), tk.layers.TTDense(16, rank=2), shared],
        name="inner",
    )
    inputs = keras.Input((16,))
    outputs = keras.layers.Add()([inner(shared(inputs)), inputs])
    model = keras.Model(inputs, [keras.layers.BatchNormalization()(outputs)])
    frozen, report = tk.freeze(model, 4, measure=False, return_report=True)
    assert_same(frozen, model, random_array((4, 16)))
    assert len(report.rows) == 2
    assert frozen.get_layer("shared") is frozen.get_layer("inner").layers[-1]


def test_what_stays_as_it_is_says_why():
    class Own(tk.layers.TTDense):
        pass

    wrapped = keras.layers.TimeDistributed(tk.layers.TTDense(8, rank=2))
    model = keras.Sequential(
        [
            keras.Input((3, 8)),
            wrapped,
            Own(8, rank=2),
            keras.layers.Flatten(),
            tk.layers.MPSLayer(3, rank=4),
            keras.layers.Dense(3),
        ]
    )
    frozen, report = tk.freeze(model, 2, measure=False, return_report=True)
    became = [row.became.split(": ") for row in report.rows]
    assert became[0][0] != "as it is"
    assert [words[-1] for words in became[1:]] == [
        "a class of its own",
        "no step among its weights alone",
    ]
    assert_same(frozen, model, random_array((2, 3, 8)))


@on_tensorflow
@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_frozen_model_exports(format, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((6, 6, 8)),
            tk.layers.FactorizedConv2D(12, 3, tk.formats.Tucker(rank=2)),
            tk.layers.FactorizedConv2D(8, 1, tk.formats.CP(rank=2)),
            keras.layers.Flatten(),
            tk.layers.TTDense(WIDE, 2, (4, 4, 8), MODES),
            tk.layers.FactorizedDense(5, tk.formats.TensorRing(rank=2)),
        ]
    )
    path = tmp_path / f"model{FORMATS[format].suffix}"
    frozen = tk.freeze(model, 1, measure=False)
    report = tk.export(frozen, path, format=format)
    assert report.max_difference <= 1e-5
