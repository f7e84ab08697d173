"""What calibration data may be, and which layers hear of it."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
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


def test_the_multiply_adds_of_a_layer_in_a_loop_count():
    model, _ = NASTY["time_distributed"]()
    _, report = tk.convert(
        randomized(model), LOW(), flops=0.8, min_compression=0
    )
    assert report.replaced


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
