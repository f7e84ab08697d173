import math

import keras
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.profiling.multiply_adds import count


def counted(layer, *shape):
    """The count at this input shape; the layer is built on the way."""
    layer.build(shape)
    return count(layer, shape, layer.compute_output_shape(shape))


def test_dense_meets_every_position():
    assert counted(layers.Dense(5), 2, 7, 3) == 2 * 7 * 3 * 5


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv1D(4, 3), (2, 10, 5), 2 * 8 * 3 * 5 * 4),
        (
            layers.Conv1D(4, 3, padding="causal", dilation_rate=2),
            (2, 10, 5),
            2 * 10 * 3 * 5 * 4,
        ),
        (
            layers.Conv2D(6, (3, 2), strides=(2, 1), padding="same"),
            (1, 9, 8, 4),
            5 * 8 * 6 * 4 * 6,
        ),
        (
            layers.Conv2D(6, 3, groups=2, dilation_rate=2),
            (1, 9, 9, 4),
            5 * 5 * 9 * 2 * 6,
        ),
        (layers.Conv3D(2, 2), (1, 4, 4, 4, 3), 27 * 8 * 3 * 2),
        (
            layers.Conv2DTranspose(3, 2, strides=2),
            (1, 4, 4, 5),
            16 * 4 * 5 * 3,
        ),
        (
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            (1, 5, 5, 4),
            9 * 9 * 4 * 2,
        ),
        (
            layers.SeparableConv1D(6, 3, padding="same"),
            (2, 8, 4),
            2 * 8 * (3 * 4 + 4 * 6),
        ),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_convolutions_slide_over_every_position(layer, shape, expected):
    assert counted(layer, *shape) == expected


def test_channels_first_counts_the_same_positions():
    layer = layers.Conv2D(6, 3, data_format="channels_first")
    layer.build((2, 4, 9, 8))
    found = count(layer, (2, 4, 9, 8), (2, 6, 7, 6))
    assert found == 2 * 7 * 6 * 9 * 4 * 6


@pytest.mark.parametrize(
    ("equation", "output_shape", "shape", "expected"),
    [
        ("abc,cd->abd", (None, 7), (2, 3, 4), 2 * 3 * 4 * 7),
        ("abc,cde->abde", (None, 2, 5), (2, 3, 4), 2 * 3 * 4 * 2 * 5),
        ("...x,xy->...y", 7, (2, 3, 5, 4), 2 * 3 * 5 * 4 * 7),
        ("abc,bcd->abd", (3, 7), (2, 3, 4), 2 * 3 * 4 * 7),
    ],
)
def test_einsum_dense_is_read_off_its_equation(
    equation, output_shape, shape, expected
):
    layer = layers.EinsumDense(equation, output_shape=output_shape)
    assert counted(layer, *shape) == expected


@pytest.mark.parametrize(
    ("kind", "gates"),
    [(layers.SimpleRNN, 1), (layers.GRU, 3), (layers.LSTM, 4)],
)
def test_recurrent_layers_count_every_step(kind, gates):
    expected = 2 * 6 * gates * (3 * 5 + 5 * 5)
    assert counted(kind(5), 2, 6, 3) == expected


def test_time_distributed_counts_its_layer_at_every_step():
    layer = layers.TimeDistributed(layers.Conv2D(2, 3))
    assert counted(layer, 2, 4, 5, 5, 3) == 4 * 2 * 9 * 9 * 3 * 2


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(),
        layers.Dropout(0.5),
        layers.BatchNormalization(),
        layers.MaxPooling1D(),
        layers.Flatten(),
        layers.Embedding(10, 3),
    ],
    ids=lambda layer: layer.name,
)
def test_layers_without_products_of_sums_are_free(layer):
    assert count(layer, (2, 4, 3), (2, 4, 3)) == 0


def test_a_factorized_dense_layer_counts_its_plan():
    layer = tk.layers.TTDense(1024, rank=2)
    found = counted(layer, 8, 1024)
    assert found == layer.plan(8).multiply_adds
    assert 0 < found < 8 * 1024 * 1024


def test_a_factorized_convolution_counts_its_plan():
    layer = tk.layers.TTConv2D(8, 3, rank=2)
    found = counted(layer, 2, 9, 9, 4)
    assert found == layer.plan((2, 9, 9, 4)).multiply_adds > 0


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (tk.layers.TTDense(64, rank=2, planning_batch=8), (16, 64)),
        (tk.layers.TTConv1D(8, 3, rank=2, planning_batch=8), (16, 9, 4)),
    ],
    ids=["dense", "conv"],
)
def test_what_runs_is_counted_and_not_the_batch_planned_for(layer, shape):
    found = counted(layer, *shape)
    assert found == layer.plan(shape).multiply_adds
    assert found > layer.plan((8, *shape[1:])).multiply_adds


def test_a_tied_read_out_counts_the_way_back():
    layer = tk.layers.FactorizedReversibleEmbedding(
        60, 16, tk.formats.LowRank(rank=4)
    )
    layer.build((None, 5))
    looked_up = count(layer, (3, 5), (3, 5, 16))
    assert looked_up == layer.plan((3, 5)).multiply_adds
    read_out = count(layer, (3, 5, 16), (3, 5, 60))
    assert read_out == layer.plan((3, 5, 16), reverse=True).multiply_adds
    assert read_out > looked_up


def test_layers_that_cannot_be_counted_are_left_open():
    class Mine(layers.Dense):
        def call(self, inputs):
            return 2 * super().call(inputs)

    layer = layers.Dense(4, lora_rank=2)
    assert counted(Mine(4), 2, 3) is None
    assert counted(layer, 2, 3) is None
    assert count(layers.Lambda(math.sqrt), (2, 3), (2, 3)) is None
    assert count(layers.Dot(1), (2, 3), (2, 1)) is None


def test_a_time_distributed_unknown_layer_is_left_open():
    layer = layers.TimeDistributed(layers.Lambda(keras.ops.abs))
    assert count(layer, (2, 4, 3), (2, 4, 3)) is None
