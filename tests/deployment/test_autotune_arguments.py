import sys

import keras
import pytest

import tensornet_keras as tk

FORMAT = tk.formats.TensorTrain(2, (4, 4), (4, 4))


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """What was timed: nothing, if a wrong argument is refused in time."""
    timed = []
    # The verb has the name of its module.
    tuning = sys.modules["tensornet_keras.deployment.autotune"]
    monkeypatch.setattr(tuning, "measure", lambda *call: timed.append(call))
    return timed


def dense():
    return tk.layers.FactorizedDense(16, FORMAT)


def model_of(layer):
    return keras.Sequential([keras.Input((16,)), layer])


def test_no_model_is_refused():
    with pytest.raises(TypeError, match="A Keras model is needed"):
        tk.autotune(dense())


def test_an_unbuilt_model_is_refused():
    with pytest.raises(ValueError, match="once it is built"):
        tk.autotune(keras.Sequential([dense()]))


def test_a_model_without_factorized_layers_is_refused():
    with pytest.raises(ValueError, match="has none"):
        tk.autotune(model_of(keras.layers.Dense(3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": (8, -1)}, "batch_size=-1"),
        ({"batch_size": ()}, "at least one size"),
        ({"mode": "frozen"}, "mode='frozen'"),
        ({"candidates": 0}, "candidates=0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message, measured):
    with pytest.raises(ValueError, match=message):
        tk.autotune(model_of(dense()), **arguments)
    assert not measured


@pytest.mark.parametrize(
    "arguments", [{"batch_size": "8"}, {"batch_size": 8.0}, {"again": 1}]
)
def test_arguments_of_other_types_are_refused(arguments, measured):
    with pytest.raises(TypeError):
        tk.autotune(model_of(dense()), **arguments)
    assert not measured
