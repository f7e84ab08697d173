"""A dozen models of awkward structure: full rank keeps what they compute."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.surgery import twins
from tests.nasty_models import NASTY, functional
from tests.small_models import (
    FULL_RANK,
    assert_same_outputs,
    copy_of,
    numbers,
    randomized,
)

KERAS_FAILS = ("attention_of_another_value_size", "jax")


def converted(model):
    """The model at full rank; every kernel that has a twin is replaced."""
    small, report = tk.convert(model, FULL_RANK, min_compression=0)
    kept = {row.kind for row in report.rows if row.action == "kept"}
    kernels = {"Dense", "Conv1D", "Conv2D", "Embedding", "EinsumDense"}
    assert not kept & kernels | {"LSTM", "GRU", "ReversibleEmbedding"} & kept
    return small, report


@pytest.fixture(params=NASTY)
def case(request):
    if (request.param, backend.name()) == KERAS_FAILS:
        pytest.skip("Keras itself cannot call this model on JAX")
    model, data = NASTY[request.param]()
    return randomized(model), data


def test_full_rank_keeps_the_outputs(case):
    model, data = case
    before = model(data)
    small, report = converted(model)
    assert report.replaced
    assert_same_outputs(before, small(data))
    assert_same_outputs(before, model(data), tolerance=0.0)
    theirs = {id(variable) for variable in model.variables}
    assert not theirs & {id(variable) for variable in small.variables}


def test_full_rank_keeps_the_kernels(case):
    """In float32, whatever precision the model computes in."""
    model, _ = case
    small, _ = converted(model)
    assert_same_outputs(model.weights, tk.densify(small).weights)


def test_each_twin_is_in_its_place_once_and_what_it_replaces_nowhere(case):
    model, _ = case
    small, report = converted(model)
    found = [layer for layer in small._flatten_layers() if is_ours(layer)]
    assert len({id(layer) for layer in found}) == len(report.replaced)
    kinds = {row.kind for row in report.replaced}
    left = {type(layer).__name__ for layer in small._flatten_layers()}
    assert not kinds & left
    paths = [variable.path for variable in small.trainable_variables]
    assert len(paths) == len(model.trainable_variables) + sum(
        len(layer.core_variables) - 1 if hasattr(layer, "core_variables") else 0
        for layer in kernels_in(small)
    )


def test_saved_and_loaded_and_dense_again(case, tmp_path):
    model, data = case
    before = model(data)
    small, _ = converted(model)
    loaded = small
    # Keras cannot load a layer that is called inside a nested model and
    # outside of it, converted or not.
    if model.name != "shared":
        small.save(tmp_path / "small.keras")
        loaded = keras.saving.load_model(tmp_path / "small.keras")
    assert_same_outputs(before, loaded(data))
    again = copy_of(loaded)
    assert_same_outputs(before, again(data))
    dense = tk.densify(loaded)
    assert_same_outputs(before, dense(data))
    assert not any(is_ours(layer) for layer in dense._flatten_layers())


def test_names_and_what_is_frozen_survive(case):
    model, _ = case
    first = next(x for x in model._flatten_layers() if type(x) in KINDS)
    first.trainable = False
    small, report = converted(model)
    made = {layer.name: layer for layer in small._flatten_layers()}
    assert small.name == model.name
    assert not made[first.name].trainable
    assert {row.path.split("/")[-1] for row in report.replaced} <= set(made)
    ids = {id(variable) for variable in small.trainable_variables}
    assert not ids & {id(x) for x in made[first.name].variables}


KINDS = (layers.Dense, layers.Conv2D, layers.EinsumDense, layers.LSTM)
KINDS += (layers.Embedding, layers.ReversibleEmbedding)


def is_ours(layer):
    return type(layer).__name__.startswith("Factorized") and not type(
        layer
    ).__name__.endswith("Cell")


def kernels_in(model):
    for layer in {id(x): x for x in model._flatten_layers()}.values():
        if twins.is_factorized(layer):
            yield from twins.factorized_kernels(layer)


@pytest.mark.parametrize(
    "name", ["subclassed", "backbone", "a_layer_in_the_config"]
)
def test_a_converted_copy_trains(name):
    model, data = NASTY[name]()
    small, _ = converted(randomized(model))
    outputs = np.array(ops.convert_to_numpy(small(data)))
    small.compile("adam", "mse")
    before = [ops.convert_to_numpy(x) for x in small.trainable_variables]
    small.fit(data, outputs + numbers(*outputs.shape), verbose=0)
    after = [ops.convert_to_numpy(x) for x in small.trainable_variables]
    moved = [
        np.abs(x - y).max() > 0 for x, y in zip(before, after, strict=True)
    ]
    # The key's bias does not reach what softmax makes of the scores.
    assert np.mean(moved) > 0.9


def test_a_wrapper_that_reads_the_kernel_keeps_its_layer():
    model, data = functional(
        (8,), lambda x: layers.SpectralNormalization(layers.Dense(6))(x)
    )
    small, report = tk.convert(model, FULL_RANK, min_compression=0)
    assert "tied to another layer" in {row.reason for row in report.rows}
    assert_same_outputs(model(data), small(data))


def test_a_part_that_the_config_does_not_make_is_named():
    @keras.saving.register_keras_serializable("nasty")
    class Counted(keras.Model):
        def __init__(self, count=1, **kwargs):
            super().__init__(**kwargs)
            self.parts = [layers.Dense(8) for _ in range(count)]

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

        def get_config(self):
            return {}

    model = Counted(2)
    model(numbers(2, 8))
    with pytest.raises(ValueError, match=r"Counted .* no parts\[1\]"):
        tk.convert(model, FULL_RANK, min_compression=0)
