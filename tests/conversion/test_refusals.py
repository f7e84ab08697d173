"""What bad input gets: what was received, and what to do."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.small_models import mlp

TRAIN = tk.formats.TensorTrain
RANK_TWO = TRAIN(rank=2)


class Subclassed(keras.Model):
    """A model that no config tells how to make again."""

    def __init__(self, dense):
        super().__init__(name="mine")
        self.dense = dense

    def call(self, inputs):
        return self.dense(inputs)


def called(model):
    model(np.zeros((2, 8), "float32"))
    return model


def unbuilt():
    return keras.Sequential([layers.Dense(4)], name="new")


@pytest.mark.parametrize(
    "verb", [tk.densify, lambda model: tk.convert(model, RANK_TWO)]
)
@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (unbuilt, ValueError, "'new', which is not built. Add an Input"),
        (
            lambda: called(Subclassed(layers.Dense(4))),
            ValueError,
            "'mine', a Subclassed",
        ),
        (lambda: "model.keras", TypeError, r"model='model.keras' \(a str\)"),
    ],
)
def test_only_built_models_with_a_config_are_converted(
    verb, model, error, words
):
    received = model()
    with pytest.raises(error, match=words):
        verb(received)


TARGETS = [
    pytest.param(
        {"format": RANK_TWO, "error": 0.1},
        r"Received: format=TensorTrain\(rank=2\), error=0.1",
        id="rank and error",
    ),
    pytest.param(
        {"format": TRAIN()},
        r"Exactly one .* format=TensorTrain\(\), error=None. Pass",
        id="neither",
    ),
    pytest.param({"format": "tt"}, "Exactly one .* Pass", id="name alone"),
    pytest.param(
        {"format": TRAIN(), "error": 1.0}, "error=1.0. Pass", id="error of 1"
    ),
    pytest.param(
        {"format": TRAIN(), "error": -0.1}, "error=-0.1. Pass", id="negative"
    ),
    pytest.param(
        {"format": TRAIN(), "error": float("nan")}, "error=nan", id="nan"
    ),
    pytest.param(
        {"format": "cpd", "error": 0.1}, "Received: .*'cpd'", id="unknown name"
    ),
]


@pytest.mark.parametrize(("target", "words"), TARGETS)
def test_a_target_is_one_known_format_with_a_rank_or_an_error(target, words):
    with pytest.raises(ValueError, match=words):
        tk.convert(mlp(), **target)
    with pytest.raises(ValueError, match=words):
        tk.convert_layer(mlp().layers[0], **target)


@pytest.mark.parametrize("format", [None, 8, TRAIN])
def test_a_format_is_a_format(format):
    with pytest.raises(TypeError, match="Received: "):
        tk.convert(mlp(), format)


def test_an_error_is_a_number():
    with pytest.raises(TypeError, match="error='small'"):
        tk.convert(mlp(), TRAIN(), error="small")


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "2", True])
def test_the_least_compression_is_a_number_of_at_least_zero(value):
    with pytest.raises(ValueError, match="min_compression=.* Pass"):
        tk.convert(mlp(), RANK_TWO, min_compression=value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_kernel_that_is_not_finite_is_named_by_its_layer(value):
    model = mlp()
    kernel = np.ones((12, 6), "float32")
    kernel[3, 2] = value
    model.layers[1].kernel.assign(kernel)
    words = "Layer 'mlp/head': .* finite.* 1 entries"
    with pytest.raises(ValueError, match=words):
        tk.convert(model, RANK_TWO)
    small, _ = tk.convert(model, RANK_TWO, filters="hidden")
    assert type(small.layers[1]) is layers.Dense


@pytest.mark.parametrize(
    "format",
    [
        pytest.param(
            TRAIN(2, input_modes=(2, 4), output_modes=(3, 5)), id="modes"
        ),
        pytest.param(TRAIN(rank=(2, 2, 2, 2)), id="rank count"),
        pytest.param(TRAIN(rank=2).bind((9,), (12,)), id="bound elsewhere"),
    ],
)
def test_a_format_that_does_not_fit_is_named_with_the_layer(format):
    with pytest.raises(ValueError, match="Layer 'mlp/hidden': .*Received: "):
        tk.convert(mlp(), format)


LAYERS = {
    "LoRA": lambda: with_adapters(layers.Dense(8)),
    "kernel constraint": lambda: layers.Dense(8, kernel_constraint="max_norm"),
    "kind": lambda: layers.UnitNormalization(),
    "equation": lambda: layers.EinsumDense("ab,b->a", ()),
    "layer as activation": lambda: layers.Dense(8, activation=layers.PReLU()),
    "quantized": lambda: layers.Dense(8, dtype="int8_from_float32"),
}


def with_adapters(layer):
    layer.build((None, 8))
    layer.enable_lora(2)
    return layer


@pytest.mark.parametrize("reason", LAYERS)
def test_a_layer_that_cannot_be_factorized_stays_and_says_so(reason):
    model = keras.Sequential([keras.Input((8,)), LAYERS[reason]()])
    small, report = tk.convert(model, RANK_TWO, min_compression=0)
    assert report.rows[0].reason == reason
    assert type(small.layers[0]) is type(model.layers[0])
    with pytest.raises(ValueError, match=rf"\({reason}\). [A-Z].*\.$"):
        tk.convert_layer(model.layers[0], RANK_TWO)


KINDS = [
    lambda: layers.DepthwiseConv2D(3),
    lambda: layers.SeparableConv2D(4, 3),
    lambda: layers.Conv2DTranspose(4, 3),
    lambda: type("Mine", (layers.Conv2D,), {})(4, 3),
    lambda: tk.layers.TTConv2D(4, 3),
]


@pytest.mark.parametrize("build", KINDS)
def test_a_layer_of_another_kind_is_refused(build):
    layer = build()
    layer.build((None, 8, 8, 2))
    kind = type(layer).__name__
    words = rf"a {kind} \(kind\). Only Dense, .* can be"
    with pytest.raises(ValueError, match=words):
        tk.convert_layer(layer, RANK_TWO)


def test_an_unbuilt_layer_is_refused():
    with pytest.raises(ValueError, match=r"layer='new', .* \(not built\)"):
        tk.convert_layer(layers.Dense(4, name="new"), RANK_TWO)
