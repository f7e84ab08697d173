import keras
import pytest
from keras import layers

from tensornet_keras import surgery
from tests.small_graphs import (
    MODELS,
    data_for,
    encoder,
    functional,
    with_a_mask,
    with_operations,
)
from tests.small_models import (
    assert_same_function,
    assert_same_outputs,
    assert_same_values,
    copy_of,
    numbers,
    values_of,
)


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_a_copy_computes_the_same_with_variables_of_its_own(build):
    model = build()
    copy = copy_of(model)
    assert type(copy) is type(model)
    assert copy.name == model.name
    names = [layer.name for layer in model.layers]
    assert [layer.name for layer in copy.layers] == names
    assert_same_function(model, copy, data_for(model), tolerance=1e-6)
    assert_same_values(values_of(copy), values_of(model))
    shared = {id(variable) for variable in model.variables}
    assert shared.isdisjoint(id(variable) for variable in copy.variables)
    assert len(copy._flatten_layers()) == len(model._flatten_layers())


def test_named_inputs_and_outputs_keep_their_structure_and_dtypes():
    inputs = {
        "ids": keras.Input((4,), name="ids", dtype="int32"),
        "values": keras.Input((4,), name="values", batch_size=2),
    }
    joined = layers.Flatten()(layers.Embedding(9, 3)(inputs["ids"]))
    joined = layers.Concatenate()([joined, inputs["values"]])
    outputs = {"a": layers.Dense(3)(joined), "b": layers.Dense(2)(joined)}
    model = keras.Model(inputs, outputs)
    copy = copy_of(model)
    for ours, theirs in zip(copy.inputs, model.inputs, strict=True):
        assert (ours.name, ours.shape) == (theirs.name, theirs.shape)
        assert ours.dtype == theirs.dtype
    data = {"ids": numbers(2, 4).astype("int32") % 9, "values": numbers(2, 4)}
    assert set(copy(data)) == {"a", "b"}
    assert_same_function(model, copy, data, tolerance=1e-6)


def test_a_layer_shared_across_nesting_stays_shared():
    shared = layers.Dense(8, name="shared")
    nested = keras.Sequential([keras.Input((8,)), shared], name="nested")
    model = functional(lambda x: shared(nested(shared(x))))
    copy = copy_of(model)
    assert copy.get_layer("shared") is copy.get_layer("nested").layers[0]
    assert len(copy.weights) == len(model.weights) == 2
    assert_same_function(model, copy, numbers(5, 8), tolerance=1e-6)


def test_every_layer_is_offered_for_replacement_once():
    shared = layers.Dense(8, name="shared")
    nested = keras.Sequential([keras.Input((8,)), shared], name="nested")
    model = functional(lambda x: layers.ReLU(name="relu")(shared(nested(x))))
    offered, filled = [], []

    def twin_of(layer):
        offered.append(layer.name)
        if layer is shared:
            return layers.Dense(8, name="twin", use_bias=False)
        return None

    def fill(twin, layer):
        filled.append((twin, layer))

    copy = surgery.copy_with(model, twin_of, fill)
    twin = copy.get_layer("twin")
    assert sorted(offered) == ["relu", "shared"]
    assert filled == [(twin, shared)]
    assert copy.get_layer("nested").layers == [twin]
    assert len(copy.weights) == 1
    assert [layer.name for layer in surgery.leaf_layers(model)] == [
        "shared",
        "relu",
    ]


def test_masks_pass_through_a_copy():
    copy = copy_of(with_a_mask())
    ids = keras.ops.array([[1, 2, 3, 0, 0]])
    assert_same_outputs(copy(ids[:, :3]), copy(ids), tolerance=1e-6)


def test_what_is_frozen_stays_frozen():
    frozen = encoder("frozen")
    within = encoder("within")
    model = functional(lambda x: layers.BatchNormalization()(within(frozen(x))))
    frozen.trainable = False
    within.layers[0].bias.trainable = False
    model.layers[-1].trainable = False
    copy = copy_of(model)
    assert trainable_flags(copy) == trainable_flags(model)
    kept = [variable.trainable for variable in model.variables]
    assert [variable.trainable for variable in copy.variables] == kept


def trainable_flags(model):
    return [
        (layer.name, layer.trainable)
        for layer in model._flatten_layers()
        if not isinstance(layer, layers.InputLayer)
    ]


def test_a_copy_of_a_copy_computes_the_same():
    model = with_operations()
    assert_same_function(model, copy_of(copy_of(model)), numbers(5, 8))


def test_a_subclassed_model_without_a_config_is_refused_by_name():
    class Mine(keras.Model):
        def __init__(self, layer, **kwargs):
            super().__init__(**kwargs)
            self.layer = layer

        def call(self, inputs):
            return self.layer(inputs)

    model = Mine(layers.Dense(3), name="mine")
    model(numbers(2, 8))
    with pytest.raises(ValueError, match="'mine', a Mine that is not"):
        copy_of(model)


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(lambda: keras.Sequential(name="new"), id="empty"),
        pytest.param(
            lambda: keras.Sequential([layers.Dense(3)], name="new"), id="dense"
        ),
    ],
)
def test_an_unbuilt_model_is_refused_by_name(model):
    with pytest.raises(ValueError, match=r"model='new', which is not built"):
        copy_of(model())


def test_what_is_no_model_is_refused():
    with pytest.raises(
        TypeError, match=r"Received: model=<Dense .* \(a Dense\)"
    ):
        copy_of(layers.Dense(3))


def test_a_call_on_a_variable_is_refused():
    tied = layers.Dense(8, name="tied")
    model = functional(lambda x: keras.ops.matmul(tied(x), tied.kernel))
    with pytest.raises(ValueError, match=r"call of 'matmul' on the variable"):
        copy_of(model)
