import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.layers.einsum_equation import EinsumEquation
from tests.laws.oracles import as_numpy, assert_close, keras_twin, random_array

TRAIN = tk.formats.TensorTrain(rank=3)

EQUATIONS = [
    ("abc,cde->abde", (2, 5, 24), (None, 4, 6), "de"),
    ("abc,cde->abde", (2, 5, 24), (5, 4, 6), "e"),
    ("abde,dec->abc", (2, 5, 4, 6), (None, 24), "c"),
    ("abc,bcd->abd", (2, 3, 8), (3, 10), "d"),
    ("abc,bcd->adb", (2, 3, 8), (10, 3), None),
    ("abc,dc->adb", (2, 5, 8), (6, 5), "d"),
    ("ab...,bc->ac...", (2, 8, 5, 3), (6,), "c"),
    ("...ab,bac->...c", (2, 5, 4, 6), (7,), None),
]


def layer_of(equation, input_shape, output_shape, bias_axes, **more):
    arguments = {"bias_initializer": "random_normal"} if bias_axes else {}
    layer = tk.layers.FactorizedEinsumDense(
        equation, output_shape, TRAIN, bias_axes=bias_axes, **arguments | more
    )
    layer.build(input_shape)
    return layer


@pytest.mark.parametrize(("equation", "inputs", "outputs", "bias"), EQUATIONS)
def test_outputs_are_those_of_einsum(equation, inputs, outputs, bias):
    layer = layer_of(equation, inputs, outputs, bias)
    x = random_array(inputs)
    twin = keras_twin(layer)
    assert tuple(layer.kernel.shape) == tuple(twin.kernel.shape)
    assert_close(layer(x), twin(x))
    expected = np.einsum(equation, x, as_numpy(layer.kernel))
    if bias is None:
        assert_close(layer(x), expected)
    assert layer.compute_output_shape(inputs) == expected.shape


@pytest.mark.parametrize(("equation", "inputs", "outputs", "bias"), EQUATIONS)
def test_the_config_makes_the_same_layer(equation, inputs, outputs, bias):
    layer = layer_of(equation, inputs, outputs, bias)
    again = type(layer).from_config(layer.get_config())
    again.build(inputs)
    again.set_weights(layer.get_weights())
    x = random_array(inputs)
    np.testing.assert_array_equal(as_numpy(again(x)), as_numpy(layer(x)))


def test_heads_and_head_size_keep_modes_of_their_own():
    layer = layer_of("abc,cde->abde", (2, 5, 768), (None, 12, 64), None)
    assert layer.format.output_dims == (12, 64)
    assert layer.format.output_modes == (4, 3, 8, 8)
    joined = layer_of("abde,dec->abc", (2, 5, 12, 64), (None, 768), None)
    assert joined.format.input_modes == (4, 3, 8, 8)


def test_shared_axes_are_a_stack_of_matrices():
    layer = layer_of("abc,bcd->abd", (2, 3, 8), (3, 10), None)
    assert layer.format.window == (3,)
    assert layer.format.input_dims == (8,)


def test_the_variance_is_that_of_the_keras_layer():
    for equation, inputs, outputs in [
        ("abc,cde->abde", (2, 5, 64), (None, 8, 16)),
        ("abc,bcd->abd", (2, 8, 64), (8, 32)),
    ]:
        layer = layer_of(
            equation, inputs, outputs, None, kernel_initializer="he_normal"
        )
        twin = keras.layers.EinsumDense(
            equation, outputs, kernel_initializer="he_normal"
        )
        twin.build(inputs)
        squares = [
            float(np.mean(np.square(as_numpy(each.kernel))))
            for each in (layer, twin)
        ]
        assert squares[0] == pytest.approx(squares[1], rel=0.05)


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("ab,bc", "must be of the form"),
        ("ab,bc,cd->ad", "must be of the form"),
        ("abc,cd->ad", "other axes to the output"),
        ("ab,bc->acd", "other axes to the output"),
        ("ab,bcd->ac", "other axes to the output"),
        ("ab,cd->abcd", "other axes to the output"),
        ("ab,b->a", "other axes to the output"),
        ("aab,bc->ac", "once on each operand"),
        ("...ab,bc->ac...", "same axes of input and output"),
    ],
)
def test_other_equations_are_refused(equation, message):
    with pytest.raises(ValueError, match=message):
        layer_of(equation, (2, 3, 4), (5,), None)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one entry per axis of the output"):
        layer_of("abc,cd->abd", (2, 3, 4), (5,), None)
    with pytest.raises(ValueError, match="Axis 'b' must have one size"):
        layer_of("abc,cd->abd", (2, 3, 4), (5, 6), None)
    with pytest.raises(ValueError, match="must fit the input, of 2 axes"):
        layer_of("abc,cd->abd", (2, 3), (None, 6), None)
    with pytest.raises(ValueError, match=r"which leave \['c'\] unknown"):
        layer_of("abc,cd->abd", (2, 3, None), (None, 6), None)
    with pytest.raises(ValueError, match="`bias_axes` must be axes"):
        layer_of("abc,cd->abd", (2, 3, 4), (None, 6), "x")


@given(st.permutations("abcd"), st.permutations("bcef"), st.data())
def test_labels_are_sorted_by_what_becomes_of_them(inputs, kernel, data):
    outputs = data.draw(st.permutations("adbef"))
    sides = ("".join(side) for side in (inputs, kernel, outputs))
    parsed = EinsumEquation.parse("{},{}->{}".format(*sides))
    assert set(parsed.free) == {"a", "d"}
    assert parsed.batch == ("b",)
    assert parsed.contracted == ("c",)
    assert set(parsed.new) == {"e", "f"}
