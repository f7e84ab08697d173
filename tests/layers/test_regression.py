"""Tensor regression and tensor contraction against NumPy and Keras."""

import json

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.contraction import plan_for
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    dense_weight,
    random_array,
)
from tests.laws.test_gradients import chain_rule, gradients
from tests.laws.tracing import traced_with_unknown_sizes

formats = tk.formats
TensorContraction = tk.layers.TensorContraction
TensorRegression = tk.layers.TensorRegression
SHAPE = (3, 4, 5, 6)
INPUTS = random_array(SHAPE)
TUCKER = formats.Tucker(rank=3)
# A format as a user writes it, and the modes that it gets.
FORMATS = [
    (formats.Tucker(rank=(2, 3, 3, 4)), ((4, 5, 6), (7,))),
    (formats.CP(rank=4), ((4, 5, 6), (7,))),
    (formats.TensorTrain(rank=3), ((4, 5, 6), (7, 1, 1))),
    (formats.TensorTrain(3, (20, 6), (1, 7)), ((20, 6), (1, 7))),
    (
        formats.EinsumNetwork("i1 a, i2 b, i3 c, a b d, c d j1", rank=2),
        ((4, 5, 6), (7,)),
    ),
]
every_format = pytest.mark.parametrize(
    ("format", "modes"), FORMATS, ids=lambda value: str(value)
)


def regression(format=TUCKER, **arguments):
    layer = TensorRegression(
        7, format, bias_initializer="random_normal", **arguments
    )
    layer.build(SHAPE)
    return layer


def contraction(**arguments):
    layer = TensorContraction((2, 3, 4), **arguments)
    layer.build(SHAPE)
    return layer


@every_format
def test_a_regression_is_an_inner_product_with_a_tensor(format, modes):
    layer = regression(format, activation="tanh")
    assert (layer.format.input_modes, layer.format.output_modes) == modes
    weight = dense_weight(layer.format.network, layer.cores)
    weight = weight.reshape(4, 5, 6, 7)
    assert_close(layer.kernel, weight)
    sums = np.einsum("nabc,abcj->nj", INPUTS, weight) + as_numpy(layer.bias)
    assert_close(layer(INPUTS), np.tanh(sums))
    assert layer.compute_output_shape(SHAPE) == (3, 7)
    assert layer.count_params() == layer.format.num_params + 7


def test_a_tucker_regression_is_the_formula_of_the_paper():
    layer = regression(formats.Tucker(rank=(2, 3, 3, 4)), use_bias=False)
    first, second, third, core, last = map(as_numpy, layer.cores)
    weight = np.einsum(
        "ia,jb,kc,abcd,dl->ijkl", first, second, third, core, last
    )
    assert_close(layer(INPUTS), np.einsum("nijk,ijkl->nl", INPUTS, weight))


def test_a_regression_is_flatten_and_dense_in_one():
    layer = regression(activation="softmax")
    dense = keras.layers.Dense(7, activation="softmax")
    dense.build((None, 120))
    kernel = as_numpy(layer.kernel).reshape(120, 7)
    dense.set_weights([kernel, as_numpy(layer.bias)])
    assert_close(layer(INPUTS), dense(INPUTS.reshape(3, 120)))


@pytest.mark.parametrize("bias", [False, True])
def test_a_contraction_multiplies_every_mode_by_its_factor(bias):
    layer = contraction(use_bias=bias, bias_initializer="random_normal")
    factors = [as_numpy(core) for core in layer.cores]
    assert [each.shape for each in factors] == [(4, 2), (5, 3), (6, 4)]
    expected = np.einsum("nabc,ai,bj,ck->nijk", INPUTS, *factors)
    kernel = np.einsum("ai,bj,ck->abcijk", *factors)
    assert_close(layer.kernel, kernel)
    if bias:
        assert tuple(layer.bias.shape) == (2, 3, 4)
        expected = expected + as_numpy(layer.bias)
    assert_close(layer(INPUTS), expected)
    assert layer.compute_output_shape(SHAPE) == (3, 2, 3, 4)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_a_contraction_is_planned_for_its_batch(batch):
    layer = contraction()
    assert layer.plan(batch) == plan_for(layer.format.network, batch)
    inputs = random_array((batch, *SHAPE[1:]))
    factors = [as_numpy(core) for core in layer.cores]
    expected = np.einsum("nabc,ai,bj,ck->nijk", inputs, *factors)
    assert_close(layer(inputs), expected)


def test_a_single_mode_is_a_dense_layer():
    layer = TensorContraction((3,), use_bias=True, bias_initializer="ones")
    inputs = random_array((2, 5))
    outputs = layer(inputs)
    assert_close(outputs, inputs @ as_numpy(layer.cores[0]) + 1)
    layer = TensorRegression(9, formats.TensorTrain(rank=2))
    outputs = layer(random_array((2, 16)))
    assert layer.format.input_modes == (4, 4)
    assert tuple(outputs.shape) == (2, 9)


@pytest.mark.parametrize("make", [regression, contraction])
def test_a_gradient_reaches_every_core(make):
    layer = make()
    network = layer.format.network
    dense = keras.layers.Dense(network.output_size, use_bias=False)
    dense.build((None, network.input_size))
    kernel = dense_weight(network, layer.cores)
    dense.set_weights([kernel])
    cores = [as_numpy(core).astype("float64") for core in layer.cores]
    targets = random_array(layer.compute_output_shape(SHAPE), seed=1)
    bias = 0 if layer.bias is None else as_numpy(layer.bias)
    found = gradients(layer, layer.core_variables, INPUTS, targets)
    flat = (targets - bias).reshape(3, -1)
    [of_kernel] = gradients(dense, [dense.kernel], INPUTS.reshape(3, -1), flat)
    for number, gradient in enumerate(found):
        expected = chain_rule(network, cores, number, of_kernel)
        atol = 1e-4 * np.abs(expected).max()
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("make", [regression, contraction])
def test_the_config_survives_json_before_and_after_building(make):
    built = make(activation="relu", planning_batch=4)
    fresh = type(built).from_config(built.get_config())
    for layer in (fresh, built):
        config = layer.get_config()
        again = type(layer).from_config(json.loads(json.dumps(config)))
        assert json.dumps(again.get_config()) == json.dumps(config)
        again.build(SHAPE)
        assert again.format == built.format


def test_a_saved_model_loads_with_the_same_outputs(tmp_path):
    model = keras.Sequential(
        [
            keras.Input(SHAPE[1:]),
            TensorContraction((3, 4, 4), use_bias=True),
            TensorRegression(7, formats.CP(rank=3), activation="softmax"),
        ]
    )
    expected = as_numpy(model(INPUTS))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in loaded.layers] == [
        TensorContraction,
        TensorRegression,
    ]
    np.testing.assert_array_equal(as_numpy(loaded(INPUTS)), expected)


@pytest.mark.parametrize("make", [regression, contraction])
def test_the_batch_may_be_unknown(make):
    layer = make()
    model = keras.Sequential([keras.Input(SHAPE[1:]), layer])
    assert model.output_shape == layer.compute_output_shape((None, *SHAPE[1:]))
    expected = as_numpy(layer(INPUTS))
    flat = INPUTS.reshape(3, -1)
    folded = keras.Sequential(
        [keras.Input((120,)), keras.layers.Reshape(SHAPE[1:]), layer]
    )
    assert_close(traced_with_unknown_sizes(folded, flat), expected)


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
@pytest.mark.parametrize("make", [regression, contraction])
def test_short_types(make, policy):
    layer = make(dtype=policy)
    short = policy.removeprefix("mixed_")
    outputs = layer(INPUTS)
    assert keras.backend.standardize_dtype(outputs.dtype) == short
    single = make()
    for variable, other in zip(single.weights, layer.weights, strict=True):
        variable.assign(keras.ops.cast(other, "float32"))
    outputs = keras.ops.cast(outputs, "float32")
    assert_close(outputs, single(INPUTS), short)


def test_a_head_of_both_layers_learns():
    model = keras.Sequential(
        [
            keras.Input(SHAPE[1:]),
            TensorContraction((4, 4, 4), activation="relu"),
            TensorRegression(3, TUCKER),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), loss="mse")
    targets = random_array((3, 3), seed=3)
    losses = [model.train_on_batch(INPUTS, targets) for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_kernel_of_a_contraction_has_the_variance_asked_for():
    layer = TensorContraction((16, 32), kernel_initializer="he_normal")
    layer.build((None, 32, 16))
    kernel = as_numpy(layer.kernel)
    assert np.mean(np.square(kernel)) == pytest.approx(2 / 512, rel=1e-3)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"Received: input_shape=\(2, None"):
        TensorRegression(7, formats.CP(rank=2)).build((2, None, 4))
    with pytest.raises(ValueError, match=r"one size for.*Pass 2 sizes"):
        TensorContraction((2, 3, 4)).build((None, 5, 6))
    with pytest.raises(ValueError, match="is incompatible"):
        contraction()(random_array((3, 4, 5, 7)))
    with pytest.raises(ValueError, match="`output_shape`"):
        TensorContraction((2, 0))
    with pytest.raises(ValueError, match="`units` .*Received: units=0"):
        TensorRegression(0, formats.CP(rank=2))


@pytest.mark.parametrize("name", ["bond_dropout", "rank_penalty"])
def test_a_contraction_has_no_bonds_to_act_on(name):
    with pytest.raises(ValueError, match=f"no `{name}`.*{name}=0.1"):
        TensorContraction((2, 3), **{name: 0.1})
    regression(**{name: 0.1})(INPUTS, training=True)
