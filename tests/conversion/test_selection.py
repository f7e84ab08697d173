import keras
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.conversion.selection import selected


@pytest.fixture
def model():
    nested = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="dense")], name="encoder"
    )
    inputs = keras.Input((8,))
    x = layers.ReLU(name="relu")(nested(inputs))
    x = layers.Dense(8, name="dense")(x)
    return keras.Model(inputs, layers.Dense(8, name="head")(x))


def replaced(model, filters):
    _, report = tk.convert(
        model, tk.formats.TensorTrain(2), filters=filters, min_compression=0
    )
    reasons = {row.reason for row in report.rows if row.action == "kept"}
    return [row.path for row in report.replaced], reasons


@pytest.mark.parametrize(
    ("filters", "paths"),
    [
        pytest.param(None, ["encoder/dense", "dense", "head"], id="all"),
        pytest.param("dense", ["encoder/dense", "dense"], id="search"),
        pytest.param("^dense$", ["dense"], id="anchored"),
        pytest.param("encoder/", ["encoder/dense"], id="folder"),
        pytest.param(["enc", "he.d"], ["encoder/dense", "head"], id="list"),
        pytest.param(("head",), ["head"], id="tuple"),
        pytest.param(
            lambda layer: getattr(layer, "units", 0) and layer.name == "head",
            ["head"],
            id="function",
        ),
    ],
)
def test_filters_choose_layers_by_path(model, filters, paths):
    found, reasons = replaced(model, filters)
    assert found == paths
    assert reasons == ({"kind"} if filters is None else {"filter"})


def test_a_chosen_layer_of_another_kind_is_kept(model):
    found, reasons = replaced(model, "relu")
    assert found == []
    assert reasons == {"filter", "kind"}


@pytest.mark.parametrize("filters", ["conv", [], ["conv"], lambda layer: False])
def test_filters_that_match_nothing_are_refused_with_the_paths(model, filters):
    words = "at least one layer. Received: filters=.* layers are: encoder/dense"
    with pytest.raises(ValueError, match=words):
        replaced(model, filters)


@pytest.mark.parametrize("filters", ["conv[", ["dense", "(?P<"]])
def test_an_invalid_expression_is_refused(model, filters):
    with pytest.raises(ValueError, match="valid regular expressions"):
        replaced(model, filters)


@pytest.mark.parametrize("filters", [3, ["dense", 3], {"dense"}])
def test_filters_of_another_type_are_refused(model, filters):
    with pytest.raises(TypeError, match="Received: filters="):
        replaced(model, filters)


def test_a_layer_outside_a_model_goes_by_its_name():
    layer = layers.Dense(8, name="alone")
    assert selected([layer], "alone") == [layer]
