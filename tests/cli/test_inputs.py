"""Arrays from files in the structure that a model takes."""

import keras
import numpy as np
import pytest
from keras import layers

from tensornet_keras.cli import inputs


def two_inputs(*names):
    one, two = (keras.Input((3,), name=name) for name in names)
    return keras.Model([one, two], layers.Subtract()([one, two]))


def read(model, path, **arrays):
    np.savez(path / "data.npz", **arrays)
    return inputs.examples(model, path / "data.npz", "--data")


def test_arrays_go_to_the_inputs_of_their_names(tmp_path):
    model = two_inputs("one", "two")
    zeros, ones = np.zeros((2, 3)), np.ones((2, 3))
    found, labels = read(model, tmp_path, two=zeros, one=ones)
    assert [array[0, 0] for array in found] == [1.0, 0.0]
    assert labels is None
    found, _ = read(model, tmp_path, arr_0=zeros, arr_1=ones)
    assert [array[0, 0] for array in found] == [0.0, 1.0]
    with pytest.raises(ValueError, match="the inputs are: one, two"):
        read(model, tmp_path, one=ones, three=zeros)


@pytest.mark.parametrize("name", ["x", "arr_0", "first", "anything"])
def test_the_only_array_is_the_only_input(name, tmp_path):
    inputs_ = keras.Input((3,), name="first")
    model = keras.Model(inputs_, layers.ReLU()(inputs_))
    found, labels = read(model, tmp_path, **{name: np.ones((2, 3))})
    assert found.shape == (2, 3)
    assert labels is None
    found, labels = read(
        model, tmp_path, y=np.zeros(2), **{name: np.ones((2, 3))}
    )
    assert found.shape == (2, 3)
    assert labels.shape == (2,)


def test_an_input_may_be_called_as_labels_are(tmp_path):
    model = two_inputs("x", "y")
    found, labels = read(model, tmp_path, x=np.ones((2, 3)), y=np.zeros((2, 3)))
    assert [array[0, 0] for array in found] == [1.0, 0.0]
    assert labels is None
