"""A format chosen layer by layer, by a function."""

import keras
import pytest
from keras import layers

import tensornet_keras as tk
from tests.small_models import assert_same_function, numbers

TRAIN = tk.formats.TensorTrain(rank=2)


@pytest.fixture
def model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            layers.Conv2D(8, 3, name="first"),
            layers.Conv2D(16, 3, name="second"),
            layers.Flatten(),
            layers.Dense(16, name="hidden"),
            layers.Dense(4, name="head"),
        ]
    )


def a_quarter_of_the_channels(layer):
    if isinstance(layer, layers.Dense):
        return TRAIN
    if layer.name == "first":
        return None
    *_, inputs, outputs = layer.kernel.shape
    return tk.formats.Tucker(rank=(inputs // 4, outputs // 4))


def test_every_layer_gets_the_format_that_the_function_returns(model):
    small, report = tk.convert(
        model, a_quarter_of_the_channels, min_compression=0
    )
    found = {
        row.path.split("/")[-1]: (row.format, row.ranks)
        for row in report.replaced
    }
    assert found == {
        "second": ("tucker", (2, 4)),
        "hidden": ("tt", (2, 2, 2)),
        "head": ("tt", (2,)),
    }
    assert report.rows[0].reason == "no format"
    assert type(small.get_layer("first")) is layers.Conv2D
    assert_same_function(small, tk.densify(small), numbers(2, 8, 8, 4))


def test_a_function_that_always_says_the_same_is_that_format(model):
    by_function, report = tk.convert(model, lambda layer: "tt", error=0.1)
    _, same = tk.convert(model, "tt", error=0.1)
    assert report == same
    assert by_function.count_params() == report.params_after


def test_the_function_sees_only_layers_that_can_be_factorized(model):
    seen = []
    tk.convert(
        model,
        lambda layer: seen.append(layer.name),
        filters=lambda layer: layer.name != "hidden",
    )
    assert seen == ["first", "second", "head"]


@pytest.mark.parametrize(
    ("format", "error", "problem", "words"),
    [
        (3, None, TypeError, "first': A format must be a Format"),
        (TRAIN, 0.1, ValueError, "first': Exactly one of a rank"),
        ("tt", None, ValueError, "first': Exactly one of a rank"),
        ("ttt", 0.1, ValueError, "first': .*ttt"),
    ],
)
def test_what_the_function_returns_is_checked(
    model, format, error, problem, words
):
    with pytest.raises(problem, match=words):
        tk.convert(model, lambda layer: format, error=error)


def test_a_class_of_formats_is_no_function_of_layers(model):
    with pytest.raises(TypeError, match="A format must be a Format"):
        tk.convert(model, tk.formats.TensorTrain)
