"""Decomposition: from a dense weight to a format and its cores, in NumPy."""

from tensornet_keras.decomposition.decompose import decompose
from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.decomposition.orthogonalization import orthogonalize
from tensornet_keras.decomposition.rounding import round_train

__all__ = ["Decomposition", "decompose", "orthogonalize", "round_train"]
