"""Models of every shape that a graph of layers can take."""

import keras
import numpy as np
from keras import layers

from tests.small_models import mlp, numbers, randomized


def encoder(name="encoder"):
    return keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="dense")], name=name
    )


def functional(function, shape=(8,), **kwargs):
    inputs = keras.Input(shape, **kwargs)
    return randomized(keras.Model(inputs, function(inputs), name="outer"))


def with_nested_model():
    return functional(lambda x: layers.Dense(3)(encoder()(x)))


def with_nested_functional_model():
    inner = functional(lambda x: layers.Dense(8)(keras.ops.relu(x)))
    inner.name = "inner"
    return functional(lambda x: layers.Dense(3)(inner(x)))


def with_calls_on_keyword_arguments():
    def function(x):
        attention = layers.MultiHeadAttention(2, 4)
        x = attention(query=x, value=x, use_causal_mask=True)
        x = layers.Dropout(0.5)(x, training=False)
        return layers.Dense(3)(inputs=x)

    return functional(function, (6, 8))


def with_operations():
    def function(x):
        x = keras.ops.reshape(x * 2 + 1, (-1, 2, 4))
        x = keras.ops.concatenate([x, x], axis=-1)
        return layers.Dense(3)(keras.ops.relu(x)[:, 0])

    return functional(function)


def with_one_layer_called_three_times():
    layer = layers.Dense(8)
    return functional(lambda x: layer(layer(layer(x))))


def with_a_nested_model_called_twice():
    nested = encoder()
    return functional(lambda x: nested(nested(x)))


def with_equal_names_in_nested_models():
    def function(x):
        return layers.Dense(8, name="dense")(encoder("b")(encoder("a")(x)))

    return functional(function)


def with_a_mask():
    def function(x):
        x = layers.Embedding(9, 8, mask_zero=True)(x)
        return layers.LSTM(4)(layers.Dense(8)(x))

    return functional(function, (None,), dtype="int32")


def cut_out_of_a_larger_graph():
    inputs = keras.Input((4,))
    first = layers.Dense(8)(inputs)
    second = layers.Dense(8)(first)
    keras.Model(inputs, layers.Dense(8)(second))
    return randomized(keras.Model(first, second))


def of_several_inputs_and_outputs():
    left, right = keras.Input((8,)), keras.Input((8,))
    joined = layers.Concatenate()([layers.Dense(4)(left), right])
    outputs = [layers.Dense(3)(joined), layers.Dense(2)(joined)]
    model = keras.Model([left, right], outputs)
    return randomized(functional(lambda x: model([x, x * 2])))


def that_returns_its_input():
    return functional(lambda x: [x, layers.Dense(3)(x)])


def sequential_built_by_shape():
    model = keras.Sequential([layers.Dense(8), layers.Dense(3)])
    model.build((None, 8))
    return randomized(model)


def sequential_built_by_a_call():
    model = keras.Sequential([layers.Dense(8), layers.Dense(3)])
    model(numbers(4, 8))
    return randomized(model)


MODELS = [
    cut_out_of_a_larger_graph,
    mlp,
    of_several_inputs_and_outputs,
    sequential_built_by_a_call,
    sequential_built_by_shape,
    that_returns_its_input,
    with_a_mask,
    with_a_nested_model_called_twice,
    with_calls_on_keyword_arguments,
    with_equal_names_in_nested_models,
    with_nested_functional_model,
    with_nested_model,
    with_one_layer_called_three_times,
    with_operations,
]


def data_for(model):
    """Inputs of either dtype, and longer than an unknown axis needs."""
    shape = [size or 6 for size in model.inputs[0].shape[1:]]
    return np.abs(3 * numbers(5, *shape)).astype(model.inputs[0].dtype)
