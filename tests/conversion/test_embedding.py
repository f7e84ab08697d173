"""Embeddings are converted to tables of cores, and back."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tests.laws.oracles import as_numpy, assert_close

TRAIN = tk.formats.TensorTrain(rank=100)
IDS = np.random.default_rng(0).integers(0, 41, (3, 5))


def trained(kind=keras.layers.Embedding, **more):
    """A layer with a table that is no random draw of its initializer."""
    layer = kind(41, 12, name="words", **more)
    layer.build((None, 5))
    table = np.random.default_rng(1).standard_normal((41, 12))
    layer.set_weights([table.astype("float32")])
    return layer


def language_model(layer, **more):
    ids = keras.Input((5,), dtype="int32")
    hidden = keras.layers.Dense(12, name="mix")(layer(ids))
    return keras.Model(ids, layer(hidden, **more))


def test_a_table_is_decomposed_with_all_its_settings():
    layer = trained(
        mask_zero=True,
        embeddings_regularizer=keras.regularizers.L2(0.1),
        embeddings_initializer="ones",
        dtype="mixed_bfloat16",
    )
    layer.trainable = False
    twin = tk.convert_layer(layer, TRAIN)
    assert type(twin) is tk.layers.FactorizedEmbedding
    assert (twin.name, twin.mask_zero, twin.trainable) == ("words", True, False)
    assert twin.dtype_policy.name == "mixed_bfloat16"
    assert twin.embeddings_regularizer is layer.embeddings_regularizer
    assert_close(twin.embeddings, layer.embeddings)


def test_a_frozen_table_stays_frozen():
    layer = trained()
    layer.embeddings.trainable = False
    twin = tk.convert_layer(layer, TRAIN)
    assert not twin.trainable_variables
    assert twin.non_trainable_variables


def test_an_error_is_met():
    layer = trained()
    twin = tk.convert_layer(layer, tk.formats.TensorTrain(), error=0.4)
    difference = as_numpy(twin.embeddings) - as_numpy(layer.embeddings)
    assert (
        0
        < np.linalg.norm(difference)
        < 0.4 * np.linalg.norm(as_numpy(layer.embeddings))
    )


@pytest.mark.parametrize("mask_zero", [True, False])
def test_a_model_is_converted_and_made_dense_again(mask_zero):
    layer = trained(mask_zero=mask_zero)
    pooled = keras.layers.GlobalAveragePooling1D()
    model = keras.Sequential([keras.Input((5,), dtype="int32"), layer, pooled])
    expected = model(IDS)
    small, report = tk.convert(model, TRAIN, min_compression=0)
    assert [row.kind for row in report.replaced] == ["Embedding"]
    assert isinstance(small.layers[0], tk.layers.FactorizedEmbedding)
    assert_close(small(IDS), expected)
    dense = tk.densify(small)
    assert type(dense.layers[0]) is keras.layers.Embedding
    assert dense.layers[0].mask_zero == mask_zero
    assert_close(dense(IDS), expected)


def test_a_table_used_both_ways_stays_one_table():
    layer = trained(keras.layers.ReversibleEmbedding, logit_soft_cap=9.0)
    model = language_model(layer, reverse=True)
    expected = model(IDS)
    small, report = tk.convert(model, TRAIN, filters="words", min_compression=0)
    assert len(report.replaced) == 1
    twin = small.get_layer("words")
    assert type(twin) is tk.layers.FactorizedReversibleEmbedding
    assert twin.logit_soft_cap == 9.0
    assert len(small.weights) == len(twin.cores) + 2
    assert_close(small(IDS), expected)
    dense = tk.densify(small)
    assert type(dense.get_layer("words")) is keras.layers.ReversibleEmbedding
    assert_close(dense(IDS), expected)


def lora(layer):
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: trained(embeddings_constraint="non_neg"), "constraint"),
        (lambda: lora(trained()), "LoRA"),
        (lambda: untied(), "untied weights"),
        (lambda: keras.layers.Embedding(41, 12), "not built"),
    ],
    ids=["constraint", "lora", "untied", "not built"],
)
def test_tables_that_cannot_be_factorized(make, reason):
    with pytest.raises(ValueError, match=reason):
        tk.convert_layer(make(), TRAIN)


def untied():
    layer = keras.layers.ReversibleEmbedding(41, 12, tie_weights=False)
    layer.build((None, 5))
    return layer
