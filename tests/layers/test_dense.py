import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    keras_twin,
    random_array,
)

TTDense = tk.layers.TTDense


def test_a_prime_width_is_padded_and_the_padding_never_shows():
    layer = TTDense(13, rank=3)
    layer.build((None, 67))
    assert layer.format.pad
    assert layer.kernel.shape == (67, 13)
    assert layer.bias.shape == (13,)
    inputs = random_array((4, 67))
    assert_close(layer(inputs), keras_twin(layer)(inputs))


def test_axes_in_front_of_the_last_are_kept():
    layer = TTDense(6, rank=2)
    assert tuple(layer(random_array((2, 3, 4, 5, 8))).shape) == (2, 3, 4, 5, 6)


def test_an_empty_batch_gives_an_empty_output():
    outputs = TTDense(6, rank=2)(np.zeros((0, 8), "float32"))
    assert tuple(outputs.shape) == (0, 6)


def test_masks_pass():
    inputs = random_array((2, 4, 6))
    inputs[0, 2:] = 0.0
    layer = TTDense(5, bias_initializer="ones")
    layer.build(inputs.shape)

    def mean_of_what_is_not_masked(layer):
        outputs = layer(keras.layers.Masking()(inputs))
        return keras.layers.GlobalAveragePooling1D()(outputs)

    expected = mean_of_what_is_not_masked(keras_twin(layer))
    assert_close(mean_of_what_is_not_masked(layer), expected)
    first = as_numpy(layer(inputs[:1, :2])).mean(axis=1)
    assert_close(as_numpy(expected)[:1], first)


def test_whole_numbers_are_inputs_too():
    layer = TTDense(6, rank=2)
    whole = np.arange(16).reshape(2, 8)
    assert_close(layer(whole), layer(whole.astype("float32")))


@pytest.mark.parametrize(
    ("units", "error"), [(0, ValueError), (2.5, TypeError), (None, TypeError)]
)
def test_units_below_one_are_refused(units, error):
    with pytest.raises(error, match=f"`units` .*Received: units={units}"):
        TTDense(units)


def test_the_last_axis_must_be_known():
    with pytest.raises(ValueError, match=r"input_shape=\(2, None\)"):
        TTDense(6).build((2, None))


def test_inputs_of_another_width_are_refused_by_the_layer_name():
    layer = TTDense(6, name="wide")
    layer.build((None, 8))
    with pytest.raises(ValueError, match="wide.* is incompatible"):
        layer(random_array((2, 9)))
    with pytest.raises(ValueError, match="narrow.* is incompatible"):
        TTDense(6, name="narrow")(random_array((8,)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_modes": (2, 3), "output_modes": (3, 2)}, "multiply to"),
        ({"rank": (2, 2, 2)}, "one entry per bond"),
        ({"rank": 1e-3}, "must allow rank 1"),
    ],
)
def test_modes_and_ranks_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TTDense(6, **arguments).build((None, 8))
