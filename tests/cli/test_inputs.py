"""Arrays from files in the structure that a model takes."""

import keras
import numpy as np
import pytest
from keras import layers

from tensornet_keras.cli import inputs


def test_arrays_go_to_the_inputs_of_their_names():
    one, two = keras.Input((3,), name="one"), keras.Input((3,), name="two")
    model = keras.Model([one, two], layers.Subtract()([one, two]))
    arrays = {"two": np.zeros((2, 3)), "one": np.ones((2, 3))}
    found = inputs.structured(model, arrays)
    assert [array[0, 0] for array in found] == [1.0, 0.0]
    unnamed = {"arr_0": np.zeros((2, 3)), "arr_1": np.ones((2, 3))}
    assert inputs.structured(model, unnamed) == list(unnamed.values())
    with pytest.raises(ValueError, match="the inputs are: one, two"):
        inputs.structured(model, {"one": np.ones((2, 3)), "three": None})
