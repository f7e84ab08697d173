"""Tests of passes through a model that go on where the last one ended."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.conversion import walks
from tensornet_keras.conversion.calibration import Calibration
from tensornet_keras.conversion.walks import Walk
from tensornet_keras.layer_calls import wrapped_call
from tensornet_keras.surgery import leaf_layers
from tests.laws.oracles import as_numpy
from tests.small_models import Pair, randomized


def residual():
    inputs = keras.Input((8, 8, 3))
    x = trunk = layers.Conv2D(6, 3, padding="same", name="first")(inputs)
    for number in range(3):
        x = layers.Conv2D(6, 3, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization()(x)
        x = trunk = layers.ReLU()(x) + trunk
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4, name="head")(x))


def shared_twice():
    first, second = keras.Input((8,)), keras.Input((8,))
    shared = layers.Dense(8, "tanh", name="shared")
    between = layers.Dense(8, "tanh", name="between")
    x = layers.Add()([shared(first), shared(between(shared(second)))])
    return keras.Model([first, second], layers.Dense(3, name="head")(x))


def nested():
    inner_inputs = keras.Input((8,))
    x = layers.Dense(8, "relu", name="inner1")(inner_inputs)
    x = layers.Dense(8, "relu", name="inner2")(x)
    inner = keras.Model(inner_inputs, x, name="inner")
    inputs = keras.Input((8,))
    x = layers.Dense(8, "relu", name="before")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="head")(inner(x)))


def masked():
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 8, mask_zero=True)(inputs)
    x = layers.Dense(8, "tanh", name="each")(x)
    x = layers.LSTM(8)(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


def sequential():
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(8, "relu", name="one"),
            layers.Dropout(0.5),
            layers.Dense(3, name="two"),
        ]
    )


def attending():
    """Attention takes the mask off the tensors that it gets."""
    inputs = keras.Input((5,), dtype="int32")
    x = layers.Embedding(4, 8, mask_zero=True)(inputs)
    for number in range(2):
        attention = layers.MultiHeadAttention(2, 4, name=f"attention{number}")
        x = layers.Add()([x, attention(x, x)])
        x = layers.Dense(8, name=f"dense{number}")(x)
    x = layers.LSTM(8)(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


def backbone():
    """A nested model called twice, in which another one is called."""
    inputs = keras.Input((8,))
    inner = keras.Sequential(
        [layers.Dense(8, "relu", name="inner1"), layers.Dense(8, name="inner2")]
    )
    x = layers.Dense(8, "relu", name="outer")(inner(inputs))
    body = keras.Model(inputs, [x, inputs + x], name="body")
    inputs = keras.Input((8,))
    first, second = body(inputs)
    first, _ = body(layers.Dense(8, name="between")(first + second))
    return keras.Model(inputs, layers.Dense(3, name="head")(first))


MODELS = (
    residual,
    shared_twice,
    nested,
    masked,
    sequential,
    attending,
    backbone,
)


def batches_for(model, size=4):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(3):
        batch = [
            rng.integers(0, 4, (size, *x.shape[1:])).astype(x.dtype)
            if "int" in x.dtype
            else rng.normal(size=(size, *x.shape[1:])).astype(x.dtype)
            for x in model.inputs
        ]
        found.append(batch if len(batch) > 1 else batch[0])
    return found


def heard_in(model, layer, batch):
    """What a layer is called on in a pass of its own."""
    found = []

    def hearing(call):
        def heard(inputs, *args, **kwargs):
            found.append(as_numpy(inputs))
            return call(inputs, *args, **kwargs)

        return heard

    with wrapped_call(layer, hearing):
        model(batch, training=False)
    return found


def kernels(model):
    kinds = layers.Dense, layers.Conv2D, layers.EinsumDense, layers.LSTM
    return [x for x in leaf_layers(model) if isinstance(x, kinds)]


def kernel_of(layer):
    return getattr(layer, "cell", layer).kernel


@pytest.mark.parametrize("most", [walks.MOST_KEPT, 0])
@pytest.mark.parametrize("made", MODELS)
def test_inputs_are_those_of_whole_passes(made, most, monkeypatch):
    monkeypatch.setattr(walks, "MOST_KEPT", most)
    model = randomized(made())
    batches = batches_for(model)
    walk = Walk(model, batches)
    # As a calibration does: in order, and every layer is changed once its
    # inputs are known.
    order = Calibration(model, batches[0]).in_order(kernels(model))
    for number, layer in enumerate(order):
        expected = [heard_in(model, layer, batch) for batch in batches]
        found = list(walk.inputs_of(layer, len(expected[0])))
        for theirs, ours in zip(expected, found, strict=True):
            assert len(theirs) == len(ours)
            for right, heard in zip(theirs, ours, strict=True):
                np.testing.assert_allclose(
                    as_numpy(heard.operands[0]), right, rtol=1e-5, atol=1e-6
                )
        kernel = kernel_of(layer)
        kernel.assign((1.1 + number) * as_numpy(kernel))


@pytest.mark.parametrize(
    ("made", "name", "times"), [(residual, "first", 1), (backbone, "inner1", 2)]
)
def test_every_layer_runs_once_for_all_passes(made, name, times):
    model = randomized(made())
    calls = []

    def counting(call):
        def counted(*args, **kwargs):
            calls.append(call)
            return call(*args, **kwargs)

        return counted

    (first,) = (x for x in kernels(model) if x.name == name)
    (batch, *_) = batches_for(model)
    walk = Walk(model, [batch])
    order = Calibration(model, batch).in_order(kernels(model))
    with wrapped_call(first, counting):
        list(walk.inputs_of(order[-1], 1))
        for layer in order[1:]:
            list(walk.inputs_of(layer, 1))
    assert len(calls) == times


class Halves(keras.Model):
    """A subclassed model, which has no graph."""

    def __init__(self):
        super().__init__()
        self.one, self.two = layers.Dense(8, "relu"), layers.Dense(3)

    def call(self, x):
        return self.two(self.one(x))


class Twice(keras.Model):
    """A model with a graph that does something else."""

    def call(self, x, training=None, mask=None):
        return super().call(2 * x, training=training)


def test_models_without_a_graph_of_their_own_start_anew():
    plain = Halves()
    inputs = keras.Input((8,))
    other = Twice(inputs, layers.Dense(3)(layers.Dense(8, "relu")(inputs)))
    x = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    for model in (plain, other):
        model(x)
        walk = Walk(randomized(model), [x])
        for layer in kernels(model):
            ((heard,),) = walk.inputs_of(layer, 1)
            (found,) = heard.operands
            (right,) = heard_in(model, layer, x)
            np.testing.assert_allclose(as_numpy(found), right, rtol=1e-5)


def test_passes_record_nothing_for_gradients():
    model = randomized(residual())
    walk = Walk(model, batches_for(model))
    for layer in kernels(model):
        for (heard,) in walk.inputs_of(layer, 1):
            assert not getattr(heard.operands[0], "requires_grad", False)


class Doubling(Pair):
    """Changes what it is given, where a backend lets it."""

    def call(self, x):
        x *= 2
        return self.two(self.one(x))


def test_what_is_kept_does_not_change():
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="first")(inputs)
    model = randomized(keras.Model(inputs, Doubling()(x)))
    batch = batches_for(model)[0]
    walk = Walk(model, [batch])
    for layer in kernels(model):
        ((heard,),) = walk.inputs_of(layer, 1)
        (right,) = heard_in(model, layer, batch)
        np.testing.assert_allclose(
            as_numpy(heard.operands[0]), right, rtol=1e-5, atol=1e-6
        )


def test_a_walk_that_breaks_off_starts_anew():
    model = randomized(residual())
    batches = batches_for(model)
    walk = Walk(model, batches)
    *_, last, head = kernels(model)
    list(walk.inputs_of(last, 1))
    next(walk.inputs_of(head, 1))
    found = [heard.operands[0] for (heard,) in walk.inputs_of(head, 1)]
    for batch, inputs in zip(batches, found, strict=True):
        (right,) = heard_in(model, head, batch)
        np.testing.assert_allclose(as_numpy(inputs), right, rtol=1e-5)


@pytest.mark.parametrize("lengths", [(2, 5), (5, 2)])
def test_batches_of_any_number_of_steps_are_heard_whole(lengths):
    inputs = keras.Input((None, 6))
    each = layers.Dense(8, name="each")
    outputs = layers.TimeDistributed(each)(inputs)
    model = randomized(keras.Model(inputs, outputs))
    batches = [np.ones((4, length, 6), "float32") for length in lengths]
    calibration = Calibration(model, iter(batches))
    calibration.in_order([each])
    (moments,) = calibration.joint_moments(each)
    assert moments.count == 4 * sum(lengths)


@pytest.mark.parametrize("made", MODELS)
def test_a_calibrated_model_is_the_same_without_what_was_kept(
    made, monkeypatch
):
    model = randomized(made())
    x = batches_for(model, 64)[0]
    how = {"ratio": 0.6, "calibration_data": x, "filters": _is_kernel}
    small, _ = tk.convert(model, **how)
    monkeypatch.setattr(walks, "MOST_KEPT", 0)
    other, _ = tk.convert(model, **how)
    np.testing.assert_allclose(
        as_numpy(small(x)), as_numpy(other(x)), rtol=1e-4, atol=1e-5
    )


def _is_kernel(layer):
    return isinstance(layer, (layers.Dense, layers.Conv2D))
