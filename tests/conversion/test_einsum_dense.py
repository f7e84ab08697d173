import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.laws.oracles import as_numpy, assert_close, random_array

CASES = [
    ("abc,cde->abde", (5, 24), (None, 4, 6), "de"),
    ("abde,dec->abc", (5, 4, 6), (None, 24), "c"),
    ("abc,bcd->abd", (3, 8), (3, 10), None),
    ("abc,dc->abd", (5, 8), (None, 6), "d"),
    ("...x,xy->...y", (8,), (12,), "y"),
]


def model_of(equation, inputs, outputs, bias_axes):
    layer = layers.EinsumDense(
        equation,
        outputs,
        bias_axes=bias_axes,
        bias_initializer="random_normal",
        name="projection",
    )
    return keras.Sequential([keras.Input(inputs), layer])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_full_rank_reproduces_the_layer_and_the_way_back(case):
    model = model_of(*case)
    small, report = tk.convert(
        model, tk.formats.TensorTrain(), error=0, min_compression=0
    )
    assert isinstance(small.layers[0], tk.layers.FactorizedEinsumDense)
    assert report.rows[0].relative_error < 1e-6
    x = random_array((2, *case[1]))
    assert_close(small(x), model(x))
    dense = tk.densify(small)
    assert type(dense.layers[0]) is layers.EinsumDense
    assert_close(dense(x), model(x))
    assert_close(dense.layers[0].kernel, model.layers[0].kernel)


def test_heads_keep_modes_of_their_own():
    model = model_of("abc,cde->abde", (5, 768), (None, 12, 64), None)
    small, report = tk.convert(model, tk.formats.TensorTrain(rank=8))
    assert small.layers[0].format.output_modes == (4, 3, 8, 8)
    assert report.rows[0].modes == "8·6·4·4 x 4·3·8·8"


def test_the_error_is_that_of_the_kernel():
    model = model_of("abc,cde->abde", (5, 24), (None, 4, 6), "de")
    twin = tk.convert_layer(model.layers[0], tk.formats.TensorTrain(rank=2))
    kernel = as_numpy(model.layers[0].kernel)
    small, report = tk.convert(
        model, tk.formats.TensorTrain(rank=2), min_compression=0
    )
    missed = np.linalg.norm(as_numpy(small.layers[0].kernel) - kernel)
    expected = missed / np.linalg.norm(kernel)
    assert report.rows[0].relative_error == pytest.approx(expected, rel=1e-4)
    assert_close(twin.kernel, small.layers[0].kernel)
