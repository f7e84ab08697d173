"""Adapters become part of the kernels, and of what is made of the layer."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tensornet_keras as tk
from tests.small_models import numbers, randomized

X = numbers(6, 8)


def adapted(format=None, rank=2):
    """A model with an adapter on its middle layer, all numbers random."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(16, activation="relu", name="first"),
            tk.layers.FactorizedDense(
                12, format or tk.formats.LowRank(rank=3), name="middle"
            ),
            layers.Dense(4, name="last"),
        ]
    )
    layer = model.get_layer("middle")
    layer.enable_lora(rank)
    layer.lora_kernel_b.assign(numbers(rank, 12))
    layer.bias.assign(numbers(12))
    return model


def outputs(model, x=X):
    return ops.convert_to_numpy(model(x))


def test_with_an_error_ranks_grow_as_they_must():
    model = adapted()
    before = model.get_weights()
    merged, report = tk.merge(model, error=1e-6)
    layer = merged.get_layer("middle")
    assert not layer.lora_enabled
    assert layer.format.rank == (5,)
    np.testing.assert_allclose(outputs(merged), outputs(model), atol=1e-4)
    rows = {row.path.rsplit("/", 1)[-1]: row for row in report.rows}
    assert rows["middle"].action == "replaced"
    assert rows["middle"].params_after == layer.count_params()
    assert (
        rows["middle"].params_before == model.get_layer("middle").count_params()
    )
    assert rows["first"].reason == "no adapter"
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["low_rank", "tt", "tucker", "cp"])
def test_without_one_ranks_are_kept_and_the_loss_is_told(name):
    model = adapted(tk.formats.get(name, rank=3))
    layer = model.get_layer("middle")
    whole = ops.convert_to_numpy(layer.kernel)
    merged, report = tk.merge(model)
    new = merged.get_layer("middle")
    assert new.format == layer.format
    lost = np.linalg.norm(ops.convert_to_numpy(new.kernel) - whole)
    (row,) = (row for row in report.rows if row.action == "replaced")
    assert row.relative_error == pytest.approx(
        lost / np.linalg.norm(whole), rel=1e-3
    )
    assert 0 < row.relative_error < 1
    assert [core.trainable for core in new.core_variables] == [True] * len(
        new.cores
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(new.bias), ops.convert_to_numpy(layer.bias)
    )


def test_layers_of_keras_add_it_to_the_kernel():
    model = keras.Sequential(
        [keras.Input((8,)), layers.Dense(12, "relu"), layers.Dense(3)]
    )
    dense = model.layers[0]
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(numbers(2, 12))
    merged, report = tk.merge(model)
    assert not merged.layers[0].lora_enabled
    assert merged.count_params() == 8 * 12 + 12 + 12 * 3 + 3
    assert report.rows[0].params_after == 8 * 12 + 12
    assert "middle" not in str(report)
    np.testing.assert_allclose(outputs(merged), outputs(model), atol=1e-5)
    # What was merged can be factorized, which an adapter does not let be.
    small, _ = tk.convert(merged, tk.formats.LowRank(rank=3))
    assert type(small.layers[0]).__name__ == "FactorizedDense"


def test_both_tables_of_an_untied_embedding_are_kept():
    layer = layers.ReversibleEmbedding(9, 4, tie_weights=False)
    ids = keras.Input((3,), dtype="int32")
    model = randomized(keras.Model(ids, layer(layer(ids), reverse=True)))
    layer.enable_lora(2)
    layer.lora_embeddings_b.assign(numbers(2, 4))
    merged, _ = tk.merge(model)
    x = np.array([[1, 2, 8]])
    np.testing.assert_allclose(outputs(merged, x), outputs(model, x), atol=1e-4)


def test_what_cannot_be_merged_names_its_layer():
    model = adapted()
    layer = model.get_layer("middle")
    layer.lora_kernel_a.assign(np.full(layer.lora_kernel_a.shape, np.nan))
    with pytest.raises(ValueError, match="middle.*finite"):
        tk.merge(model)


def test_attention_of_keras_with_adapters_inside():
    inputs = keras.Input((5, 8))
    attention = layers.MultiHeadAttention(2, 4, name="attention")
    model = keras.Model(inputs, attention(inputs, inputs))
    small, _ = tk.convert(model, tk.formats.LowRank(rank=6), min_compression=0)
    for layer in small._flatten_layers():
        if isinstance(layer, tk.layers.FactorizedEinsumDense):
            layer.enable_lora(2)
            layer.lora_kernel_b.assign(numbers(*layer.lora_kernel_b.shape))
    merged, _ = tk.merge(small, error=1e-6)
    x = numbers(3, 5, 8)
    np.testing.assert_allclose(outputs(merged, x), outputs(small, x), atol=1e-4)
    assert not any(
        getattr(layer, "lora_enabled", False)
        for layer in merged._flatten_layers()
    )


def test_a_filter_leaves_the_others():
    model = adapted()
    merged, report = tk.merge(model, filters="first")
    assert merged.get_layer("middle").lora_enabled
    assert {row.reason for row in report.rows} == {"filter", "no adapter"}
    np.testing.assert_allclose(outputs(merged), outputs(model), atol=1e-6)


def test_densified_layers_have_it_in_their_kernel():
    model = adapted()
    dense = tk.densify(model)
    layer = dense.get_layer("middle")
    assert type(layer) is layers.Dense
    assert not layer.lora_enabled
    assert layer.kernel.trainable
    np.testing.assert_allclose(outputs(dense), outputs(model), atol=1e-5)


def test_nothing_that_reads_cores_alone_forgets_it():
    model = adapted()
    pruned, report = tk.prune(model, 0.5, filters="middle")
    assert "LoRA" in {row.reason for row in report.rows}
    np.testing.assert_array_equal(outputs(pruned), outputs(model))
    frozen, report = tk.freeze(model, 1, return_report=True)
    assert "LoRA" in str(report)
    np.testing.assert_allclose(outputs(frozen), outputs(model), atol=1e-5)
    with pytest.raises(ValueError, match="do not have what an adapter adds"):
        tk.interop.to_numpy(model.get_layer("middle"))


def test_finetuning_trains_and_keeps_the_adapter():
    model = adapted()
    teacher = tk.densify(model)
    layer = model.get_layer("middle")
    layer.lora_kernel_b.assign(np.zeros(layer.lora_kernel_b.shape))
    phase = tk.finetuning.EndToEnd(2, keras.optimizers.Adam(1e-2))
    tuned = tk.finetune(model, numbers(64, 8), teacher=teacher, phases=[phase])
    new = tuned.get_layer("middle")
    assert new.lora_enabled
    assert np.abs(ops.convert_to_numpy(new.lora_kernel_b)).max() > 0
    for one, other in zip(layer.cores, new.cores, strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(one), ops.convert_to_numpy(other)
        )


def test_an_error_is_a_share():
    with pytest.raises(ValueError, match="`error` must be .*error=2"):
        tk.merge(adapted(), error=2)
