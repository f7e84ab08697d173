"""Interop: tensor trains to and from other libraries."""

from tensornet_keras.interop.t3f import from_t3f, to_t3f

__all__ = ["from_t3f", "to_t3f"]
