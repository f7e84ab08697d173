"""Models of awkward structure, each with data for it."""

import keras
import numpy as np
from keras import layers, ops

from tests.small_models import numbers


@keras.saving.register_keras_serializable("nasty")
class Block(layers.Layer):
    """Parts in a list, a dict and a tuple, made early and late; own weights."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.stack = [layers.Dense(units, activation="relu") for _ in range(2)]
        self.named = {"inner": layers.Dense(units)}
        self.pair = (layers.Dense(units), layers.LayerNormalization())
        self.attention = layers.MultiHeadAttention(2, 4)

    def build(self, shape):
        for layer in self.stack:
            layer.build(shape)
        self.named["inner"].build(shape)
        self.pair[0].build(shape)
        self.pair[1].build(shape)
        self.attention.build(shape, shape)
        self.late = layers.Dense(self.units)
        self.late.build(shape)
        self.scale = self.add_weight(shape=(self.units,), name="scale")

    def call(self, x):
        y = self.named["inner"](self.stack[1](self.stack[0](x)))
        y = self.pair[1](y + self.pair[0](x))
        return self.late(y + self.attention(y, y)) * self.scale

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("nasty")
class Tower(keras.Model):
    """Lists of blocks, a Sequential, a layer called several times."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.blocks = [Block(units) for _ in range(2)]
        self.net = keras.Sequential(
            [layers.Dense(units), layers.BatchNormalization(), layers.Dense(3)]
        )
        self.shared = layers.Dense(units)
        self.head = keras.Sequential([keras.Input((5, units)), self.shared])
        inputs = keras.Input((5, units))
        outputs = layers.Dense(units)(layers.Dense(units)(inputs))
        self.graph = keras.Model(inputs, outputs)

    def call(self, x, training=None):
        for block in self.blocks:
            x = self.graph(self.head(self.shared(block(x))))
        return self.net(x, training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("nasty")
class Tied(keras.Model):
    """A table that is read by ids, and multiplied by at the end."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.size = size
        self.table = layers.Embedding(size, 8)
        self.hidden = layers.Dense(8)

    def call(self, ids):
        x = self.hidden(self.table(ids))
        return ops.matmul(x, ops.transpose(self.table.embeddings))

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable("nasty")
class Backbone(keras.Model):
    """A Functional model with a class and arguments of its own."""

    def __init__(self, size, **kwargs):
        table = layers.ReversibleEmbedding(size, 8, name="table")
        ids = keras.Input((None,), dtype="int32", name="ids")
        x = Block(8, name="block")(table(ids))
        x = layers.Dense(8, name="pool")(x)
        outputs = table(x, reverse=True)
        super().__init__(inputs={"ids": ids}, outputs=outputs, **kwargs)
        self.size = size
        self.table = table

    def get_config(self):
        return {"size": self.size, "name": self.name}


@keras.saving.register_keras_serializable("nasty")
class Adapter(layers.Layer):
    """A layer whose config holds the layer that it owns."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return 2 * self.inner(x)

    def get_config(self):
        inner = keras.saving.serialize_keras_object(self.inner)
        return {**super().get_config(), "inner": inner}

    @classmethod
    def from_config(cls, config):
        inner = keras.saving.deserialize_keras_object(config.pop("inner"))
        return cls(inner, **config)


def functional(shape, function):
    """A model of a function, and numbers for it."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs)), numbers(3, *shape)


def nested_in_nested():
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(6)], name="in")
    middle, _ = functional((8,), lambda x: layers.Dense(8)(inner(x)))
    return functional((8,), lambda x: layers.Dense(4)(middle(x)))


def shared_twice():
    layer = layers.Dense(8)
    block = keras.Sequential([keras.Input((8,)), layer, layers.ReLU()])
    model, data = functional((8,), lambda x: layer(block(block(layer(x)))))
    model.name = "shared"
    return model, data


def two_inputs():
    one, two = keras.Input((8,), name="one"), keras.Input((5, 4), name="two")
    x = layers.Concatenate()([layers.Dense(6)(one), layers.Flatten()(two)])
    outputs = {"a": layers.Dense(4)(x), "b": layers.Conv1D(4, 3)(two)}
    data = {"one": numbers(3, 8), "two": numbers(3, 5, 4)}
    return keras.Model({"one": one, "two": two}, outputs), data


def time_distributed():
    inner = keras.Sequential([layers.Conv2D(6, 3), layers.Flatten()])

    def function(x):
        x = layers.TimeDistributed(inner)(x)
        return layers.TimeDistributed(layers.Dense(4))(x)

    return functional((3, 5, 5, 2), function)


def bidirectional():
    def function(x):
        x = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
        back = layers.GRU(5, go_backwards=True)
        return layers.Bidirectional(layers.GRU(5), backward_layer=back)(x)

    return functional((5, 8), function)


def subclassed():
    model = Tower(8)
    model(numbers(2, 5, 8))
    return model, numbers(2, 5, 8)


def tied():
    model = Tied(11)
    ids = np.array([[1, 2, 3], [4, 5, 10]])
    model(ids)
    return model, ids


def attention_of_another_value_size():
    def function(x):
        attention = layers.MultiHeadAttention(3, 4, value_dim=5, output_shape=7)
        return attention(x, x, use_causal_mask=True)

    return functional((6, 8), function)


def depthwise_and_grouped():
    def function(x):
        x = layers.DepthwiseConv2D(3, depth_multiplier=2)(x)
        x = layers.Conv2D(8, 3, groups=4, padding="same")(x)
        return layers.Dense(4)(layers.SeparableConv2D(6, 3)(x))

    return functional((8, 8, 4), function)


def mixed_precision():
    policy = "mixed_float16"

    def function(x):
        x = layers.Dense(12, activation="gelu", dtype=policy)(x)
        x = layers.MultiHeadAttention(2, 4, dtype=policy)(x, x)
        return layers.Dense(5, dtype="float32")(x)

    return functional((6, 8), function)


def a_layer_in_the_config():
    net = keras.Sequential([keras.Input((8,)), layers.Dense(8), layers.ReLU()])
    return functional((8,), lambda x: Adapter(layers.Dense(6))(Adapter(net)(x)))


def backbone():
    return Backbone(11), {"ids": np.array([[1, 2, 3], [4, 5, 10]])}


NASTY = {
    function.__name__: function
    for function in (
        nested_in_nested,
        shared_twice,
        two_inputs,
        time_distributed,
        bidirectional,
        subclassed,
        tied,
        attention_of_another_value_size,
        depthwise_and_grouped,
        mixed_precision,
        a_layer_in_the_config,
        backbone,
    )
}
