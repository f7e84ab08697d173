"""Tables of cores: look-up, repeated and impossible ids, the way back."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.layers.switches import learning_rate_scales
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    dense_weight,
    random_array,
)

TRAIN = tk.formats.TensorTrain(rank=3)
Embedding = tk.layers.FactorizedEmbedding
Reversible = tk.layers.FactorizedReversibleEmbedding


def built(kind=Embedding, vocabulary=67, size=13, format=TRAIN, **more):
    layer = kind(vocabulary, size, format, **more)
    layer.build((None,))
    return layer


def table_of(layer):
    return dense_weight(layer.format.network, layer.cores)


def ids_of(shape, vocabulary=67, seed=0):
    generator = np.random.default_rng(seed)
    return generator.integers(0, vocabulary, shape, "int32")


def test_a_large_vocabulary_takes_a_hundredth_of_the_numbers():
    layer = built(
        vocabulary=50257, size=768, format=tk.formats.TensorTrain(rank=32)
    )
    assert layer.format.dense_params == 50257 * 768
    assert layer.count_params() * 100 < layer.format.dense_params
    # A prime vocabulary is padded, and no row of the padding can be had.
    assert layer.format.pad
    assert tuple(layer(ids_of((2, 3))).shape) == (2, 3, 768)
    with pytest.raises(ValueError, match="from 50257 to 50257"):
        layer(np.array([50257]))


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 1, 3), (0, 5)])
@pytest.mark.parametrize("deduplicate", [None, True, False])
def test_ids_of_any_shape(shape, deduplicate):
    layer = built(deduplicate=deduplicate)
    ids = ids_of(shape)
    rows = layer(ids)
    assert tuple(rows.shape) == (*shape, 13)
    assert_close(rows, table_of(layer)[ids])


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "int32", "int64", "float32"]
)
def test_ids_of_any_type(dtype):
    layer = built()
    ids = ids_of((2, 3))
    assert_close(layer(ids.astype(dtype)), table_of(layer)[ids])


def test_ids_that_come_as_floats_are_not_rounded_to_the_computing_type():
    layer = built(vocabulary=5000, dtype="mixed_float16")
    ids = np.array([2049.0, 4097.0], "float32")
    rows = layer(ids)
    assert keras.backend.standardize_dtype(rows.dtype) == "float16"
    expected = table_of(layer)[ids.astype(int)]
    assert_close(keras.ops.cast(rows, "float32"), expected, "float16")


# Every example compiles anew on JAX.
@settings(max_examples=4 if backend.name() == "jax" else 30)
@given(
    st.integers(1, 40),
    st.integers(1, 20),
    st.integers(1, 5),
    st.lists(st.integers(0, 1000), min_size=1, max_size=60),
)
def test_repeated_ids_get_the_same_rows(vocabulary, size, rank, ids):
    format = tk.formats.TensorTrain(rank=rank)
    layer = built(Embedding, vocabulary, size, format, deduplicate=True)
    ids = np.array(ids, "int32") % vocabulary
    assert_close(layer(ids), table_of(layer)[ids])


def test_repeated_ids_are_found_only_where_that_pays(monkeypatch):
    sizes = []
    unique = backend.unique

    def counted(values, size):
        sizes.append(int(values.shape[0]))
        return unique(values, size)

    monkeypatch.setattr(backend, "unique", counted)
    layer = built(vocabulary=300)
    for shape in ((), (1,), (3, 5)):
        layer(ids_of(shape))
    assert not sizes
    layer(ids_of((10, 60)))
    assert sizes == [600]
    built(vocabulary=300, deduplicate=False)(ids_of((10, 60)))
    assert sizes == [600]


def test_the_plan_knows_that_there_are_no_more_rows_than_ids():
    layer = built()
    assert layer.plan((64, 64)).batch == 67
    assert layer.plan((3, 4)).batch == 3
    assert layer.plan(5).batch == 5
    assert "gather" in str(layer.plan())


def model_of(layer, length=None):
    ids = keras.Input((length,), dtype="int32")
    pooled = keras.layers.GlobalAveragePooling1D()(layer(ids))
    return keras.Model(ids, keras.layers.Dense(1)(pooled))


@pytest.mark.parametrize("deduplicate", [True, False])
@pytest.mark.parametrize("jit_compile", [True, False])
def test_compiled_models_train(deduplicate, jit_compile):
    if jit_compile and backend.name() == "torch":
        pytest.skip("PyTorch's compiler takes minutes")
    layer = built(deduplicate=deduplicate, mask_zero=True)
    model = model_of(layer)
    model.compile(
        keras.optimizers.Adam(0.03), loss="mse", jit_compile=jit_compile
    )
    ids, targets = ids_of((7, 9)), random_array((7, 1))
    eager = as_numpy(model(ids))
    assert_close(model.predict_on_batch(ids), eager)
    losses = [model.train_on_batch(ids, targets) for _ in range(10)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    "switch", [{"bond_dropout": 0.1}, {"recompute": True}, {"rank_penalty": 1}]
)
def test_switches_of_training_act_on_a_table(switch):
    layer = built(format=tk.formats.TensorTrain(rank=8), **switch)
    model = model_of(layer, 4)
    model.compile(keras.optimizers.SGD(10.0), loss="mse")
    before = [as_numpy(core) for core in layer.cores]
    loss = model.train_on_batch(ids_of((8, 4)), random_array((8, 1)))
    assert np.isfinite(loss)
    for old, core in zip(before, layer.cores, strict=True):
        assert not np.array_equal(old, as_numpy(core))


OUT_OF_RANGE = pytest.mark.parametrize("wrong", [-1, -70, 67, 69, 10**6])


@OUT_OF_RANGE
@pytest.mark.parametrize("deduplicate", [True, False])
def test_an_id_out_of_range_is_refused(wrong, deduplicate):
    layer = built(deduplicate=deduplicate, name="words")
    assert layer.format.network.padded_shape[0] > 67
    with pytest.raises(ValueError, match="Ids must be.*input_dim=67.*'words'"):
        layer(np.array([[3, wrong], [5, 6]]))


@pytest.mark.parametrize("wrong", [-1, 69, 10**6])
@pytest.mark.parametrize("deduplicate", [True, False])
@pytest.mark.parametrize("jit_compile", [True, False])
def test_compiled_an_id_out_of_range_is_an_error_or_nan(
    wrong, deduplicate, jit_compile
):
    if jit_compile and backend.name() != "tensorflow":
        pytest.skip("JAX always compiles, PyTorch never here")
    layer = built(deduplicate=deduplicate)
    ids = keras.ops.convert_to_tensor([[3, wrong], [5, 3]], "int32")
    expected = table_of(layer)[np.array([[3, 0], [5, 3]])]
    expected[0, 1] = np.nan
    if backend.name() == "tensorflow":
        import tensorflow as tf

        function = tf.function(layer.__call__, jit_compile=jit_compile)
        if not jit_compile:
            with pytest.raises(tf.errors.InvalidArgumentError, match="indic"):
                function(ids)
            return
    elif backend.name() == "torch":
        with pytest.raises(ValueError, match="Ids must be"):
            layer(ids)
        return
    else:
        function = backend.compiled(layer.__call__)
    np.testing.assert_allclose(as_numpy(function(ids)), expected, atol=1e-6)


def test_torch_refuses_ids_that_were_not_looked_at(monkeypatch):
    if backend.name() != "torch":
        pytest.skip("the other backends compile")
    monkeypatch.setattr(backend, "numbers_at_hand", lambda ids: None)
    for deduplicate in (True, False):
        layer = built(deduplicate=deduplicate)
        with pytest.raises(IndexError):
            layer(np.array([3, 67]))


def test_masks_are_those_of_keras():
    ids = np.array([[4, 2, 0, 0], [1, 0, 0, 0]])
    layer = built(mask_zero=True)
    np.testing.assert_array_equal(as_numpy(layer.compute_mask(ids)), ids != 0)
    mean = as_numpy(keras.layers.GlobalAveragePooling1D()(layer(ids)))
    assert_close(mean[1], table_of(layer)[1])
    assert_close(mean[0], table_of(layer)[[4, 2]].mean(0))
    assert built().compute_mask(ids) is None


@pytest.mark.parametrize(
    "initializer",
    [
        keras.initializers.RandomUniform(seed=1),
        keras.initializers.RandomNormal(stddev=0.02, seed=1),
        keras.initializers.GlorotUniform(seed=1),
        keras.initializers.HeNormal(seed=1),
    ],
    ids=lambda initializer: type(initializer).__name__,
)
def test_the_table_has_the_variance_of_the_initializer(initializer):
    layer = built(vocabulary=512, size=64, embeddings_initializer=initializer)
    drawn = as_numpy(initializer((512, 64)))
    ratio = np.mean(table_of(layer) ** 2) / np.mean(drawn**2)
    assert ratio == pytest.approx(1.0, rel=0.05)
    assert layer.embeddings_initializer is initializer


def test_the_regularizer_acts_on_each_core():
    layer = built(embeddings_regularizer=keras.regularizers.L2(0.1))
    cores = sum((as_numpy(core) ** 2).sum() for core in layer.cores)
    losses = as_numpy(sum(layer.losses))
    assert losses == pytest.approx(0.1 * cores, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("embeddings_constraint", "non_neg"),
        ("weights", np.zeros((67, 13))),
        ("quantization_config", {"mode": "int8"}),
        ("use_bias", True),
        ("activation", "relu"),
        ("kernel_initializer", "he_normal"),
    ],
)
@pytest.mark.parametrize("kind", [Embedding, Reversible])
def test_arguments_that_a_table_cannot_have(kind, name, value):
    with pytest.raises(ValueError, match=f"has no `{name}`.*Received: {name}"):
        kind(67, 13, TRAIN, **{name: value})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"input_dim": 0}, ValueError, "`input_dim` .*input_dim=0"),
        ({"output_dim": 2.5}, TypeError, "`output_dim` .*output_dim=2.5"),
        ({"mask_zero": 1}, TypeError, "`mask_zero` must be True or False"),
        ({"deduplicate": "yes"}, TypeError, "`deduplicate` must be"),
        (
            {"embeddings_initializer": "ones"},
            ValueError,
            "`embeddings_initializer` must.*embeddings_initializer=",
        ),
        (
            {"embeddings_initializer": keras.initializers.RandomNormal(1.0)},
            ValueError,
            "`embeddings_initializer` must have a mean of zero",
        ),
    ],
)
def test_arguments_that_are_wrong(arguments, error, message):
    given = {"input_dim": 67, "output_dim": 13, "format": TRAIN}
    with pytest.raises(error, match=message):
        Embedding(**given | arguments)


def test_a_table_is_built_without_a_shape():
    layer = Embedding(67, 13, TRAIN)
    layer.build()
    assert tuple(layer.embeddings.shape) == (67, 13)
    assert layer.plan(3).batch == 3


@pytest.mark.parametrize("length", [6, None])
@pytest.mark.parametrize("deduplicate", [True, False])
@pytest.mark.parametrize(
    ("format", "file"),
    [("tf_saved_model", "model"), ("litert", "m.tflite"), ("onnx", "m.onnx")],
)
def test_exported_files_agree(tmp_path, length, deduplicate, format, file):
    if backend.name() != "tensorflow":
        pytest.skip("models are exported on TensorFlow")
    layer = built(Reversible, deduplicate=deduplicate)
    ids = keras.Input((length,), dtype="int32")
    model = keras.Model(ids, layer(layer(ids), reverse=True))
    report = tk.export(model, tmp_path / file, format, sample=ids_of((3, 6)))
    assert report.max_difference <= report.tolerance


def test_learning_rates_count_what_is_summed_and_nothing_looked_up():
    layer = built(scale_learning_rates=True)
    network = layer.format.network.with_kind("in", "lookup")
    sizes = dict(network.bonds)
    # The first core sums nothing, every other one its bond to the left.
    sums = [1, *(sizes[f"r{k}"] for k in range(1, len(network.cores)))]
    expected = [1 / (len(sums) * each) for each in sums]
    assert learning_rate_scales(network) == pytest.approx(expected)
    ids = np.array([[3, 1], [66, 3]])
    assert_close(layer(ids), as_numpy(layer.embeddings)[ids])
