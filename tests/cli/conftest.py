"""A folder to run commands in, and a model saved there."""

import keras
import pytest
from keras import layers


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(folder):
    """A saved, compiled model of a convolution and two dense layers."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(8, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="wide"),
            layers.Dense(3, name="head"),
        ],
        name="net",
    )
    model.compile("sgd", "mse")
    model.save("in.keras")
    return model
