import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.small_graphs import MODELS, data_for
from tests.small_models import (
    assert_same_function,
    assert_same_values,
    convert_exactly,
    mlp,
    numbers,
    randomized,
    values_of,
)


def wide_layer(**kwargs):
    """One dense layer, for which every rank from 1 to 16 is attainable."""
    return randomized(
        keras.Sequential([keras.Input((16,)), layers.Dense(16, **kwargs)])
    )


def train(rank, **kwargs):
    modes = {"input_modes": (4, 4), "output_modes": (4, 4)}
    return tk.formats.TensorTrain(rank, **modes, **kwargs)


def compression_of(format):
    bound = format.bind((16,), (16,))
    return bound.dense_params / bound.num_params


def test_a_layer_that_just_gains_enough_is_replaced():
    for rank in (2, 3):
        least = compression_of(train(rank))
        _, report = tk.convert(wide_layer(), train(rank), min_compression=least)
        assert len(report.replaced) == 1


def test_a_layer_that_gains_too_little_is_kept_and_says_so():
    more = np.nextafter(compression_of(train(2)), 10)
    small, report = tk.convert(wide_layer(), train(2), min_compression=more)
    assert report.rows[0].reason == "compression 4.00x, less than 4x"
    assert type(small.layers[0]) is layers.Dense


@pytest.mark.parametrize(
    "target", [{"format": train(16)}, {"format": train(None), "error": 0}]
)
def test_a_layer_whose_cores_hold_more_numbers_is_kept(target):
    _, report = tk.convert(wide_layer(), **target)
    assert report.rows[0].reason == "no gain in parameters (0.50x)"
    _, report = tk.convert(wide_layer(), **target, min_compression=0)
    assert report.rows[0].action == "replaced"


def test_a_share_is_never_exceeded():
    model = randomized(
        keras.Sequential(
            [
                keras.Input((64,)),
                layers.Dense(48),
                layers.Dense(17),
                layers.Dense(2),
            ]
        )
    )
    share = tk.formats.TensorTrain(rank=0.25)
    small, report = tk.convert(model, share, min_compression=0)
    for layer in small.layers[:2]:
        assert layer.format.num_params <= 0.25 * layer.format.dense_params
    assert report.rows[2].reason == "rank 1 exceeds the share"
    assert type(small.layers[2]) is layers.Dense


def test_an_error_is_kept_with_the_fewest_ranks():
    loose = tk.convert(wide_layer(), train(None), error=0.5)[1].rows[0]
    tight = tk.convert(wide_layer(), train(None), error=0.1, min_compression=0)[
        1
    ].rows[0]
    assert tight.relative_error <= 0.1 < loose.relative_error <= 0.5
    assert loose.ranks < tight.ranks


def test_a_format_is_taken_by_name_and_as_plain_data():
    by_name, _ = tk.convert(wide_layer(), "tt", error=0, min_compression=0)
    as_data, _ = tk.convert(
        wide_layer(), {"name": "tt", "rank": 16}, min_compression=0
    )
    assert_same_values(values_of(by_name), values_of(as_data))


def test_the_same_call_gives_the_same_model():
    small, report = tk.convert(mlp(), tk.formats.TensorTrain(rank=2))
    again, same = tk.convert(mlp(), tk.formats.TensorTrain(rank=2))
    assert report == same
    assert_same_values(values_of(small), values_of(again))


def test_twins_keep_what_the_layers_had():
    settings = {
        "activation": "tanh",
        "activity_regularizer": "l2",
        "bias_constraint": "non_neg",
        "bias_initializer": "ones",
        "bias_regularizer": "l1",
        "dtype": "mixed_bfloat16",
        "kernel_regularizer": "l2",
        "name": "layer",
        "trainable": False,
    }
    model = wide_layer(**settings)
    small, _ = convert_exactly(model)
    source, twin = model.layers[0].get_config(), small.layers[0].get_config()
    for name in settings:
        assert twin[name] == source[name], name
    assert small.trainable_weights == []


def test_a_layer_without_bias_gets_a_twin_without_one():
    small, _ = convert_exactly(mlp(use_bias=False))
    for layer in small.layers:
        assert layer.bias is None
        assert len(layer.weights) == len(layer.cores)


def test_single_frozen_weights_stay_frozen():
    model = mlp()
    model.layers[0].kernel.trainable = False
    model.layers[1].bias.trainable = False
    small, _ = convert_exactly(model)
    first, second = small.layers
    assert [v.trainable for v in first.variables] == [False, True]
    assert [v.trainable for v in second.variables] == [True, False]
    kept = [variable.trainable for variable in model.variables]
    dense = tk.densify(small)
    assert [variable.trainable for variable in dense.variables] == kept


def test_custom_functions_and_classes_need_no_registration():
    class Shrinking(keras.regularizers.Regularizer):
        def __call__(self, weight):
            return keras.ops.sum(weight)

        def get_config(self):
            return {}

    def triple(inputs):
        return 3 * inputs

    model = wide_layer(activation=triple, kernel_regularizer=Shrinking())
    small, _ = convert_exactly(model)
    assert small.layers[0].activation is triple
    assert_same_function(model, small, numbers(3, 16))
    assert_same_function(model, tk.densify(small), numbers(3, 16))


def test_a_shared_layer_is_decomposed_once_and_stays_shared():
    shared = layers.Dense(8, name="shared")
    nested = keras.Sequential([keras.Input((8,)), shared], name="nested")
    inputs = keras.Input((8,))
    model = keras.Model(inputs, shared(nested(shared(inputs))))
    small, report = convert_exactly(model)
    assert [row.kind for row in report.rows] == ["Dense"]
    assert small.get_layer("shared") is small.get_layer("nested").layers[0]
    assert report.params_after == small.count_params() == 72
    assert_same_function(model, small, numbers(3, 8))


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_every_shape_of_model_is_converted(build):
    model = build()
    small, report = convert_exactly(model)
    assert report.params_after == small.count_params()
    assert {row.reason for row in report.rows} <= {"", "kind"}
    assert_same_function(model, small, data_for(model))


def test_a_model_in_mixed_precision_is_converted_and_trained():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = mlp()
        model.compile("adam", "mse", run_eagerly=True)
        small, _ = convert_exactly(model)
        small.fit(numbers(8, 8), numbers(8, 6), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert type(small.optimizer) is keras.optimizers.LossScaleOptimizer
    assert small(numbers(3, 8)).dtype == model(numbers(3, 8)).dtype
    assert {variable.dtype for variable in small.variables} == {"float32"}


def test_factorized_layers_are_left_as_they_are():
    small, first = tk.convert(mlp(), tk.formats.TensorTrain(rank=2))
    again, second = convert_exactly(small)
    assert len(first.replaced) == 2
    assert [row.reason for row in second.rows] == ["kind", "kind"]
    assert [row.kind for row in second.rows] == ["FactorizedDense"] * 2
    assert_same_values(values_of(again), values_of(small))


def test_a_model_without_such_layers_is_copied():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, layers.ReLU()(inputs))
    small, report = convert_exactly(model)
    assert report.replaced == ()
    assert report.compression == 1
    assert_same_function(model, small, numbers(3, 8))


def test_a_converted_model_is_saved_and_loaded(tmp_path):
    model = mlp(activation="relu")
    model.compile("adam", "mse")
    small, _ = tk.convert(model, tk.formats.TensorTrain(rank=2))
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    assert loaded.compiled
    formats = [layer.format for layer in small.layers]
    assert [layer.format for layer in loaded.layers] == formats
    assert_same_function(small, loaded, numbers(3, 8), tolerance=1e-6)


def test_kernels_of_padded_layers_are_cropped():
    model = randomized(keras.Sequential([keras.Input((17,)), layers.Dense(19)]))
    padded = tk.formats.TensorTrain(
        rank=100, input_modes=(3, 6), output_modes=(4, 5), pad=True
    )
    small, report = tk.convert(model, padded, min_compression=0)
    assert report.rows[0].modes == "3·6 x 4·5"
    assert dataclasses.asdict(report.rows[0])["ranks"] == (12,)
    assert_same_function(model, small, numbers(3, 17))


def test_ranks_may_come_from_the_noise_of_each_kernel():
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
    low = rng.standard_normal((64, 3)) @ rng.standard_normal((3, 64))
    noisy = low + 0.1 * rng.standard_normal((64, 64))
    model.layers[0].kernel.assign(noisy)
    format = tk.formats.LowRank(rank="vbmf")
    small, report = tk.convert(model, format)
    assert report.replaced[0].ranks == (3,)
    assert small.layers[0].format.rank == (3,)
    with pytest.raises(ValueError, match=r"Exactly one|exclude"):
        tk.convert(model, format, error=0.1)
