"""The TT layers' own arguments."""

import keras
import numpy as np
import pytest

from tensornet_keras import layers
from tests.laws.oracles import as_numpy, assert_close, random_array


@pytest.mark.parametrize(
    "order", ["spatial_first", "channels_outside", "spatial_last"]
)
def test_the_order_of_a_convolution_is_in_its_config(order):
    layer = layers.TTConv2D(8, 3, rank=2, conv_order=order)
    inputs = random_array((2, 5, 5, 6))
    outputs = layer(inputs)
    config = layer.get_config()
    assert config["conv_order"] == order
    again = layers.TTConv2D.from_config(config)
    again.build(inputs.shape)
    assert again.format == layer.format
    again.set_weights(layer.get_weights())
    assert_close(again(inputs), outputs)


def test_channels_outside_are_four_convolutions_of_keras():
    layer = layers.TTConv2D(
        10, 3, rank=4, conv_order="channels_outside", use_bias=False
    )
    inputs = random_array((2, 7, 6, 8))
    outputs = layer(inputs)
    first, height, width, last = map(as_numpy, layer.cores)
    hidden = inputs
    for kernel in (
        first[None, None],
        height[:, None],
        width[None],
        last[None, None],
    ):
        hidden = keras.ops.conv(hidden, kernel)
    assert_close(outputs, hidden)


def test_a_dense_layer_has_no_order():
    layer = layers.TTDense(8, rank=2)
    layer.build((None, 8))
    assert "conv_order" not in layer.get_config()
    with pytest.raises((TypeError, ValueError), match="conv_order"):
        layers.TTDense(8, rank=2, conv_order="spatial_last")


def test_ranks_are_written_in_the_order_of_the_train():
    layer = layers.TTConv1D(
        8, 3, (3, 2, 4), (2, 3), (8,), conv_order="channels_outside"
    )
    layer.build((None, 9, 6))
    shapes = [tuple(core.shape) for core in layer.cores]
    assert shapes == [(2, 3), (3, 3, 2), (3, 2, 4), (4, 8)]
    assert layer.count_params() == sum(map(np.prod, shapes)) + 8
