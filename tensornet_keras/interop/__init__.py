"""Interop: cores to and from NumPy and other libraries."""

from tensornet_keras.interop.arrays import from_numpy, to_numpy
from tensornet_keras.interop.t3f import from_t3f, to_t3f
from tensornet_keras.interop.tensorly import from_tensorly, to_tensorly

__all__ = [
    "from_numpy",
    "from_t3f",
    "from_tensorly",
    "to_numpy",
    "to_t3f",
    "to_tensorly",
]
