"""Conversion with calibration data: fitted to outputs, front to back."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.conversion import fitting
from tensornet_keras.conversion.calibration import Calibration
from tensornet_keras.decomposition import decompose_for, error_curve
from tests.conversion.calibrated import deep, examples, missed
from tests.laws.oracles import as_numpy
from tests.small_models import numbers, randomized

LOW = tk.formats.LowRank


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "format",
    [LOW(rank=8), tk.formats.TensorTrain(rank=8), tk.formats.Tucker(rank=6)],
    ids=str,
)
def test_outputs_are_closer_than_without_data(format, bias):
    model, x = deep(use_bias=bias)
    test = examples(100, 24, seed=1)
    how = {"filters": "first|second"}
    plain, _ = tk.convert(model, format, **how)
    small, report = tk.convert(model, format, calibration_data=x, **how)
    assert missed(model, small, test) < 0.9 * missed(model, plain, test)
    for row in report.replaced:
        assert 0 < row.output_error < 1
    assert report.rows[-1].output_error is None
    assert "output error" in str(report)


def test_the_output_error_is_that_of_the_first_layer():
    model, x = deep()
    small, report = tk.convert(
        model, LOW(rank=8), calibration_data=x, filters="first"
    )
    linear = [each.get_layer("first") for each in (model, small)]
    wanted, found = (
        x @ as_numpy(each.kernel) + as_numpy(each.bias) for each in linear
    )
    np.testing.assert_allclose(wanted.mean(0), found.mean(0), atol=1e-4)
    moved = wanted - wanted.mean(0)
    error = np.linalg.norm(found - wanted) / np.linalg.norm(moved)
    assert report.rows[0].output_error == pytest.approx(error, rel=1e-2)


def test_later_layers_make_up_for_earlier_ones():
    """The second layer is fitted to what it gets after the first."""
    model, x = deep()
    small, _ = tk.convert(
        model, LOW(rank=6), calibration_data=x, filters="first|second"
    )
    alone, _ = tk.convert(
        model, LOW(rank=6), calibration_data=x, filters="second"
    )
    # The same second layer behind the converted first one.
    small.get_layer("second").set_weights(
        [as_numpy(w) for w in small.get_layer("second").weights]
    )
    mixed = tk.densify(small)
    mixed.get_layer("second").kernel.assign(
        tk.densify(alone).get_layer("second").kernel
    )
    mixed.get_layer("second").bias.assign(alone.get_layer("second").bias)
    assert missed(model, small, x) < missed(model, mixed, x)


def test_convolutions_are_fitted_too():
    model = randomized(
        keras.Sequential(
            [
                keras.Input((8, 8, 6)),
                layers.Conv2D(12, 3, padding="same", activation="relu"),
                layers.Conv2D(12, 3, padding="same", use_bias=False),
            ]
        )
    )
    x = examples(64, 8, 8, 6)
    split = LOW(rank=10, conv_split="spatial")
    plain, _ = tk.convert(model, split)
    small, report = tk.convert(model, split, calibration_data=x)
    test = examples(16, 8, 8, 6, seed=3)
    assert missed(model, small, test) < 0.9 * missed(model, plain, test)
    assert small.layers[1].bias is None


def test_full_ranks_change_nothing():
    model, x = deep()
    small, report = tk.convert(
        model, error=0.0, calibration_data=x, min_compression=0, format=LOW()
    )
    assert len(report.replaced) == 3
    assert missed(model, small, x) < 1e-3


def test_an_error_is_that_of_the_outputs():
    model, x = deep()
    for error in (0.3, 0.1):
        _, by_data = tk.convert(
            model, LOW(), error=error, calibration_data=x, min_compression=0
        )
        _, by_kernel = tk.convert(model, LOW(), error=error, min_compression=0)
        assert by_data.params_after < by_kernel.params_after
        # What those in front have missed does not count against a layer.
        assert len(by_data.replaced) == 3
        assert by_data.rows[2].output_error > error / 2
        first = by_data.rows[0]
        assert first.output_error <= error * 1.01 < first.relative_error


@pytest.mark.parametrize(
    "format", [tk.formats.TensorTrain(), tk.formats.CP()], ids=str
)
def test_an_error_takes_no_more_rank_than_it_needs(format):
    model, x = deep(use_bias=False)
    layer = model.layers[1]
    calibration = Calibration(model, x)
    calibration.in_order([layer])
    moments = calibration.joint_moments(layer)
    found = fitting.fitted(layer, moments, format, 0.2, seed=0)
    assert found.added_error <= 0.2
    kernel = as_numpy(layer.kernel)
    norm = moments[0].norm()
    smaller = [
        point.format
        for point in error_curve(kernel, format, seed=0)
        if point.num_params < found.formats[0].num_params
    ]
    _, error = decompose_for(kernel, smaller[-1], norm, seed=0)
    assert error > 0.2


@pytest.mark.parametrize("format", ["auto", LOW()], ids=str)
def test_a_budget_weighs_outputs(format):
    model, x = deep()
    plain, _ = tk.convert(model, format, ratio=0.5)
    small, report = tk.convert(model, format, ratio=0.5, calibration_data=x)
    before = sum(np.prod(layer.kernel.shape) for layer in model.layers)
    after = before - report.params_before + report.params_after
    assert after <= 0.5 * before
    assert missed(model, small, x) < 0.9 * missed(model, plain, x)


def test_a_shared_layer_is_fitted_to_all_its_calls():
    shared = layers.Dense(16, "tanh", name="shared")
    first, second = keras.Input((16,)), keras.Input((16,))
    outputs = layers.Add()([shared(first), shared(shared(second))])
    model = randomized(keras.Model([first, second], outputs))
    x = [examples(64, 16), examples(64, 16, seed=1)]
    calibration = Calibration(model, x)
    calibration.in_order([shared])
    (moments,) = calibration.joint_moments(shared)
    assert moments.count == 3 * 64
    rows = [x[0], x[1], as_numpy(shared(x[1]))]
    expected = sum(row.T.astype("float64") @ row for row in rows)
    np.testing.assert_allclose(moments.own, expected, rtol=1e-4, atol=1e-4)
    small, report = tk.convert(model, LOW(rank=4), calibration_data=x)
    assert report.replaced[0].output_error < 1


def test_moments_of_the_source_are_those_of_its_inputs():
    model, x = deep()
    chosen = (layer for layer in model.layers if layer.name != "head")
    found = Calibration(model, x).source_moments(chosen)
    assert list(found) == [id(layer) for layer in model.layers[:2]]
    first, second = found.values()
    hidden = as_numpy(model.layers[0](x))
    for (moments,), rows in ((first, x), (second, hidden)):
        assert moments.count == len(x)
        expected = rows.T.astype("float64") @ rows
        np.testing.assert_allclose(moments.own, expected, rtol=1e-3, atol=1e-2)


def test_a_budget_sees_which_inputs_there_are():
    """Of two layers alike the one of fewer directions gets fewer numbers."""
    inputs = keras.Input((64,))
    few, many = (layers.Dense(64, name=name) for name in ("few", "many"))
    outputs = [few(inputs[:, :32]), many(inputs[:, 32:])]
    model = randomized(keras.Model(inputs, outputs))
    narrow = numbers(256, 4) @ numbers(4, 32, seed=1)
    x = np.concatenate([narrow, numbers(256, 32, seed=2)], axis=1)
    _, report = tk.convert(model, LOW(), ratio=0.6, calibration_data=x)
    sizes = {row.path: row.params_after for row in report.rows}
    assert 4 * sizes["few"] < sizes["many"]


def test_a_format_that_two_factors_outdo_is_not_measured(monkeypatch):
    measured = []
    decompose_for = fitting.decompose_for

    def measuring(array, format, *args, **kwargs):
        measured.append(format)
        return decompose_for(array, format, *args, **kwargs)

    monkeypatch.setattr(fitting, "decompose_for", measuring)
    low_rank = numbers(64, 6) @ numbers(6, 64, seed=1)
    # Kronecker products of two matrices of 8 x 8.
    split = np.kron(numbers(8, 8), numbers(8, 8, seed=1))
    kronecker = tk.formats.Kronecker()
    for kernel, ahead in ((low_rank, False), (split, True)):
        layer = layers.Dense(64, use_bias=False)
        model = keras.Sequential([keras.Input((64,)), layer])
        layer.kernel.assign(kernel)
        moments = Calibration(model, numbers(99, 64)).source_moments([layer])
        moments = moments[id(layer)]
        measured.clear()
        alone = fitting.options_of(layer, [kronecker], moments, seed=0)
        assert len(measured) == len(alone)
        assert ahead or len(measured) > fitting.SAMPLED
        measured.clear()
        both = fitting.options_of(layer, [LOW(), kronecker], moments, seed=0)
        assert len(measured) <= fitting.SAMPLED
        losses = [loss for loss, (each,) in both if not isinstance(each, LOW)]
        assert (min(losses, default=1.0) < 1e-6) == ahead


def test_a_format_that_the_inputs_favour_is_measured():
    """A kernel that is a Kronecker product where there are inputs."""
    kernel = np.concatenate(
        [
            np.kron(numbers(4, 8), numbers(8, 8, seed=1)),
            100.0 * numbers(32, 1, seed=2) @ numbers(1, 64, seed=3),
        ]
    )
    layer = layers.Dense(64, use_bias=False)
    model = keras.Sequential([keras.Input((64,)), layer])
    layer.kernel.assign(kernel)
    x = numbers(256, 64) * np.where(np.arange(64) < 32, 1.0, 1e-4)
    moments = Calibration(model, x.astype("float32")).source_moments([layer])
    formats = [LOW(), tk.formats.Kronecker()]
    found = fitting.options_of(layer, formats, moments[id(layer)], seed=0)
    small = [loss for loss, (each,) in found if each.num_params < 64 * 16]
    assert min(small) < 0.05


def test_a_search_of_modes_is_refused():
    model, x = deep()
    with pytest.raises(ValueError, match="not searched for on calibration"):
        tk.convert(
            model, "tt", error=0.5, calibration_data=x, search_modes=True
        )


def test_the_source_is_left_alone():
    model, x = deep()
    before = [as_numpy(w).copy() for w in model.weights]
    small, _ = tk.convert(model, LOW(rank=4), calibration_data=x)
    for weight, was in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(as_numpy(weight), was)
    assert all("call" not in vars(layer) for layer in model.layers)
    again, _ = tk.convert(model, LOW(rank=4), calibration_data=x)
    for ours, theirs in zip(small.weights, again.weights, strict=True):
        np.testing.assert_array_equal(as_numpy(ours), as_numpy(theirs))


class Sequence(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 4

    def __getitem__(self, number):
        return self.x[64 * number : 64 * (number + 1)], np.zeros(64)


@pytest.mark.parametrize(
    "as_data",
    [
        lambda x: (x[n : n + 64] for n in range(0, 256, 64)),
        lambda x: [(x[n : n + 64], None) for n in range(0, 256, 64)].__iter__(),
        Sequence,
    ],
    ids=["generator", "with labels", "PyDataset"],
)
def test_batches_are_the_same_as_an_array(as_data):
    model, x = deep()
    _, whole = tk.convert(model, LOW(rank=4), calibration_data=x)
    _, parts = tk.convert(model, LOW(rank=4), calibration_data=as_data(x))
    assert parts == whole
