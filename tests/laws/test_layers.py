"""Every layer is Keras' layer with the kernel that its cores stand for."""

import json
import math

import keras
import numpy as np
import pytest

from tests.laws.examples import examples_of_every_layer
from tests.laws.oracles import (
    as_numpy,
    assert_close,
    keras_kernel,
    keras_twin,
    kernel_of,
)
from tests.laws.tracing import traced_with_unknown_sizes

every_layer = pytest.mark.parametrize(
    "example", examples_of_every_layer(), ids=str
)


@every_layer
def test_the_kernel_is_what_einsum_makes_of_the_cores(example):
    layer = example.built()
    twin = keras_twin(layer)
    assert tuple(layer.kernel.shape) == tuple(kernel_of(twin).shape)
    assert_close(layer.kernel, keras_kernel(layer))


@every_layer
def test_outputs_are_those_of_the_keras_layer(example):
    layer = example.built()
    inputs = example.inputs()
    expected = keras_twin(layer)(inputs)
    outputs = layer(inputs)
    assert outputs.dtype == expected.dtype
    assert_close(outputs, expected)


@every_layer
def test_a_model_takes_axes_of_unknown_size(example):
    layer = example.unbuilt()
    unknown = [None] * (len(example.input_shape) - 2)
    shape = (*unknown, None if example.ids else example.input_shape[-1])
    model = keras.Sequential([example.symbolic(*shape), layer])
    assert model.output_shape[: len(shape)] == (None, *unknown)
    inputs = example.inputs()
    expected = keras_twin(layer)(inputs)
    assert_close(traced_with_unknown_sizes(model, inputs), expected)


@every_layer
def test_parameters_are_those_of_the_format_and_the_bias(example):
    layer = example.built()
    shapes = tuple(tuple(core.shape) for core in layer.cores)
    assert shapes == layer.format.core_shapes
    bias = 0 if layer.bias is None else math.prod(layer.bias.shape)
    assert layer.count_params() - bias == layer.format.num_params
    assert layer.trainable_variables == layer.weights
    assert len(layer.weights) == len(layer.cores) + bool(bias)


@every_layer
def test_the_config_survives_json_before_and_after_building(example):
    for layer in (example.unbuilt(), example.built()):
        config = layer.get_config()
        again = type(layer).from_config(json.loads(json.dumps(config)))
        assert json.dumps(again.get_config()) == json.dumps(config)
        again.build(example.input_shape)
        assert again.format == example.built().format


@every_layer
def test_weights_carry_over_to_the_layer_of_the_config(example):
    layer = example.built()
    again = type(layer).from_config(layer.get_config())
    again.build(example.input_shape)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(
        as_numpy(again.kernel), as_numpy(layer.kernel)
    )


@every_layer
def test_a_saved_model_loads_with_the_same_outputs(example, tmp_path):
    layer = example.unbuilt()
    model = keras.Sequential(
        [example.symbolic(*example.input_shape[1:]), layer]
    )
    inputs = example.inputs()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[0]) is type(layer)
    assert loaded.layers[0].format == layer.format
    np.testing.assert_array_equal(
        as_numpy(loaded(inputs)), as_numpy(model(inputs))
    )


@every_layer
def test_symbolic_shapes_are_those_of_the_keras_layer(example):
    layer = example.built()
    twin = keras_twin(layer)
    shape = (None, *example.input_shape[1:])
    shapes = layer.compute_output_shape(shape), twin.compute_output_shape(shape)
    assert_same_where_known(*shapes)
    spec = layer.compute_output_spec(keras.KerasTensor(shape))
    expected = twin.compute_output_spec(keras.KerasTensor(shape))
    assert_same_where_known(spec.shape, expected.shape)
    assert spec.dtype == expected.dtype


def assert_same_where_known(shape, expected):
    """Keras' einsum layer leaves sizes open that the input tells."""
    assert len(shape) == len(expected)
    for size, wanted in zip(shape, expected, strict=True):
        assert wanted in (None, size)


@every_layer
def test_the_plan_of_the_built_shape_prints(example):
    layer = example.built()
    plan = layer.plan()
    network = layer.format.network
    assert plan.network == (
        network.with_kind("in", "lookup") if example.ids else network
    )
    assert f"at batch {plan.shown_batch}" in str(plan)
