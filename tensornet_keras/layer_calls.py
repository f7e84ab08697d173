"""Calls of a single layer object: seen or changed from outside for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import keras


@contextlib.contextmanager
def wrapped_call(layer, wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    """Context in which a layer's `call` is another function.

    Args:
        layer: A Keras layer.
        wrap: A function from its `call` to what takes its place.
    """
    # Past Keras' own __setattr__, which tracks what a layer is given.
    attributes = vars(layer)
    before = {"call": attributes["call"]} if "call" in attributes else {}
    attributes["call"] = wrap(layer.call)
    try:
        yield
    finally:
        del attributes["call"]
        attributes.update(before)


def holds_numbers(tensor) -> bool:
    """Whether a tensor has numbers, or a backend only traces it.

    Args:
        tensor: A tensor of the backend.
    """
    try:
        keras.ops.convert_to_numpy(tensor)
    except (NotImplementedError, TypeError, RuntimeError):
        # TensorFlow, JAX and PyTorch in turn, on a tensor that is traced.
        return False
    return True
