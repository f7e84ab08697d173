import json
import math

import pytest

from tensornet_keras import formats
from tests.laws.examples import AS_WRITTEN, examples_of_every_format

bound = pytest.mark.parametrize("format", examples_of_every_format(), ids=str)
bound_or_not = pytest.mark.parametrize(
    "format", [*examples_of_every_format(), *AS_WRITTEN.values()], ids=str
)


@bound
def test_parameters_are_the_numbers_in_the_cores(format):
    sizes = [math.prod(shape) for shape in format.core_shapes]
    assert format.num_params == sum(sizes)
    assert format.network.num_params == sum(sizes)


@bound
def test_the_network_stands_for_the_dense_weight(format):
    assert format.network.core_shapes == format.core_shapes
    assert format.network.weight_shape == format.dense_shape
    assert format.dense_params == math.prod(format.dense_shape)
    assert format.dense_shape[-2:] == (format.input_size, format.output_size)
    assert format.dense_shape[:-2] == format.window


@bound_or_not
def test_the_config_survives_json(format):
    config = json.loads(json.dumps(format.to_config()))
    assert config == format.to_config()
    again = formats.get(config)
    assert again == format
    assert hash(again) == hash(format)
    assert again.to_config() == format.to_config()


@bound_or_not
def test_the_repr_is_the_call_that_makes_it(format):
    names = {type(format).__name__: type(format)}
    assert eval(repr(format), names) == format


@bound
def test_binding_to_the_same_sizes_again_changes_nothing(format):
    sizes = format.input_dims, format.output_dims, format.window
    assert format.bind(*sizes) == format


@bound
def test_ranks_are_cut_to_the_attainable_once_and_for_all(format):
    cut = format.cut()
    pairs = zip(format.rank, format.attainable_ranks(), strict=True)
    assert cut.rank == tuple(min(pair) for pair in pairs)
    assert cut.cut() == cut
    assert cut.dense_shape == format.dense_shape


@bound
def test_modes_fit_on_one_line(format):
    described = format.describe_modes()
    assert described
    assert "\n" not in described
