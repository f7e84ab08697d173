import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    keras_twin,
    random_array,
)
from tests.laws.tracing import traced

TTConv2D = tk.layers.TTConv2D

# A pointwise kernel of many channels, whose cores are applied one by one, and
# a small one that is rebuilt.
SWEPT = {"filters": 256, "kernel_size": 1, "rank": 1}, (1, 256, 2, 2)
REBUILT = {"filters": 8, "kernel_size": 3, "rank": 3}, (2, 6, 5, 4)
GROUPED = {"filters": 8, "kernel_size": 3, "groups": 2}, (2, 6, 5, 4)


def channels_first(arguments, shape):
    layer = TTConv2D(
        data_format="channels_first",
        bias_initializer="random_normal",
        **arguments,
    )
    layer.build(shape)
    return layer


def outcome(layer, inputs):
    """The output, or the type of the error in its place."""
    try:
        return as_numpy(layer(inputs))
    except Exception as error:  # noqa: BLE001 -- whatever Keras raises
        return type(error)


@pytest.mark.parametrize("case", [REBUILT, GROUPED])
def test_channels_first_is_what_it_is_in_keras(case):
    layer = channels_first(*case)
    inputs = random_array(case[1])
    expected = outcome(keras_twin(layer), inputs)
    if isinstance(expected, type):
        # TensorFlow has no kernel for it on some processors.
        assert backend.name() == "tensorflow"
        assert outcome(layer, inputs) is expected
    else:
        assert_close(layer(inputs), expected)


def test_swept_channels_are_moved_last_and_back():
    layer = channels_first(*SWEPT)
    assert not layer.plan().rebuilds
    last = TTConv2D(data_format="channels_last", **SWEPT[0])
    inputs = random_array(SWEPT[1])
    moved = np.moveaxis(inputs, 1, -1)
    last.build(moved.shape)
    last.set_weights(layer.get_weights())
    expected = np.moveaxis(as_numpy(last(moved)), -1, 1)
    assert_close(layer(inputs), expected)


def test_masks_end_here_as_in_keras():
    masked = keras.layers.Masking()(random_array((2, 6, 4)))
    with pytest.warns(UserWarning, match="does not support masking"):
        keras.layers.Conv1D(4, 3)(masked)
    with pytest.warns(UserWarning, match="does not support masking"):
        tk.layers.TTConv1D(4, 3)(masked)


def test_a_causal_output_sees_nothing_ahead():
    layer = tk.layers.TTConv1D(6, 3, padding="causal", dilation_rate=2)
    inputs = random_array((1, 8, 4))
    before = as_numpy(layer(inputs))
    inputs[:, 5:] = 0.0
    after = as_numpy(layer(inputs))
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert np.abs(before[:, 5:] - after[:, 5:]).min() > 0.0


def test_groups_factorize_the_kernel_of_one_group_and_rebuild_it():
    layer = TTConv2D(256, 1, rank=1, groups=2)
    layer.build((1, 2, 2, 512))
    assert layer.format.dense_shape == (1, 1, 256, 256)
    assert layer.plan().rebuilds


def test_sizes_given_as_ints_hold_for_every_axis():
    layer = TTConv2D(4, 3, strides=2)
    assert (layer.kernel_size, layer.strides) == ((3, 3), (2, 2))
    assert layer.dilation_rate == (1, 1)


def test_images_of_any_size_are_taken_after_building():
    layer = TTConv2D(8, 3, rank=3, padding="same")
    layer.build((None, None, None, 4))
    for shape in ((1, 3, 4, 4), (2, 9, 8, 4)):
        inputs = random_array(shape)
        assert_close(traced(layer, inputs), traced(keras_twin(layer), inputs))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": "causal"}, "padding"),
        ({"strides": (1, 2, 3)}, "strides"),
        ({"strides": 2, "dilation_rate": 2}, "dilation_rate"),
        ({"groups": 3}, "groups"),
        ({"filters": 0}, "filters"),
        ({"data_format": "last"}, "data_format"),
    ],
)
def test_arguments_are_checked_as_keras_checks_them(arguments, message):
    with pytest.raises(ValueError, match=message):
        TTConv2D(**({"filters": 8, "kernel_size": 3} | arguments))


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [({}, (2, 5, 5, None)), ({"groups": 2}, (2, 5, 5, 3))],
)
def test_channels_must_be_known_and_fit_the_groups(arguments, shape):
    layer = TTConv2D(8, 3, **arguments)
    with pytest.raises(ValueError, match="number of input channels") as error:
        layer.build(shape)
    assert f"input_shape={shape}" in str(error.value)


def test_an_image_too_small_for_the_window_is_refused():
    with pytest.raises(ValueError, match="output"):
        TTConv2D(8, 3).build((1, 2, 2, 4))


def test_inputs_of_another_shape_are_refused_by_the_layer_name():
    layer = TTConv2D(8, 3, name="edges")
    layer.build((None, 5, 5, 4))
    with pytest.raises(ValueError, match="edges.* is incompatible"):
        layer(random_array((1, 5, 5, 3)))
    with pytest.raises(ValueError, match="edges.* is incompatible"):
        layer(random_array((1, 5, 4)))
