"""Made-up data in a data folder of its own, so that no test needs more."""

import sys

import numpy as np
import pytest

from experiments.datasets.sources import ARRAYS, FOLDER_VARIABLE, SPECS
from experiments.datasets.synthetic import synthetic_images


def write_data(folder, name, train=512, test=256):
    """Writes a data file as the loaders expect it."""
    arrays = synthetic_images(SPECS[name].shape, train, test)
    np.savez(folder / f"{name}.npz", **dict(zip(ARRAYS, arrays, strict=True)))


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name in SPECS:
        write_data(folder, name)
    return folder


@pytest.fixture
def data(filled_folder, monkeypatch):
    """The data folder holds made-up images."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(filled_folder))
    return filled_folder


@pytest.fixture
def no_data(tmp_path, monkeypatch):
    """Neither the data folder nor Keras' cache holds anything."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "none"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture(autouse=True)
def tensorlys_backend():
    """TensorLy keeps its backend, whatever tensorly-torch has set."""
    before = "numpy"
    if "tensorly" in sys.modules:
        before = sys.modules["tensorly"].get_backend()
    yield
    if "tensorly" in sys.modules:
        sys.modules["tensorly"].set_backend(before)
