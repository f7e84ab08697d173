"""The recurrent layers are Keras' layers with the kernels of their cores."""

import json

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.contraction import candidates
from tensornet_keras.layers import planning
from tests.laws.oracles import as_numpy, assert_close, random_array
from tests.laws.tracing import traced, traced_with_unknown_sizes
from tests.layers.recurrent_twins import (
    INPUTS,
    KINDS,
    SHAPE,
    UNITS,
    factorized,
    fill,
    twin_of,
)

# PyTorch's compiler takes minutes; there the same models run eagerly.
JIT_COMPILE = backend.name() != "torch"
OPTIONS = [
    {},
    {"return_sequences": True},
    {"return_sequences": True, "return_state": True},
    {"return_sequences": True, "go_backwards": True},
    {"unroll": True, "return_state": True},
    {"use_bias": False},
    {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
]
DROPOUT = [
    {"dropout": 0.4},
    {"recurrent_dropout": 0.4},
    {"dropout": 0.3, "recurrent_dropout": 0.5},
    {"dropout": 0.4, "implementation": 1},
    {"dropout": 1.0},
]
# The other backends start operations slowly: they get every second one.
SOME = slice(None, None, 1 if backend.name() == "tensorflow" else 2)
every_kind = pytest.mark.parametrize("kind", KINDS)


def assert_all_close(found, expected):
    found, expected = map(keras.tree.flatten, (found, expected))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other)


@every_kind
@pytest.mark.parametrize("options", OPTIONS[SOME], ids=str)
def test_outputs_are_those_of_the_keras_layer(kind, options):
    layer = factorized(kind, **options)
    expected = twin_of(layer)(INPUTS)
    assert_all_close(layer(INPUTS), expected)
    shapes = [tuple(each.shape) for each in keras.tree.flatten(expected)]
    computed = layer.compute_output_shape(SHAPE)
    many = options.get("return_state", False)
    assert [tuple(shape) for shape in (computed if many else [computed])] == (
        shapes
    )


@every_kind
@pytest.mark.parametrize("options", DROPOUT[SOME], ids=str)
def test_dropout_is_that_of_the_keras_layer_of_the_same_seed(kind, options):
    layer = factorized(kind, seed=7, return_sequences=True, **options)
    more = {k: v for k, v in options.items() if k == "implementation"}
    twin = twin_of(layer, use_cudnn=False, **more)
    for _ in range(2):
        expected = twin(INPUTS, training=True)
        assert_close(layer(INPUTS, training=True), expected)
    assert_close(layer(INPUTS), twin(INPUTS))


@every_kind
def test_the_kernels_are_those_of_the_cores(kind):
    layer = factorized(kind)
    twin = twin_of(layer)
    assert_close(layer.kernel, twin.cell.kernel)
    assert_close(layer.recurrent_kernel, twin.cell.recurrent_kernel)
    shapes = (*layer.format.core_shapes, *layer.recurrent_format.core_shapes)
    assert tuple(tuple(core.shape) for core in layer.cores) == shapes
    bias = keras.ops.size(layer.bias)
    factors = layer.format.num_params + layer.recurrent_format.num_params
    assert layer.count_params() == factors + bias
    assert layer.format.output_dims == (layer.cell.gates, UNITS)


@every_kind
@pytest.mark.parametrize("sequences", [False, True])
def test_masked_steps_are_passed_over(kind, sequences):
    layer = factorized(kind, return_sequences=sequences)
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [1] * 5], bool)
    expected = twin_of(layer)(INPUTS, mask=mask)
    assert_close(layer(INPUTS, mask=mask), expected)
    masked = keras.layers.Masking()(INPUTS * mask[..., None])
    assert_close(layer(masked)[:2], expected[:2])


@every_kind
def test_an_initial_state_is_taken(kind):
    layer = factorized(kind)
    states = [random_array((3, UNITS), seed) for seed in (1, 2)]
    states = states[: len(layer.state_size)]
    expected = twin_of(layer)(INPUTS, initial_state=states)
    assert_close(layer(INPUTS, initial_state=states), expected)


@every_kind
def test_a_stateful_layer_goes_on_where_it_was(kind):
    layer = factorized(kind, stateful=True, return_sequences=True)
    whole = factorized(kind, return_sequences=True)
    whole.set_cores([as_numpy(core) for core in layer.cores])
    whole.bias.assign(as_numpy(layer.bias))
    parts = [as_numpy(layer(INPUTS[:, :2])), as_numpy(layer(INPUTS[:, 2:]))]
    assert_close(np.concatenate(parts, axis=1), whole(INPUTS))
    layer.reset_state()
    assert_close(layer(INPUTS[:, :2]), parts[0])


@every_kind
def test_both_directions_at_once(kind):
    inner = factorized(kind, built=False, return_sequences=True)
    both = keras.layers.Bidirectional(inner)
    outputs = both(INPUTS)
    assert type(both.backward_layer) is type(inner)
    kept = twin_of(both.forward_layer, name="kept")
    twin = keras.layers.Bidirectional(kept)
    twin.build(SHAPE)
    fill(twin.forward_layer, both.forward_layer)
    fill(twin.backward_layer, both.backward_layer)
    assert_close(outputs, twin(INPUTS))


@every_kind
def test_batches_and_lengths_may_be_unknown(kind):
    layer = factorized(kind, return_sequences=True)
    model = keras.Sequential([keras.Input((None, SHAPE[-1])), layer])
    assert model.output_shape == (None, None, UNITS)
    expected = twin_of(layer)(INPUTS)
    assert_close(traced_with_unknown_sizes(model, INPUTS), expected)


@every_kind
@pytest.mark.parametrize("unroll", [False, True])
def test_a_state_may_meet_its_cores_one_by_one(kind, unroll, monkeypatch):
    def one_by_one(network, batch, positions, rebuild_only, *more, **named):
        plans = candidates(network)
        return next(p for p in plans if p.rebuilds == rebuild_only)

    layer = factorized(kind, unroll=unroll)
    expected = twin_of(layer)(INPUTS)
    monkeypatch.setattr(planning, "plan_for", one_by_one)
    assert layer.recurrent_plan().rebuilds == (kind == "GRU-before")
    assert_close(traced(layer, INPUTS), expected)


def test_one_layer_runs_formats_of_its_own_in_each_kernel():
    ring = tk.formats.TensorRing(rank=2)
    layer = factorized("LSTM", recurrent_format=ring, return_sequences=True)
    assert (layer.format.name, layer.recurrent_format.name) == ("tt", "tr")
    assert_close(layer(INPUTS), twin_of(layer)(INPUTS))


def test_compiled_models_predict_and_train():
    model = keras.Sequential(
        [
            keras.Input(SHAPE[1:]),
            factorized("LSTM", built=False, return_sequences=True),
            factorized("GRU", built=False),
        ]
    )
    eager = as_numpy(model(INPUTS))
    model.compile(
        keras.optimizers.Adam(0.03), loss="mse", jit_compile=JIT_COMPILE
    )
    assert_close(model.predict_on_batch(INPUTS), eager)
    targets = random_array((3, UNITS), seed=1) / 3
    losses = [model.train_on_batch(INPUTS, targets) for _ in range(8)]
    assert losses[-1] < 0.9 * losses[0]


@every_kind
def test_the_config_survives_json_before_and_after_building(kind):
    arguments = {"dropout": 0.1, "seed": 3, "rank_penalty": 0.5}
    for built in (False, True):
        layer = factorized(kind, built=built, **arguments)
        config = layer.get_config()
        again = type(layer).from_config(json.loads(json.dumps(config)))
        assert json.dumps(again.get_config()) == json.dumps(config)
        again.build(SHAPE)
        bound = factorized(kind)
        assert again.format == bound.format
        assert again.recurrent_format == bound.recurrent_format


def test_all_arguments_of_keras_come_back():
    arguments = {
        "activation": "relu",
        "recurrent_activation": "tanh",
        "use_bias": False,
        "kernel_initializer": "he_normal",
        "recurrent_initializer": "glorot_normal",
        "kernel_regularizer": "l1",
        "recurrent_regularizer": "l2",
        "bias_regularizer": "l2",
        "activity_regularizer": "l1",
        "bias_constraint": "non_neg",
        "dropout": 0.1,
        "recurrent_dropout": 0.2,
        "seed": 4,
        "return_sequences": True,
        "zero_output_for_mask": True,
        "name": "steps",
        "trainable": False,
        "dtype": "mixed_bfloat16",
    }
    for kind in ("LSTM", "GRU"):
        config = factorized(kind, built=False, **arguments).get_config()
        twin = getattr(keras.layers, kind)(UNITS, **arguments).get_config()
        left_out = set(twin) - set(config)
        assert left_out == {"kernel_constraint", "recurrent_constraint"}
        for name in set(twin) - left_out - {"bias_initializer"}:
            assert config[name] == twin[name], name


def test_a_saved_model_loads_with_the_same_outputs(tmp_path):
    model = keras.Sequential(
        [
            keras.Input(SHAPE[1:]),
            factorized("LSTM", built=False, return_sequences=True),
            keras.layers.Bidirectional(factorized("GRU", built=False)),
        ]
    )
    expected = as_numpy(model(INPUTS))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_close(loaded(INPUTS), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"units": 0}, ValueError, "`units` .*Received: units=0"),
        ({"units": 2.5}, TypeError, "`units` .*Received: units=2.5"),
        ({"kernel_constraint": "max_norm"}, ValueError, "kernel_constraint"),
        ({"recurrent_constraint": "max_norm"}, ValueError, "recurrent_reg"),
        ({"use_cudnn": True}, ValueError, "Leave use_cudnn out"),
        ({"format": tk.formats.TensorTrain()}, ValueError, "needs a rank"),
        ({"recurrent_initializer": "ones"}, ValueError, "Orthogonal"),
        ({"dtype": "int8_from_float32"}, ValueError, "quantized"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_had(arguments, error, message):
    with pytest.raises(error, match=message):
        factorized("LSTM", **{"units": UNITS, "built": False} | arguments)


def test_modes_of_one_kernel_alone_name_the_other():
    layer = factorized(
        "LSTM",
        built=False,
        format=tk.formats.TensorTrain(2, (5, 2, 1), (4, 3, 2)),
    )
    with pytest.raises(ValueError, match=r"multiply to.*recurrent_format="):
        layer.build(SHAPE)


def test_sizes_must_be_known_to_build():
    with pytest.raises(ValueError, match=r"input_shape=\(None, 4, None\)"):
        factorized("GRU", built=False).build((None, 4, None))
    with pytest.raises(ValueError, match="is incompatible"):
        factorized("GRU")(INPUTS[..., :4])
    with pytest.raises(ValueError, match="other than|fits only the sizes"):
        tk.layers.FactorizedLSTM(4, factorized("LSTM").format).build(SHAPE)


def test_formats_are_plain_data_too():
    layer = tk.layers.FactorizedLSTM(4, {"name": "tt", "rank": [2]})
    expected = tk.formats.TensorTrain(rank=(2,))
    assert layer.format == layer.recurrent_format == expected
