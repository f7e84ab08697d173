import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.laws.oracles import as_numpy, assert_close, random_array

FORMATS = [
    tk.formats.TensorTrain(5, (4, 4, 4), (2, 4, 4)),
    tk.formats.BlockTensorTrain(5),
    tk.formats.TensorTrain(5, (8, 8), (8, 4)),
]


def model_with(layer):
    return keras.Sequential(
        [keras.Input((64,)), layers.Dense(64, name="dense"), layer]
    )


def dulled(layer, factor):
    """Makes the last two entries of every bond lighter by a factor."""
    network = layer.format.network
    cores = [as_numpy(core).copy() for core in layer.cores]
    for label, size in network.bonds:
        number = next(n for n, x in enumerate(network.cores) if label in x)
        scale = np.where(np.arange(size) < size - 2, 1.0, factor)
        shape = [1] * cores[number].ndim
        shape[network.cores[number].index(label)] = size
        cores[number] = cores[number] * scale.reshape(shape)
    layer.set_cores(cores)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_entries_that_are_zero_go_and_nothing_changes(format):
    layer = tk.layers.FactorizedDense(32, format, name="factorized")
    model = model_with(layer)
    dulled(layer, 0.0)
    small, report = tk.prune(model, 0.0)
    pruned = small.get_layer("factorized")
    assert pruned.format.rank == tuple(r - 2 for r in layer.format.rank)
    x = random_array((3, 64))
    assert_close(small(x), model(x))
    [row] = report.replaced
    assert row.path == "sequential/factorized"
    assert row.relative_error < 1e-6
    assert report.params_after == small.count_params() < report.params_before
    assert row.params_after == pruned.count_params()


def test_light_entries_go_and_the_error_is_reported():
    layer = tk.layers.FactorizedDense(32, FORMATS[0], name="factorized")
    model = model_with(layer)
    dulled(layer, 1e-3)
    before = as_numpy(layer.kernel)
    small, report = tk.prune(model, 0.01)
    after = as_numpy(small.get_layer("factorized").kernel)
    missed = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert 0 < missed < 0.01
    assert report.replaced[0].relative_error == pytest.approx(missed, rel=1e-3)


def test_a_layer_without_idle_entries_stays():
    layer = tk.layers.FactorizedDense(32, FORMATS[0], name="factorized")
    model = model_with(layer)
    small, report = tk.prune(model, 1e-6)
    assert [row.reason for row in report.rows] == ["kind", "no idle rank"]
    assert small.get_layer("factorized").format == layer.format


def test_the_source_model_keeps_its_ranks_and_weights():
    layer = tk.layers.FactorizedDense(32, FORMATS[0], name="factorized")
    model = model_with(layer)
    dulled(layer, 0.0)
    before = model.get_weights()
    small, _ = tk.prune(model)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    assert not {id(v) for v in model.variables} & {
        id(v) for v in small.variables
    }


def test_a_kernel_of_zeros_keeps_its_ranks():
    layer = tk.layers.FactorizedDense(
        32, FORMATS[0], kernel_initializer="zeros", name="factorized"
    )
    small, _ = tk.prune(model_with(layer))
    assert small.get_layer("factorized").format == layer.format


@pytest.mark.parametrize("kind", ["TTDense", "TTConv2D"])
def test_the_named_layers_keep_their_kind(kind):
    if kind == "TTDense":
        layer, shape = tk.layers.TTDense(64, rank=4, name="tt"), (64,)
    else:
        layer = tk.layers.TTConv2D(16, 3, rank=4, name="tt")
        shape = (5, 5, 16)
    model = keras.Sequential([keras.Input(shape), layer])
    dulled(layer, 0.0)
    small, _ = tk.prune(model)
    assert type(small.get_layer("tt")) is type(layer)
    x = random_array((2, *shape))
    assert_close(small(x), model(x))


def test_switches_and_frozen_cores_are_carried_over():
    layer = tk.layers.FactorizedDense(
        32,
        FORMATS[0],
        scale_learning_rates=True,
        rank_penalty=0.1,
        name="factorized",
    )
    model = model_with(layer)
    dulled(layer, 0.0)
    layer.core_variables[1].trainable = False
    small, _ = tk.prune(model)
    pruned = small.get_layer("factorized")
    assert pruned.scale_learning_rates
    assert pruned.rank_penalty == 0.1
    assert [v.trainable for v in pruned.core_variables] == [True, False, True]
    x = random_array((3, 64))
    assert_close(small(x), model(x))


def test_plans_that_were_tuned_for_the_old_ranks_go():
    layer = tk.layers.FactorizedDense(32, FORMATS[0], name="factorized")
    model = model_with(layer)
    dulled(layer, 0.0)
    order = ((2, (1, 0)),)
    tk.autotune(model, batch_size=4, candidates=2)
    for key in layer.tuned_plans:
        layer.tuned_plans[key] = {"order": order, "tiles": 1}
    pruned = tk.prune(model)[0].get_layer("factorized")
    assert layer.plan(4).order == order
    assert pruned.tuned_plans == {}
    assert pruned.plan(4).order != order


def test_an_activation_that_is_a_layer_keeps_its_state():
    prelu = layers.PReLU(alpha_initializer="ones")
    layer = tk.layers.FactorizedDense(
        32, FORMATS[0], activation=prelu, name="factorized"
    )
    model = model_with(layer)
    dulled(layer, 0.0)
    x = random_array((3, 64))
    model(x)
    prelu.alpha.assign(np.full(prelu.alpha.shape, 0.5))
    small, _ = tk.prune(model)
    assert_close(small(x), model(x))


def test_a_threshold_out_of_range_is_refused():
    layer = tk.layers.FactorizedDense(32, FORMATS[0])
    with pytest.raises(ValueError, match=r"`threshold` must be .* \[0, 1\)"):
        tk.prune(model_with(layer), 1.5)


@pytest.mark.parametrize("kind", ["FactorizedLSTM", "FactorizedGRU"])
def test_both_kernels_of_a_loop_are_pruned(kind):
    layer = getattr(tk.layers, kind)(16, tk.formats.LowRank(6), name="loop")
    model = keras.Sequential([keras.Input((5, 12)), layer])
    for kernel in (layer.cell.input_kernel, layer.cell.state_kernel):
        dulled(kernel, 0.0)
    small, report = tk.prune(model)
    x = random_array((2, 5, 12))
    assert_close(small(x), model(x))
    assert small.get_layer("loop").format.rank == (4,)
    assert small.get_layer("loop").recurrent_format.rank == (4,)
    assert report.rows[0].params_after == small.count_params()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_error_of_short_types_is_that_of_the_cores(dtype):
    layer = tk.layers.FactorizedDense(32, FORMATS[0], dtype=dtype, name="f")
    model = keras.Sequential([keras.Input((64,), dtype=dtype), layer])
    layer_cores = [as_numpy(c).astype("float32") for c in layer.cores]
    layer_cores[0][..., 3:] = 0
    layer.set_cores(layer_cores)
    _, report = tk.prune(model)
    assert report.replaced[0].relative_error < 1e-6


def test_a_layer_that_is_not_finite_stays():
    layer = tk.layers.FactorizedDense(32, FORMATS[0], name="factorized")
    model = model_with(layer)
    cores = [as_numpy(core).copy() for core in layer.cores]
    cores[0].flat[0] = np.nan
    layer.set_cores(cores)
    _, report = tk.prune(model)
    assert report.rows[-1].reason == "not finite"
