"""Formats: which network of cores stands for a dense weight."""

from tensornet_keras.formats.catalog import CATALOG, get, register
from tensornet_keras.formats.format import Format
from tensornet_keras.formats.tensor_train import TensorTrain

__all__ = ["CATALOG", "Format", "TensorTrain", "get", "register"]
