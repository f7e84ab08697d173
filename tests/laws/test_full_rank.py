"""At full rank a factorized layer is the Keras layer it was made from."""

import keras
import pytest

import tensornet_keras as tk
from tests.laws.examples import examples_of_every_format
from tests.laws.oracles import assert_close, random_array

# Layers by the number of axes of their window.
LAYERS = (
    (keras.layers.Dense, tk.layers.FactorizedDense),
    (keras.layers.Conv1D, tk.layers.FactorizedConv1D),
    (keras.layers.Conv2D, tk.layers.FactorizedConv2D),
    (keras.layers.Conv3D, tk.layers.FactorizedConv3D),
)


@pytest.mark.parametrize("format", examples_of_every_format(), ids=str)
def test_full_rank_reproduces_the_keras_layer(format):
    keras_layer, factorized_layer = LAYERS[len(format.window)]
    sizes = [format.output_size, *([format.window] if format.window else [])]
    extents = (4, 3, 3)[: len(format.window)]
    inputs = random_array((2, *extents, format.input_size))
    original = keras_layer(*sizes, bias_initializer="random_normal")
    expected = original(inputs)
    kernel, bias = original.get_weights()

    full = format.with_rank(format.attainable_ranks())
    result = tk.decompose(kernel, full)
    assert result.relative_error < 1e-6
    layer = factorized_layer(*sizes, format=result.format)
    layer.build(inputs.shape)
    layer.set_weights([*result.cores, bias])
    assert_close(layer(inputs), expected)
