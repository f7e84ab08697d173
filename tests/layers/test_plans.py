import dataclasses
import math

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.contraction import candidates, devices, plan_for
from tensornet_keras.layers import factorized, planning
from tests.laws.oracles import assert_close, random_array

MODES = (2, 7, 8, 8, 7, 4), (4,) * 6


def dense(shape=(None, 25088), **arguments):
    layer = tk.layers.TTDense(4096, 4, *MODES, **arguments)
    layer.build(shape)
    return layer


def test_a_layer_plans_for_the_shape_it_was_built_with():
    assert dense().plan() == plan_for(dense().format.network)
    assert dense((32, 25088)).plan().batch == 32


def test_an_int_is_the_batch_of_that_shape():
    assert dense().plan(100) == plan_for(dense().format.network, 100)


def test_axes_between_batch_and_last_are_rows_of_every_example():
    layer = tk.layers.TTDense(6, rank=2)
    layer.build((None, 3, 5, 8))
    assert layer.plan().batch is None
    assert layer.plan().positions == ((3, 5), (3, 5))
    assert layer.plan(4).batch == 4
    assert layer.plan(4).sizes["batch"] == 4 * 3 * 5
    assert layer.plan((2, 7, 8)).positions == ((7,), (7,))
    assert layer.plan((2, None, 8)).batch is None


def test_an_unknown_batch_of_many_rows_is_planned_for_many_rows():
    layer = tk.layers.TTDense(1024, 32, (4, 8, 8, 4), (4, 8, 8, 4))
    layer.build((None, 4096, 1024))
    assert layer.plan().rebuilds
    layer.planning_batch = 1
    assert layer.plan().rebuilds


@pytest.mark.parametrize("shape", [(2.5, 8), (3,), (3, 17), (0, 8)])
def test_a_shape_that_the_layer_does_not_take_has_no_plan(shape):
    layer = tk.layers.TTDense(6, rank=2)
    layer.build((None, 8))
    with pytest.raises((TypeError, ValueError), match="input_shape"):
        layer.plan(shape)
    with pytest.raises(TypeError, match="Pass a shape such as"):
        layer.plan("8")


@pytest.mark.parametrize("shape", [(2, 7, 4), (2, 3, 9, 7, 4), (2, 9, 7, 5)])
def test_a_convolution_takes_as_many_axes_as_it_was_built_with(shape):
    layer = tk.layers.TTConv2D(8, 3, rank=3)
    layer.build((None, 9, 7, 4))
    with pytest.raises(ValueError, match="a shape that the layer takes"):
        layer.plan(shape)


def test_different_batches_may_have_different_plans():
    layer = tk.layers.TTDense(1024, 32, (4, 8, 8, 4), (4, 8, 8, 4))
    layer.build((None, 1024))
    assert not layer.plan(1).rebuilds
    assert layer.plan(4096).rebuilds


def test_a_planning_batch_is_planned_for_whatever_comes():
    layer = dense(planning_batch=1)
    assert layer.plan() == dense().plan(1)
    assert layer.plan(1000).steps == dense().plan(1).steps
    assert layer.plan(1000).batch == 1000


def test_plans_of_a_layer_print():
    first, *steps = str(dense().plan(100)).splitlines()
    assert "at batch 100" in first
    assert len(steps) > len(dense().plan(100).steps)


def test_a_convolution_plans_for_its_positions():
    layer = tk.layers.TTConv2D(8, 3, strides=2, rank=3)
    layer.build((None, 9, 7, 4))
    assert layer.plan().positions == ((9, 7), (4, 3))
    assert layer.plan().batch is None
    assert layer.plan(5).batch == 5
    assert layer.plan((5, 5, 5, 4)).positions == ((5, 5), (2, 2))


def test_channels_first_have_their_positions_behind():
    layer = tk.layers.TTConv2D(8, 3, data_format="channels_first", rank=3)
    layer.build((None, 4, 9, 7))
    assert layer.plan().positions == ((9, 7), (7, 5))


def test_a_dilated_window_has_fewer_positions():
    layer = tk.layers.TTConv1D(8, 3, dilation_rate=2, rank=3)
    layer.build((None, 9, 4))
    assert layer.plan().positions == ((9,), (5,))


@pytest.mark.parametrize("padding", ["same", "causal"])
def test_padding_keeps_the_positions(padding):
    layer = tk.layers.TTConv1D(8, 3, padding=padding, dilation_rate=2, rank=3)
    layer.build((None, 9, 4))
    assert layer.plan().positions == ((9,), (9,))


def test_an_unknown_extent_is_planned_for_as_a_usual_one():
    layer = tk.layers.TTConv2D(8, 3, padding="same", rank=3)
    layer.build((None, None, 10, 4))
    assert layer.plan().positions == ((32, 10), (32, 10))


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_below_one_is_refused(batch):
    with pytest.raises(ValueError, match=f"Received: input_shape={batch}"):
        dense().plan(batch)


def test_a_layer_plans_for_training_and_for_its_memory():
    layer = dense()
    network = layer.format.network
    assert layer.plan(64, training=True) == plan_for(
        network, 64, mode="training"
    )
    bound = layer.plan(64).peak_bytes // 2
    small = dense(max_memory=bound)
    assert small.plan(64).peak_bytes <= bound
    assert type(small).from_config(small.get_config()).max_memory == bound
    with pytest.raises(ValueError, match="at least"):
        dense(max_memory=1).plan(64)
    with pytest.raises(TypeError, match="max_memory"):
        dense(max_memory="much")


def tuned_key(batch):
    return devices.tuning_key(batch, "float32", "inference")


def test_a_tuned_plan_goes_before_a_predicted_one_and_is_saved(tmp_path):
    layer = dense()
    rebuilt = next(p for p in candidates(layer.format.network) if p.rebuilds)
    assert not layer.plan(32).rebuilds
    layer.tuned_plans[tuned_key(32)] = {"order": rebuilt.order, "tiles": 1}
    assert layer.plan(32).rebuilds
    assert layer.plan(30).rebuilds
    assert not layer.plan(33).rebuilds
    assert not layer.plan(32, training=True).rebuilds
    model = keras.Sequential([keras.Input((25088,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").layers[0]
    assert loaded.plan(32) == layer.plan(32)
    assert loaded.plan(32).rebuilds


def test_a_tuned_plan_keeps_to_the_memory_too():
    layer = dense()
    plans = candidates(layer.format.network)
    large = max(plans, key=lambda plan: plan.peak_bytes_at(32))
    tuned = {"order": large.order, "tiles": 1}
    layer.tuned_plans[tuned_key(32)] = tuned
    assert layer.plan(32).order == large.order
    layer.max_memory = large.peak_bytes_at(32) - 1
    assert layer.plan(32).order != large.order
    assert layer.plan(32).peak_bytes <= layer.max_memory
    # For fewer examples it may still serve.
    layer.max_memory = large.peak_bytes_at(20)
    assert layer.plan(20).order == large.order


def test_a_tuned_plan_keeps_to_the_memory_for_every_batch_of_its_name():
    layer = dense()
    plans = candidates(layer.format.network)
    large = max(
        (plan for plan in plans if not plan.rebuilds),
        key=lambda plan: plan.peak_bytes_at(1024),
    )
    tuned = {"order": large.order, "tiles": 1}
    layer.tuned_plans[tuned_key(1024)] = tuned
    assert layer.plan((None, 25088)).at(600).order == large.order
    bound = large.peak_bytes_at(600)
    assert bound > min(plan.peak_bytes_at(1024) for plan in plans)
    layer.max_memory = bound
    assert layer.plan(600).order == large.order
    assert layer.plan((None, 25088)).at(600).order != large.order


def test_rows_of_a_matrix_are_examples_to_a_tuned_plan():
    layer = tk.layers.TTDense(1024, 32, (4, 8, 8, 4), (4, 8, 8, 4))
    layer.build((None, None, 1024))
    order = candidates(layer.format.network)[0].order
    layer.tuned_plans[tuned_key(64)] = {"order": order, "tiles": 1}
    for shape in ((8, 8, 1024), (5, 7, 1024), (64, 1, 1024)):
        assert layer.plan(shape).tuned
    for shape in ((4, 8, 1024), (8, 9, 1024)):
        assert not layer.plan(shape).tuned
    plan = layer.plan((None, 5, 1024))
    assert [plan.at(n).tuned for n in (6, 7, 12, 13)] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    "plan", [3, {"order": [0]}, {"order": [0], "tiles": 0}, {"tiles": 1}]
)
def test_a_tuned_plan_that_is_none_is_refused(plan):
    with pytest.raises(ValueError, match="tuned plan|tiles"):
        dense(tuned_plans={tuned_key(1): plan})


def two_plans(monkeypatch):
    """A layer whose plans for a small and a large batch differ."""
    layer = tk.layers.TTDense(1024, 32, (4, 8, 8, 4), (4, 8, 8, 4))
    layer.build((None, 1024))
    small, large, alone = candidates(layer.format.network)[:3]
    switched = dataclasses.replace(alone, ranges=((1, small), (16, large)))
    monkeypatch.setattr(planning, "plan_for", lambda *_, **__: switched)
    return layer, (small, large, alone)


def marked(monkeypatch, plans):
    """Every plan adds a number of its own, 100 and more, to the outputs."""
    execute = factorized.execute

    def added(plan, *arguments):
        # A plan of a layer may tell another batch.
        orders = [one.order for one in plans]
        return execute(plan, *arguments) + 100.0 * (
            1 + orders.index(plan.order)
        )

    monkeypatch.setattr(factorized, "execute", added)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    ("shape", "plan"),
    [
        ((3, 1024), 0),
        ((15, 1024), 0),
        ((16, 1024), 1),
        ((40, 1024), 1),
        # Four rows an example, where their number is not known.
        ((3, 4, 1024), 0),
        ((4, 4, 1024), 1),
    ],
)
def test_an_unknown_batch_takes_the_plan_of_its_size(
    monkeypatch, shape, plan, xla
):
    if backend.name() == "torch" and xla:
        pytest.skip("PyTorch has no XLA here")
    layer, plans = two_plans(monkeypatch)
    marked(monkeypatch, plans)
    open_shape = (None,) * (len(shape) - 2) + (1024,)
    model = keras.Sequential([keras.Input(open_shape), layer])
    model.compile("sgd", "mse", jit_compile=xla)
    x = random_array(shape)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    expected = x @ kernel + 100.0 * (1 + plan)
    assert_close(model.predict_on_batch(x), expected)
    assert math.isfinite(model.train_on_batch(x, np.zeros(shape, "float32")))


def test_rows_that_are_known_count_as_one_example(monkeypatch):
    layer, plans = two_plans(monkeypatch)
    marked(monkeypatch, plans)
    layer = tk.layers.TTDense(1024, 32, (4, 8, 8, 4), (4, 8, 8, 4))
    model = keras.Sequential([keras.Input((4, 1024)), layer])
    positions = ((4,), (4,))
    rows = [dataclasses.replace(p, positions=positions) for p in plans]
    switched = dataclasses.replace(
        rows[2], ranges=((1, rows[0]), (16, rows[1]))
    )
    monkeypatch.setattr(planning, "plan_for", lambda *_, **__: switched)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    for batch, plan in ((15, 0), (16, 1)):
        x = random_array((batch, 4, 1024))
        expected = x @ kernel + 100.0 * (1 + plan)
        assert_close(model.predict_on_batch(x), expected)


def test_foreign_plans_are_ignored_and_said_once():
    elsewhere = "some-gpu/jax/batch-8/float32/inference"
    tuned = {elsewhere: {"order": (0, 1, 2, 3, 4, 5), "tiles": 1}}
    layer = dense(tuned_plans=tuned)
    planning._say_what_is_foreign.cache_clear()
    with pytest.warns(UserWarning, match="tuned on some-gpu/jax are ignored"):
        plan = layer.plan(8)
    assert plan == dense().plan(8)
    # A second warning would be an error.
    assert layer.plan(9) == dense().plan(9)


@pytest.mark.parametrize("batch", [1, 3, 4, 10])
@pytest.mark.parametrize("known", [True, False])
def test_a_batch_is_cut_whatever_its_size(monkeypatch, batch, known):
    layer = tk.layers.TTDense(256, 4, (4,) * 4, (4,) * 4)
    layer.build((batch if known else None, 256))
    plan = dataclasses.replace(layer.plan(4), tiles=4)
    monkeypatch.setattr(planning, "plan_for", lambda *_, **__: plan)
    x = random_array((batch, 256))
    model = keras.Sequential(
        [keras.Input((256,), batch_size=batch if known else None), layer]
    )
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    assert_close(model.predict_on_batch(x), x @ kernel)


@pytest.mark.skipif(
    backend.name() != "tensorflow", reason="the others know their sizes"
)
def test_a_graph_without_branches_is_there_for_export(monkeypatch):
    layer, _ = two_plans(monkeypatch)

    def branches():
        function = backend.compiled(lambda x: layer(x))
        import tensorflow as tf

        spec = tf.TensorSpec((None, 1024))
        graph = function.get_concrete_function(spec).graph
        return sum(
            o.type in ("Case", "StatelessCase") for o in graph.get_operations()
        )

    assert branches() == 1
    with planning.without_branches():
        assert branches() == 0
