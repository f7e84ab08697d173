import keras
import numpy as np
import pytest
from keras import layers

from tensornet_keras import surgery
from tests.small_models import (
    assert_same_function,
    assert_same_values,
    copy_of,
    numbers,
    randomized,
    values_of,
)


@keras.saving.register_keras_serializable("tests")
class Doubling(keras.Model):
    """A subclassed model that can be made again from its config."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = layers.Dense(units)

    def call(self, inputs):
        return 2 * self.dense(inputs)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Configless(layers.Layer):
    """Takes an argument that its config does not have."""

    def __init__(self, units):
        super().__init__()
        self.dense = layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)


class SelfMade(layers.Layer):
    """Deserializes by hand what its config names."""

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)

    def call(self, inputs):
        return self.activation(inputs)

    def get_config(self):
        name = keras.activations.serialize(self.activation)
        return {**super().get_config(), "activation": name}

    @classmethod
    def from_config(cls, config):
        name = keras.activations.deserialize(config.pop("activation"))
        return cls(name, **config)


class Halving(keras.constraints.Constraint):
    """A constraint that nobody registered."""

    def __call__(self, weight):
        return weight / 2


def swish(inputs):
    """Not Keras' function of this name."""
    return 3 * inputs


def around(*inner, shape=(8,)):
    return randomized(keras.Sequential([keras.Input(shape), *inner]))


LAYERS = {
    "batch norm": ((8,), lambda: layers.BatchNormalization()),
    "bidirectional": (
        (5, 8),
        lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
    ),
    "custom class": ((8,), lambda: SelfMade("tanh")),
    "custom function": ((8,), lambda: layers.Dense(4, activation=swish)),
    "gru": ((5, 8), lambda: layers.GRU(3)),
    "lambda": ((8,), lambda: layers.Lambda(lambda x: x * len(FACTOR))),
    "lambda as activation": (
        (8,),
        lambda: layers.Dense(4, activation=lambda x: x * len(FACTOR)),
    ),
    "layer as activation": (
        (8,),
        lambda: layers.Dense(4, activation=layers.PReLU()),
    ),
    "subclassed model": ((8,), lambda: Doubling(4)),
    "time distributed": (
        (5, 8),
        lambda: layers.TimeDistributed(layers.Dense(4)),
    ),
    "unregistered constraint": (
        (8,),
        lambda: layers.Dense(4, kernel_constraint=Halving()),
    ),
}
FACTOR = "three"


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_copied_with_its_weights(name):
    shape, build = LAYERS[name]
    model = around(build(), shape=shape)
    copy = copy_of(model)
    assert type(copy.layers[0]) is type(model.layers[0])
    assert_same_values(values_of(copy), values_of(model))
    assert_same_function(model, copy, numbers(5, *shape), tolerance=1e-6)


def test_a_function_is_not_mistaken_for_the_one_keras_has_of_that_name():
    copy = copy_of(around(layers.Dense(4, activation=swish)))
    assert copy.layers[0].activation is swish


def test_layers_inside_another_are_offered():
    inner = Doubling(4), layers.TimeDistributed(layers.Conv1D(4, 1))
    model = around(*inner, shape=(5, 3, 8))
    offered = []
    surgery.copy_with(model, offered.append, fill=None)
    kinds = [type(layer).__name__ for layer in offered]
    assert kinds == ["Doubling", "Dense", "TimeDistributed", "Conv1D"]


def test_random_layers_go_on_from_the_same_seeds():
    # PyTorch drops entries without a seed of the layer's.
    first = layers.GaussianNoise(0.3), layers.AlphaDropout(0.5)
    model = around(*first, layers.GaussianNoise(0.1), layers.Dense(4))
    inputs = numbers(5, 8)
    model(inputs, training=True)
    copy = copy_of(model)
    assert_same_function(model, copy, inputs, training=True)
    assert_same_function(model, copy, inputs, training=True)


def test_what_was_learned_by_adapting_is_copied():
    table = layers.IntegerLookup()
    table.adapt(np.array([[30, 20], [20, 10]]))
    bins = layers.Discretization(num_bins=3)
    bins.adapt(numbers(50))
    scale = layers.Normalization()
    scale.adapt(numbers(20, 2))
    ids, values = keras.Input((2,), dtype="int32"), keras.Input((2,))
    outputs = [table(ids), bins(values), scale(values)]
    model = keras.Model([ids, values], outputs)
    data = [np.array([[10, 20], [30, 40]], "int32"), numbers(2, 2)]
    assert_same_function(model, copy_of(model), data)


@pytest.mark.parametrize("mode", ["float8", "int4", "int8"])
def test_a_quantized_layer_stays_quantized(mode):
    model = around(layers.Dense(4))
    model.layers[0].quantize(mode)
    copy = copy_of(model)
    assert copy.layers[0].quantization_mode == mode
    assert_same_function(model, copy, numbers(5, 8))


@pytest.mark.parametrize("mode", [None, "int8"])
def test_adapters_stay_apart_from_their_kernel(mode):
    model = around(layers.Dense(4))
    dense = model.layers[0]
    if mode is not None:
        dense.quantize(mode)
    dense.enable_lora(2)
    dense.lora_kernel_b.assign(numbers(2, 4))
    copy = copy_of(model)
    twin = copy.layers[0]
    assert twin.lora_enabled
    for name in ("_kernel", "lora_kernel_a", "lora_kernel_b"):
        ours, theirs = getattr(twin, name), getattr(dense, name)
        assert ours.trainable == theirs.trainable
        assert_same_values([ours.numpy()], [theirs.numpy()])
    assert_same_function(model, copy, numbers(5, 8))


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (lambda: Configless(4), "Configless"),
        (
            lambda: layers.TimeDistributed(SelfMade("relu")),
            "TimeDistributed",
        ),
    ],
)
def test_a_layer_that_its_config_does_not_make_again_is_refused(layer, kind):
    model = around(layer(), shape=(5, 8))
    path = model.layers[0].path
    with pytest.raises(ValueError, match=f"{path!r}, a {kind} that is not"):
        copy_of(model)


def test_a_copy_that_would_lack_variables_is_refused():
    class Forgetful(layers.Layer):
        def __init__(self, wide=True, **kwargs):
            super().__init__(**kwargs)
            self.wide = wide

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(8,))
            if self.wide:
                self.shift = self.add_weight(shape=(8,))

        def call(self, inputs):
            return inputs * self.scale

        def get_config(self):
            return {**super().get_config(), "wide": False}

    model = around(Forgetful())
    with pytest.raises(ValueError, match="2 variables, its copy with 1"):
        copy_of(model)


class Refusing(keras.initializers.Initializer):
    """Draws no numbers."""

    def __call__(self, shape, dtype=None, **kwargs):
        raise AssertionError("An initializer was called.")


def test_no_weights_are_drawn_that_the_source_gives():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="one")])
    cell = layers.LSTM(2, name="loop")
    loop = keras.Sequential([keras.Input((5, 4)), cell])
    for source in (model, loop):
        randomized(source)
        for each in source._flatten_layers():
            for name in ("kernel", "recurrent", "bias"):
                if f"{name}_initializer" in vars(each):
                    setattr(each, f"{name}_initializer", Refusing())
        copied = copy_of(source)
        assert_same_values(values_of(source), values_of(copied))
        for layer in copied._flatten_layers():
            # What the layer adds later is drawn as it says.
            assert "add_weight" not in vars(layer)


class OldStyle(layers.Layer):
    """Names its weights' shapes and initializers by their place."""

    def build(self, input_shape):
        self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
        self.shift = self.add_weight((input_shape[-1],), name="shift")

    def call(self, inputs):
        return inputs * self.scale + self.shift


def test_weights_added_by_place_are_copied():
    model = randomized(keras.Sequential([keras.Input((4,)), OldStyle()]))
    copied = copy_of(model)
    assert_same_values(values_of(model), values_of(copied))
    assert_same_function(model, copied, numbers(2, 4))
