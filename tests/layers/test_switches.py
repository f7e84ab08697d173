import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.layers.switches import (
    bond_norms,
    drop_bonds,
    learning_rate_scales,
    rank_lasso,
)
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    dense_weight,
    random_array,
    random_cores,
)

TRAIN = tk.formats.TensorTrain(4, (4, 4, 4), (2, 4, 4))


def layer_of(format=TRAIN, **arguments):
    layer = tk.layers.FactorizedDense(32, format, **arguments)
    layer.build((None, 64))
    return layer


def trained(layer, optimizer, steps=1):
    model = keras.Sequential([keras.Input((64,)), layer])
    model.compile(optimizer, loss="mse")
    x, y = random_array((64, 64)), random_array((64, 32), 1)
    for _ in range(steps):
        model.train_on_batch(x, y)
    return model


def test_dropping_bonds_keeps_the_mean_weight():
    network = TRAIN.bind((64,), (32,)).network
    cores = random_cores(network)
    seed = keras.random.SeedGenerator(0)
    draws = [
        dense_weight(network, drop_bonds(network, cores, 0.3, seed))
        for _ in range(400)
    ]
    expected = dense_weight(network, cores)
    spread = np.std(draws, axis=0) / np.sqrt(len(draws))
    deviations = (np.mean(draws, axis=0) - expected) / spread
    assert np.std(draws, axis=0).min() > 0
    assert np.sqrt(np.mean(deviations**2)) == pytest.approx(1.0, abs=0.25)


def test_every_bond_loses_whole_entries():
    network = TRAIN.bind((64,), (32,)).network
    ones = [np.ones(shape, "float32") for shape in network.core_shapes]
    seed = keras.random.SeedGenerator(1)
    first, second, third = map(as_numpy, drop_bonds(network, ones, 0.5, seed))
    for core, axes in ((first, (0, 1)), (second, (0, 1, 2))):
        kept = core.max(axis=axes)
        np.testing.assert_array_equal(core.min(axis=axes), kept)
        assert set(kept) <= {0.0, 2.0}
    np.testing.assert_array_equal(third, ones[2])


@pytest.mark.parametrize(
    "format",
    [TRAIN, tk.formats.BlockTensorTrain(4)],
    ids=str,
)
def test_dropout_acts_in_training_only(format):
    layer = layer_of(format, bond_dropout=0.5)
    x = random_array((3, 64))
    expected = layer_of(format)
    expected.set_cores([as_numpy(core) for core in layer.cores])
    assert_close(layer(x), expected(x))
    assert np.abs(as_numpy(layer(x, training=True) - expected(x))).max() > 1e-3


def test_a_layer_without_dropout_has_no_seed():
    assert len(layer_of().variables) == 4
    assert len(layer_of(bond_dropout=0.1).variables) == 5


def test_the_lasso_is_the_sum_of_the_norms_of_all_bond_entries():
    network = TRAIN.bind((64,), (32,)).network
    first, second, third = cores = random_cores(network)
    expected = sum(
        np.sqrt(np.sum(a[..., n] ** 2) + np.sum(b[n] ** 2))
        for a, b in ((first, second), (second, third))
        for n in range(4)
    )
    assert float(as_numpy(rank_lasso(network, cores))) == pytest.approx(
        expected, 1e-5
    )
    norms = bond_norms(network, cores)
    assert {label: tuple(x.shape) for label, x in norms.items()} == {
        "r1": (4,),
        "r2": (4,),
    }


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_lasso_is_part_of_the_loss_once(calls, scaled):
    layer = layer_of(rank_penalty=0.5, scale_learning_rates=scaled)
    for _ in range(calls):
        layer(random_array((2, 64)))
    lasso = as_numpy(rank_lasso(layer.format.network, layer.cores))
    losses = as_numpy(sum(layer.losses))
    assert float(losses) == pytest.approx(0.5 * float(lasso), 1e-5)


def test_a_regularizer_acts_on_cores_and_not_on_what_holds_them():
    squares = []
    for scaled in (False, True):
        keras.utils.set_random_seed(0)
        layer = layer_of(scale_learning_rates=scaled, kernel_regularizer="l2")
        expected = sum(0.01 * np.sum(as_numpy(x) ** 2) for x in layer.cores)
        squares.append(float(as_numpy(sum(layer.losses))))
        assert squares[-1] == pytest.approx(expected, 1e-4)
    assert squares[0] == pytest.approx(squares[1], 1e-4)


def test_the_lasso_empties_bond_entries():
    spreads = []
    for penalty in (0.0, 0.05):
        keras.utils.set_random_seed(0)
        layer = layer_of(rank_penalty=penalty)
        trained(layer, keras.optimizers.Adam(1e-2), steps=150)
        norms = bond_norms(layer.format.network, layer.cores)
        spreads.append(min(as_numpy(norm).min() for norm in norms.values()))
    assert spreads[1] < 0.05 < spreads[0]


def test_learning_rates_are_those_of_the_fan_ins():
    network = TRAIN.bind((64,), (32,)).network
    # Fan-ins 4, 4 * 4 and 4 * 4 of a layer of 64 inputs and 3 cores.
    assert learning_rate_scales(network) == pytest.approx(
        (64 / 3 / 4, 64 / 3 / 16, 64 / 3 / 16)
    )
    low_rank = tk.formats.TensorTrain(8, (64, 1), (1, 32))
    low_rank = low_rank.bind((64,), (32,)).network
    assert learning_rate_scales(low_rank) == (0.5, 4.0)


def test_scaled_learning_rates_move_each_core_by_its_factor():
    plain = layer_of()
    scaled = layer_of(scale_learning_rates=True)
    before = [as_numpy(core) for core in plain.cores]
    scaled.set_cores(before)
    for core, expected in zip(scaled.cores, before, strict=True):
        assert_close(core, expected)
    x = random_array((2, 64))
    assert_close(scaled(x), plain(x))
    factors = learning_rate_scales(plain.format.network)
    for layer in (plain, scaled):
        trained(layer, keras.optimizers.Adam(1e-4, epsilon=1e-30))
    for n, factor in enumerate(factors):
        moved = [
            np.median(np.abs(as_numpy(layer.cores[n]) - before[n]))
            for layer in (plain, scaled)
        ]
        assert moved[1] / moved[0] == pytest.approx(factor, rel=0.05)


def test_recomputation_changes_no_gradient():
    weights = []
    for recompute in (False, True):
        keras.utils.set_random_seed(0)
        layer = layer_of(recompute=recompute)
        trained(layer, keras.optimizers.SGD(0.1), steps=3)
        weights.append(layer.get_weights())
    for plain, recomputed in zip(*weights, strict=True):
        assert_close(recomputed, plain)


@pytest.mark.skipif(
    backend.name() != "tensorflow", reason="the others have no such mode"
)
def test_recomputation_changes_no_gradient_of_an_eager_tape():
    import tensorflow as tf

    found = []
    for recompute in (False, True):
        keras.utils.set_random_seed(0)
        layer = layer_of(recompute=recompute)
        variables = [v.value for v in layer.trainable_variables]
        with tf.GradientTape() as tape:
            outputs = layer(random_array((8, 64)), training=True)
            loss = tf.reduce_sum(tf.sin(outputs))
        found.append(tape.gradient(loss, variables))
    for plain, recomputed in zip(*found, strict=True):
        assert_close(recomputed, plain)


@pytest.mark.skipif(backend.name() != "jax", reason="counts JAX's operations")
def test_recomputation_computes_again():
    import jax

    x = random_array((8, 64))

    def products(recompute):
        layer = layer_of(recompute=recompute, planning_batch=1024)
        values = [v.value for v in layer.trainable_variables]

        def loss(values):
            outputs, _ = layer.stateless_call(values, [], x, training=True)
            return outputs.sum()

        return str(jax.make_jaxpr(jax.grad(loss))(values)).count("dot_general")

    assert products(True) > products(False)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("bond_dropout", 1.0, r"`bond_dropout` must be a number in \[0, 1\)"),
        ("bond_dropout", "x", r"`bond_dropout` must be a number in \[0, 1\)"),
        ("rank_penalty", -1.0, "`rank_penalty` must be a number of at least 0"),
    ],
)
def test_values_out_of_range_are_refused(argument, value, message):
    with pytest.raises(ValueError, match=message):
        layer_of(**{argument: value})


@pytest.mark.parametrize("argument", ["scale_learning_rates", "recompute"])
def test_switches_are_true_or_false(argument):
    with pytest.raises(TypeError, match=f"`{argument}` must be True or False"):
        layer_of(**{argument: 1})


def test_the_switches_are_in_the_config(tmp_path):
    switches = {
        "bond_dropout": 0.25,
        "rank_penalty": 0.125,
        "scale_learning_rates": True,
        "recompute": True,
    }
    layer = layer_of(**switches)
    assert switches.items() <= layer.get_config().items()
    model = keras.Sequential([keras.Input((64,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = random_array((2, 64))
    np.testing.assert_array_equal(as_numpy(loaded(x)), as_numpy(model(x)))


def test_cores_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="takes the cores of its format"):
        layer_of().set_cores([np.ones((2, 2))])
