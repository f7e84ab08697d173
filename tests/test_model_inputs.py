import keras
import numpy as np
import pytest
from keras import layers

from tensornet_keras.model_inputs import (
    input_specs,
    random_inputs,
    sample_inputs,
)


def dense(inputs):
    return keras.Model(inputs, layers.Dense(2)(keras.tree.flatten(inputs)[0]))


@pytest.fixture
def one():
    return keras.Input((3,), name="one")


@pytest.fixture
def two():
    return keras.Input((4,), name="two", dtype="int32")


class Sum(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(3)

    def call(self, inputs):
        return self.inner(inputs["z"]) + inputs["b"]


def test_the_structure_of_the_inputs_is_kept(one, two):
    assert input_specs(dense(one)).shape == (None, 3)
    assert [s.dtype for s in input_specs(dense([one, two]))] == [
        "float32",
        "int32",
    ]
    assert list(input_specs(dense({"one": one, "two": two}))) == ["one", "two"]
    model = keras.Sequential([one, layers.ReLU()])
    assert input_specs(model).name == "one"


def test_names_are_fit_for_a_saved_model():
    inputs = [keras.Input((2,), name=name) for name in ("a b", "a-b", "a.b")]
    names = [spec.name for spec in input_specs(dense(inputs))]
    assert names == ["a_b", "a_b_", "a_b__"]


def test_a_subclassed_model_remembers_what_it_was_built_with():
    model = Sum()
    model({"z": np.ones((2, 4), "float32"), "b": np.ones((2, 3), "float32")})
    specs = input_specs(model)
    assert {key: spec.shape for key, spec in specs.items()} == {
        "z": (None, 4),
        "b": (None, 3),
    }


def test_a_sample_tells_what_a_subclassed_model_takes():
    model = Sum()
    model({"z": np.ones((2, 4), "float32"), "b": np.ones((2, 3), "float32")})
    specs = input_specs(model, {"z": np.ones((1, 4)), "b": np.ones((1, 3))})
    assert {spec.dtype for spec in specs.values()} == {"float32"}


def test_a_model_that_says_nothing_needs_a_sample():
    class Silent(keras.Model):
        def call(self, inputs):
            return inputs

    model = Silent()
    model.built = True
    with pytest.raises(ValueError, match="Pass sample="):
        input_specs(model)
    assert input_specs(model, np.ones((2, 3))).shape == (None, 3)


def test_random_inputs_are_floats_and_zeros_and_the_same_each_time(one, two):
    specs = input_specs(dense([one, two]))
    floats, integers = random_inputs(specs, 5)
    assert floats.shape == (5, 3)
    assert floats.dtype == np.float32
    assert floats.std() > 0.5
    assert integers.dtype == np.int32
    assert not integers.any()
    np.testing.assert_array_equal(floats, random_inputs(specs, 5)[0])


def test_text_cannot_be_drawn():
    specs = keras.InputSpec(shape=(None, 1), dtype="string", name="text")
    with pytest.raises(ValueError, match="type string"):
        random_inputs(specs, 2)


def test_a_sample_takes_the_types_and_structure_of_the_model(one, two):
    specs = input_specs(dense([one, two]))
    found = sample_inputs(specs, (np.ones((2, 3)), np.ones((2, 4))))
    assert isinstance(found, list)
    assert [array.dtype.name for array in found] == ["float32", "int32"]


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (np.ones((2, 3)), "must be built as the model's inputs"),
        ([np.ones((2, 3)), np.ones((2, 3))], "for the input 'two'"),
        ([np.ones(3), np.ones((2, 4))], "for the input 'one'"),
        ([np.ones((2, 3)), np.ones((1, 4))], "same number of examples"),
        ([np.ones((0, 3)), np.ones((0, 4))], "same number of examples"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused(one, two, sample, message):
    specs = input_specs(dense([one, two]))
    with pytest.raises(ValueError, match=message):
        sample_inputs(specs, sample)
