import keras
import numpy as np
import pytest

from tensornet_keras.deployment.parity import ExportError, largest_difference


@pytest.fixture
def model():
    inputs = keras.Input((2,))
    return keras.Model(inputs, [inputs, keras.layers.Rescaling(0.01)(inputs)])


INPUTS = np.array([[1.0, -4.0]], "float32")


def outputs(first=(1.0, -4.0), second=(0.01, -0.04)):
    return [np.array([first]), np.array([second])]


def test_the_difference_is_relative_to_each_output(model):
    found = largest_difference(
        model, lambda arrays: outputs(second=(0.01, -0.036)), INPUTS
    )
    assert found == pytest.approx(0.1, rel=1e-5)


def test_an_output_of_zeros_is_compared_as_it_is(model):
    found = largest_difference(
        model,
        lambda arrays: outputs(first=(0.0, 0.5), second=(0.0, 0.0)),
        np.zeros((1, 2), "float32"),
    )
    assert found == 0.5


def test_a_nan_on_either_side_is_reported(model):
    found = largest_difference(
        model, lambda arrays: outputs(first=(1.0, np.nan)), INPUTS
    )
    assert np.isnan(found)


def test_equal_infinities_are_not_taken_for_agreement(model):
    infinite = np.array([[np.inf, 1.0]], "float32")
    found = largest_difference(model, lambda arrays: [infinite] * 2, infinite)
    assert np.isnan(found)


def test_another_number_of_outputs_is_an_error(model):
    with pytest.raises(ExportError, match="outputs of the model's shapes"):
        largest_difference(model, lambda arrays: outputs()[:1], INPUTS)


def test_an_artefact_that_does_not_run_is_an_error(model):
    def broken(arrays):
        raise RuntimeError("no such\n  operation")

    with pytest.raises(ExportError, match="RuntimeError: no such operation"):
        largest_difference(model, broken, INPUTS)
