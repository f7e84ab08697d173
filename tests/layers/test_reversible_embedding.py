"""A table of cores that also maps hidden states back to the vocabulary."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.contraction import candidates
from tensornet_keras.contraction.execute import execute
from tests.laws.examples import examples_of_every_format
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    dense_weight,
    random_array,
    random_cores,
)
from tests.laws.tracing import traced

TRAIN = tk.formats.TensorTrain(rank=3)


def built(vocabulary=67, size=13, format=TRAIN, **more):
    layer = tk.layers.FactorizedReversibleEmbedding(
        vocabulary, size, format, **more
    )
    layer.build((None,))
    return layer


def table_of(layer):
    return dense_weight(layer.format.network, layer.cores)


@pytest.mark.parametrize(
    "format",
    [each for each in examples_of_every_format() if not each.window],
    ids=str,
)
def test_every_plan_of_the_transposed_network_is_the_transposed_weight(format):
    network = format.network.transposed()
    assert network.transposed() == format.network
    cores = random_cores(network)
    weight = dense_weight(format.network, cores).T
    assert network.weight_shape == weight.shape
    hidden = random_array((2, 3, weight.shape[0]))
    outputs = traced(
        lambda x: [execute(plan, x, cores) for plan in candidates(network)[:6]],
        hidden,
    )
    for output in outputs:
        assert_close(output, hidden @ weight)


@pytest.mark.parametrize("shape", [(13,), (4, 13), (2, 3, 13)])
def test_the_way_back_is_the_transposed_table(shape):
    layer = built()
    hidden = random_array(shape)
    logits = layer(hidden, reverse=True)
    assert_close(logits, hidden @ table_of(layer).T)


def test_logits_are_capped():
    layer = built(
        logit_soft_cap=0.5,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0),
    )
    hidden = random_array((4, 13))
    expected = 0.5 * np.tanh(hidden @ table_of(layer).T / 0.5)
    assert_close(layer(hidden, reverse=True), expected)


def test_the_way_back_has_a_type_of_its_own():
    layer = built(reverse_dtype="float32", dtype="mixed_bfloat16")
    hidden = layer(np.array([[1, 2]]))
    assert keras.backend.standardize_dtype(hidden.dtype) == "bfloat16"
    logits = layer(hidden, reverse=True)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    exact = as_numpy(keras.ops.cast(hidden, "float32")) @ table_of(layer).T
    assert_close(logits, exact)
    spec = layer.compute_output_spec(
        keras.KerasTensor((None, 2, 13)), reverse=True
    )
    assert (spec.shape, spec.dtype) == ((None, 2, 67), "float32")


def test_the_way_back_is_planned():
    layer = built(vocabulary=1000, size=64, format=tk.formats.TensorTrain(16))
    few, many = (layer.plan((batch, 64), reverse=True) for batch in (1, 10_000))
    assert not few.rebuilds
    assert many.rebuilds
    assert few.network == layer.format.network.transposed()
    assert layer.plan((4, 64)).network.labels_of("lookup")


def language_model(layer):
    ids = keras.Input((None,), dtype="int32")
    hidden = keras.layers.GRU(13, return_sequences=True)(layer(ids))
    return keras.Model(ids, layer(hidden, reverse=True))


def test_a_language_model_of_one_table_trains_and_is_saved(tmp_path):
    layer = built(mask_zero=True)
    model = language_model(layer)
    assert model.output_shape == (None, None, 67)
    assert sum(variable is layer.cores[0] for variable in model.weights) == 1
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss=loss)
    ids = np.random.default_rng(0).integers(1, 67, (4, 6))
    losses = [model.train_on_batch(ids[:, :-1], ids[:, 1:]) for _ in range(20)]
    assert losses[-1] < 0.9 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(as_numpy(loaded(ids)), as_numpy(model(ids)))


def test_masks_are_made_one_way_only():
    layer = built(mask_zero=True)
    ids = np.array([[4, 0]])
    assert as_numpy(layer.compute_mask(ids)).tolist() == [[True, False]]
    assert layer.compute_mask(layer(ids)) is None
    # Ids may be floats, and mask_zero may be off.
    floats = ids.astype("float32")
    assert as_numpy(layer.compute_mask(floats)).tolist() == [[True, False]]
    assert built().compute_mask(ids) is None


def test_hidden_states_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"output_dim=13.*reverse=False"):
        built()(random_array((2, 12)), reverse=True)


def test_two_tables_are_refused():
    with pytest.raises(ValueError, match="tie_weights=False.*FactorizedDense"):
        built(tie_weights=False)
