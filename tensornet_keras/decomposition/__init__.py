"""Decomposition: from a dense weight to a format and its cores, in NumPy."""

from tensornet_keras.decomposition.decompose import decompose
from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.decomposition.error_curve import CurvePoint, error_curve
from tensornet_keras.decomposition.orthogonalization import orthogonalize
from tensornet_keras.decomposition.rounding import round_train
from tensornet_keras.decomposition.weighted import decompose_for

__all__ = [
    "CurvePoint",
    "Decomposition",
    "decompose",
    "decompose_for",
    "error_curve",
    "orthogonalize",
    "round_train",
]
