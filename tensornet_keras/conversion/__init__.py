"""Conversion: a trained Keras model becomes a factorized one, and back."""

from tensornet_keras.conversion.convert import convert, convert_layer, densify
from tensornet_keras.conversion.merging import merge
from tensornet_keras.conversion.pruning import prune
from tensornet_keras.conversion.report import LayerRow, Report

__all__ = [
    "LayerRow",
    "Report",
    "convert",
    "convert_layer",
    "densify",
    "merge",
    "prune",
]
