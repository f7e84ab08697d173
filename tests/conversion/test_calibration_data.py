"""What calibration data may be, and which layers hear of it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tensornet_keras as tk
from tensornet_keras.conversion import costs
from tensornet_keras.conversion.calibration_data import batches_of
from tests.nasty_models import NASTY
from tests.small_models import (
    arrays,
    assert_same_values,
    numbers,
    randomized,
    values_of,
)

LOW = tk.formats.LowRank


def dense():
    model = keras.Sequential([keras.Input((24,)), layers.Dense(20)])
    return randomized(model)


class Batches(keras.utils.PyDataset):
    """A data set of Keras with labels."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.x[20 * index : 20 * index + 20], np.zeros(20)


class Endless(Batches):
    """One that does not say where it ends."""

    @property
    def num_batches(self):
        return None


def as_tf_data(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, x[:, 0])).batch(20)


@pytest.mark.parametrize(
    "made",
    [
        lambda x: (x[at : at + 20] for at in (0, 20)),
        lambda x: iter([(x[:20], np.zeros(20)), (x[20:], np.zeros(20))]),
        Batches,
        as_tf_data,
    ],
    ids=["generator", "with labels", "PyDataset", "tf.data"],
)
def test_batches_are_as_good_as_an_array(made):
    model, x = dense(), numbers(40, 24)
    small, _ = tk.convert(model, LOW(rank=4), calibration_data=made(x))
    same, _ = tk.convert(model, LOW(rank=4), calibration_data=x)
    for ours, theirs in zip(values_of(small), values_of(same), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NASTY)
def test_any_model_is_calibrated(name):
    model, data = NASTY[name]()
    randomized(model)
    before = values_of(model)
    small, report = tk.convert(model, LOW(), ratio=0.9, calibration_data=data)
    assert_same_values(before, values_of(model))
    assert report.replaced
    assert all(np.isfinite(each).all() for each in arrays(small(data)))


def test_the_multiply_adds_of_layers_in_a_loop_count():
    model, _ = NASTY["time_distributed"]()
    cost_of = costs.flops_of(model)
    one, other = (layer.layer for layer in model.layers[1:])
    # Three steps; 3 x 3 places of 6 channels from a window of 3 x 3 x 2.
    assert cost_of(one.layers[0], None) == 3 * 9 * 6 * 18
    assert cost_of(other, None) == 3 * 54 * 4
    _, report = tk.convert(
        randomized(model), LOW(), flops=0.8, min_compression=0
    )
    assert report.replaced


class Masked(layers.Layer):
    """A layer that cannot do without its mask."""

    supports_masking = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(4)

    def build(self, shape):
        self.dense.build(shape)

    def compute_output_shape(self, shape):
        return self.dense.compute_output_shape(shape)

    def call(self, inputs, mask):
        return self.dense(inputs) * ops.cast(mask, inputs.dtype)[:, None]


def test_layers_in_a_loop_get_their_mask():
    inputs = keras.Input((3, 6))
    outputs = layers.TimeDistributed(Masked())(layers.Masking()(inputs))
    model = keras.Model(inputs, outputs)
    inner = model.layers[-1].layer.dense
    assert costs.flops_of(model)(inner, None) == 3 * 6 * 4


class Words(keras.Model):
    """A model of words that does not declare what it takes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = layers.Embedding(1000, 8)
        self.pool = layers.GlobalAveragePooling1D()
        self.head = layers.Dense(8)

    def call(self, inputs):
        return self.head(self.pool(self.table(inputs)))

    def get_config(self):
        return {}


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_ids_are_not_rounded(policy):
    model = Words(dtype=policy)
    ids = np.arange(900, 1000, dtype="int32").reshape(20, 5)
    model(ids)
    for data in (ids, iter([ids[:8], ids[8:]])):
        batches = batches_of(model, data)
        assert all(batch.dtype == "int32" for batch in batches)
        np.testing.assert_array_equal(np.concatenate(batches), ids)
    with pytest.raises(ValueError, match="the shapes that the model takes"):
        batches_of(model, ids[:, :4])


def test_multiply_adds_of_a_model_that_does_not_say_what_it_takes():
    model = Words()
    ids = np.arange(100, dtype="int32").reshape(20, 5)
    model(ids)
    # The head of a batch of one.
    for how in ({"sample": ids}, {"calibration_data": ids}):
        _, report = tk.convert(model, LOW(), flops=0.5, filters="dense", **how)
        (row,) = report.replaced
        assert row.ranks == (2,)


@pytest.mark.parametrize("number", [0.5, np.nan, 1e12])
def test_floats_that_are_no_whole_numbers_are_refused(number):
    inputs = keras.Input((5,), dtype="int32")
    model = keras.Model(inputs, layers.Embedding(9, 4)(inputs))
    data = np.ones((4, 5), "float64")
    (batch,) = batches_of(model, data)
    assert batch.dtype == "int32"
    data[1, 2] = number
    with pytest.raises(ValueError, match="must hold whole numbers"):
        tk.convert(model, LOW(rank=2), calibration_data=data)


def test_nan_in_bfloat16_is_refused():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    model = keras.Sequential(
        [keras.Input((24,), dtype="bfloat16"), layers.Dense(20)]
    )
    data = np.full((4, 24), np.nan, ml_dtypes.bfloat16)
    with pytest.raises(ValueError, match="must be finite"):
        tk.convert(model, LOW(rank=4), calibration_data=data)


def test_a_data_loader_of_lists_has_labels():
    utils = pytest.importorskip("torch.utils.data")
    torch = pytest.importorskip("torch")
    x = numbers(40, 24)
    both = utils.TensorDataset(torch.tensor(x), torch.zeros(40))
    loader = utils.DataLoader(both, batch_size=20)
    inputs = keras.Input((24,))
    listed = keras.Model([inputs], layers.Dense(20)(inputs))
    for model in (dense(), listed):
        found = keras.tree.flatten(batches_of(model, loader))
        np.testing.assert_array_equal(np.concatenate(found), x)
    # Inputs of a model of two are no input and labels.
    other = keras.Input((24,))
    two = keras.Model([inputs, other], layers.Add()([inputs, other]))
    for batch in batches_of(two, iter([[x[:20], x[20:]]])):
        assert [part.shape for part in batch] == [(20, 24)] * 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.ones((4, 7), "float32"), "`calibration_data` must have the shapes"),
        (np.full((4, 24), np.nan, "float32"), "must be finite"),
        (iter([]), "at least one example"),
        ([np.ones((4, 24)), np.ones((4, 24))], "built as the model's inputs"),
        (Endless(numbers(40, 24)), "must come to an end"),
    ],
    ids=["shape", "NaN", "nothing", "structure", "endless"],
)
def test_data_that_does_not_fit_is_refused(data, words):
    model = dense()
    with pytest.raises(ValueError, match=words):
        tk.convert(model, LOW(rank=4), calibration_data=data)


def test_a_data_set_without_an_end_is_refused():
    model, data = dense(), as_tf_data(numbers(40, 24)).repeat()
    with pytest.raises(ValueError, match="must come to an end"):
        tk.convert(model, LOW(rank=4), calibration_data=data)


def test_inputs_may_be_in_a_list_or_go_by_their_names():
    model, x = dense(), numbers(40, 24)
    name = model.inputs[0].name
    found = [
        values_of(tk.convert(model, LOW(rank=4), calibration_data=data)[0])
        for data in (x, [x], {name: x})
    ]
    assert_same_values(found[0], found[1])
    assert_same_values(found[0], found[2])


def test_data_that_is_none_is_refused():
    model = dense()
    with pytest.raises(TypeError, match="iterable of batches"):
        tk.convert(model, LOW(rank=4), calibration_data=3)
