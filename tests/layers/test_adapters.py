"""Adapters beside the cores: what they add, and what is trained and kept."""

import keras
import numpy as np
import pytest
from keras import ops

import tensornet_keras as tk

TRAIN = tk.formats.TensorTrain(rank=3)
CASES = {
    "dense": (
        lambda **more: tk.layers.FactorizedDense(12, TRAIN, **more),
        (2, 5, 8),
        lambda layer, x: ops.matmul(x, layer.kernel),
    ),
    "low rank": (
        lambda **more: tk.layers.FactorizedDense(
            12, tk.formats.LowRank(rank=2), **more
        ),
        (3, 8),
        lambda layer, x: ops.matmul(x, layer.kernel),
    ),
    "tt dense": (
        lambda **more: tk.layers.TTDense(12, rank=3, **more),
        (3, 8),
        lambda layer, x: ops.matmul(x, layer.kernel),
    ),
    "einsum": (
        lambda **more: tk.layers.FactorizedEinsumDense(
            "abc,cde->abde", (None, 2, 6), TRAIN, bias_axes="de", **more
        ),
        (2, 5, 8),
        lambda layer, x: ops.einsum("abc,cde->abde", x, layer.kernel),
    ),
    "stack of einsum": (
        lambda **more: tk.layers.FactorizedEinsumDense(
            "abc,bcd->abd", (5, 6), TRAIN, **more
        ),
        (2, 5, 8),
        lambda layer, x: ops.einsum("abc,bcd->abd", x, layer.kernel),
    ),
    "convolution": (
        lambda **more: tk.layers.FactorizedConv2D(
            12, 3, TRAIN, strides=2, padding="same", **more
        ),
        (2, 9, 9, 8),
        lambda layer, x: ops.conv(x, layer.kernel, strides=2, padding="same"),
    ),
    "causal convolution": (
        lambda **more: tk.layers.FactorizedConv1D(
            12, 3, TRAIN, padding="causal", **more
        ),
        (2, 9, 8),
        lambda layer, x: ops.conv(
            ops.pad(x, ((0, 0), (2, 0), (0, 0))), layer.kernel
        ),
    ),
    "table": (
        lambda **more: tk.layers.FactorizedEmbedding(40, 12, TRAIN, **more),
        "ids",
        lambda layer, x: ops.take(layer.kernel, x, axis=0),
    ),
    "many ids": (
        lambda **more: tk.layers.FactorizedEmbedding(
            40, 12, TRAIN, deduplicate=True, **more
        ),
        "ids",
        lambda layer, x: ops.take(layer.kernel, x, axis=0),
    ),
    "tensor regression": (
        lambda **more: tk.layers.TensorRegression(
            6, tk.formats.CP(rank=3), **more
        ),
        (3, 4, 2),
        lambda layer, x: ops.tensordot(x, layer.kernel, 2),
    ),
}
each_case = pytest.mark.parametrize("case", CASES)


def inputs_of(shape):
    rng = np.random.default_rng(0)
    if shape == "ids":
        return rng.integers(0, 40, (3, 7)).astype("int32")
    return rng.normal(size=shape).astype("float32")


def adapted(case, rank=2, alpha=None):
    make, shape, _ = CASES[case]
    layer, x = make(), inputs_of(shape)
    before = ops.convert_to_numpy(layer(x))
    layer.enable_lora(rank, lora_alpha=alpha)
    return layer, x, before


def filled(layer, seed=1):
    """Gives both factors of an adapter, and the bias, random numbers."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(rng.normal(size=variable.shape))
    return layer


@each_case
def test_an_adapter_begins_with_nothing(case):
    layer, x, before = adapted(case)
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(found, before, atol=1e-5)


@each_case
def test_outputs_are_those_of_the_adapted_kernel(case):
    layer, x, before = adapted(case)
    filled(layer)
    reference = CASES[case][2](layer, x)
    if layer.bias is not None:
        reference = ops.add(reference, layer.bias)
    found = ops.convert_to_numpy(layer(x))
    np.testing.assert_allclose(
        found, ops.convert_to_numpy(reference), atol=1e-3, rtol=1e-4
    )
    assert np.abs(found - before).max() > 0.1


@each_case
def test_a_layer_with_an_adapter_comes_back_from_its_config(case):
    layer, x, _ = adapted(case, rank=3, alpha=5)
    filled(layer)
    again = type(layer).from_config(layer.get_config())
    again.build_from_config(layer.get_build_config())
    assert (again.lora_rank, again.lora_alpha) == (3, 5)
    assert [v.trainable for v in again.variables] == [
        v.trainable for v in layer.variables
    ]
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        ops.convert_to_numpy(again(x)), ops.convert_to_numpy(layer(x))
    )


@each_case
def test_a_rank_in_the_arguments_is_an_adapter(case):
    make, shape, _ = CASES[case]
    layer = make(lora_rank=2)
    layer(inputs_of(shape))
    assert layer.lora_enabled
    assert layer.lora_kernel_a.shape[-1] == 2 == layer.lora_kernel_b.shape[0]


def test_cores_are_held_and_the_bias_is_trained():
    layer, _, _ = adapted("dense")
    assert [v.name for v in layer.trainable_variables] == [
        "bias",
        "lora_kernel_a",
        "lora_kernel_b",
    ]


def test_the_scale_is_alpha_over_the_rank():
    one, x, before = adapted("low rank", rank=2)
    four, _, _ = adapted("low rank", rank=2, alpha=8)
    four.set_cores([ops.convert_to_numpy(core) for core in one.cores])
    filled(one), filled(four)
    bias = ops.convert_to_numpy(one.bias)
    once = ops.convert_to_numpy(one(x)) - before - bias
    often = ops.convert_to_numpy(four(x)) - before - bias
    np.testing.assert_allclose(often, 4 * once, rtol=1e-3, atol=1e-4)


def test_both_ways_of_a_reversible_table_have_the_adapter():
    layer = tk.layers.FactorizedReversibleEmbedding(40, 12, TRAIN)
    layer(inputs_of("ids"))
    layer.enable_lora(2)
    filled(layer)
    hidden = inputs_of((2, 3, 12))
    wanted = ops.matmul(hidden, ops.transpose(layer.kernel))
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(hidden, reverse=True)),
        ops.convert_to_numpy(wanted),
        atol=1e-3,
    )


def test_a_grouped_convolution_has_one_too():
    layer = tk.layers.FactorizedConv2D(12, 3, TRAIN, groups=2)
    x = inputs_of((2, 5, 5, 8))
    layer(x)
    layer.enable_lora(2)
    filled(layer)
    wanted = ops.add(ops.conv(x, layer.kernel), layer.bias)
    np.testing.assert_allclose(
        ops.convert_to_numpy(layer(x)),
        ops.convert_to_numpy(wanted),
        atol=1e-3,
    )


def test_the_regularizer_acts_on_the_factors():
    layer = tk.layers.FactorizedDense(
        12, TRAIN, kernel_regularizer=keras.regularizers.L2(0.5)
    )
    layer.build((None, 8))
    layer.enable_lora(2)
    filled(layer)
    factors = (layer.lora_kernel_a, layer.lora_kernel_b)
    squares = sum((ops.convert_to_numpy(x) ** 2).sum() for x in factors)
    losses = ops.convert_to_numpy(sum(layer.losses))
    assert losses == pytest.approx(0.5 * squares, rel=1e-5)


def test_training_moves_the_adapter_and_not_the_cores():
    layer = tk.layers.FactorizedDense(1, TRAIN)
    model = keras.Sequential([keras.Input((8,)), layer])
    layer.enable_lora(2)
    cores = [ops.convert_to_numpy(core).copy() for core in layer.cores]
    x = inputs_of((64, 8))
    model.compile(keras.optimizers.Adam(0.05), "mse")
    losses = model.fit(x, x[:, :1], epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]
    for before, core in zip(cores, layer.cores, strict=True):
        np.testing.assert_array_equal(before, ops.convert_to_numpy(core))


def test_int8_cores_are_trained_around():
    layer = tk.layers.FactorizedDense(12, TRAIN)
    model = keras.Sequential([keras.Input((8,)), layer])
    layer.quantize("int8")
    x = inputs_of((3, 8))
    before = ops.convert_to_numpy(model(x))
    layer.enable_lora(2)
    np.testing.assert_array_equal(before, ops.convert_to_numpy(model(x)))
    assert len(model.trainable_variables) == 3


def test_a_saved_model_has_its_adapters(tmp_path):
    layer = tk.layers.FactorizedDense(12, TRAIN)
    model = keras.Sequential([keras.Input((8,)), layer])
    layer.enable_lora(2)
    filled(layer)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    assert again.layers[0].lora_enabled
    x = inputs_of((3, 8))
    np.testing.assert_array_equal(
        ops.convert_to_numpy(model(x)), ops.convert_to_numpy(again(x))
    )


def test_one_adapter_of_a_whole_rank_on_a_built_layer():
    layer = tk.layers.FactorizedDense(12, TRAIN)
    with pytest.raises(ValueError, match="added to a built layer.*Received"):
        layer.enable_lora(2)
    layer.build((None, 8))
    with pytest.raises(ValueError, match="`rank` must .*Received: rank=0"):
        layer.enable_lora(0)
    layer.enable_lora(2)
    with pytest.raises(ValueError, match="has one adapter.*of rank 2"):
        layer.enable_lora(3)


def test_kernels_of_loops_and_contractions_take_none():
    loop = tk.layers.FactorizedLSTM(6, TRAIN)
    loop.build((None, 5, 4))
    contraction = tk.layers.TensorContraction((2, 2))
    contraction.build((None, 4, 4))
    for layer in (loop.cell.input_kernel, contraction):
        with pytest.raises(NotImplementedError, match="take no\\s+adapters"):
            layer.enable_lora(2)
    with pytest.raises(NotImplementedError, match="take no"):
        tk.layers.TensorContraction((2, 2), lora_rank=2)


@pytest.mark.parametrize("alpha", ["big", float("nan"), True])
def test_a_scale_is_a_number(alpha):
    layer = tk.layers.FactorizedDense(12, TRAIN)
    layer.build((None, 8))
    with pytest.raises(ValueError, match="`lora_alpha` must be a finite"):
        layer.enable_lora(2, lora_alpha=alpha)
    with pytest.raises(ValueError, match="`lora_alpha` must be a finite"):
        tk.layers.FactorizedDense(12, TRAIN, lora_rank=2, lora_alpha=alpha)


def test_a_scale_without_an_adapter_is_refused():
    with pytest.raises(ValueError, match="lora_alpha=5 without a lora_rank"):
        tk.layers.FactorizedDense(12, TRAIN, lora_alpha=5)


def test_an_adapter_keeps_to_the_memory_of_its_layer():
    layer = tk.layers.FactorizedDense(
        512, tk.formats.LowRank(2), max_memory=50_000
    )
    x = inputs_of((1024, 256))
    layer(x)
    layer.enable_lora(64)
    with pytest.raises(ValueError, match="`max_memory` must be at least"):
        layer(x)
    small = ops.convert_to_numpy(layer(x[:64]))
    np.testing.assert_allclose(
        small, ops.convert_to_numpy(layer(x[:128]))[:64], atol=1e-4
    )
