"""Walks: passes through a model that go on where the last one ended.

Layers are solved front to back. What lies in front of one no longer changes,
so that in a graph the tensors that lead on from there are kept, and the next
pass starts with them: all passes together cost about as much as one.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import keras
from keras import ops

from tensornet_keras import backend
from tensornet_keras.conversion import layer_inputs
from tensornet_keras.surgery import graphs
from tensornet_keras.surgery.parts import is_graph

# Numbers that are kept between two passes; a gigabyte in float32.
MOST_KEPT = 2**28


class Walk:
    """Passes of examples through a model, from layer to layer.

    Args:
        model: A built model. Without a graph every pass starts at its inputs.
        batches: Examples.
    """

    def __init__(self, model, batches: Sequence):
        self._model, self._batches = model, batches
        self._calls = graphs.calls_of(model) if _is_walked(model) else []
        self._looped = _in_loops(model)
        # The calls that lie behind, and what leads on from them, by batch.
        self._done: set = set()
        self._kept: list | None = None
        self._copied = _Copy(autocast=False)

    def inputs_of(self, layer, count: int) -> Iterator[list]:
        """What a layer is called on, batch by batch.

        Args:
            layer: A layer of the model. What its first call depends on has
                the weights that it keeps.
            count: How often the model calls it.

        Yields:
            What is heard of its calls, in order.
        """
        own = [call for call in self._calls if call.owns(layer)]
        if not own:
            yield from self._from_the_start(layer, count)
            return
        front = self._before(own[0])
        passed = self._done | set(front)
        needed = {call for last in own for call in (*self._before(last), last)}
        rest = [x for x in self._calls if x in needed and x not in passed]
        alive = self._alive(passed)
        # The last call itself need not be made.
        plain = all(call.operation is layer for call in own)
        end = len(own) if plain else None
        # Without what was kept, a walk that breaks off starts anew.
        before, self._kept, done = self._kept, None, self._done
        self._done = set()
        kept: list = []
        is_kept = True
        for number, batch in enumerate(self._batches):
            with backend.without_gradients():
                values = (
                    graphs.input_values(self._model, batch)
                    if before is None
                    else before[number]
                )
                values = self._copies(values)
                graphs.run(front, values)
                values = {key: x for key, x in values.items() if key in alive}
                is_kept = is_kept if number else self._is_little(values)
                if is_kept:
                    kept.append(values)
                    if before is not None:
                        before[number] = None
                passing = partial(graphs.run, rest, self._copies(values))
                found = _heard(passing, layer, end)
            yield found
        if is_kept:
            before, done = kept, passed
        self._kept, self._done = before, done

    def _from_the_start(self, layer, count: int) -> Iterator[list]:
        end = None if id(layer) in self._looped else count
        for batch in self._batches:
            passing = partial(self._model, batch, training=False)
            with backend.without_gradients():
                found = _heard(passing, layer, end)
            yield found

    def _copies(self, values: dict) -> dict:
        """Tensors with masks of their own: a layer may change either."""
        return {
            key: None if x is None else self._copied(x)
            for key, x in values.items()
        }

    def _before(self, last) -> list:
        """What a call depends on and is still to be made."""
        needed = set(last.inputs)
        found = []
        for call in reversed(self._calls):
            if call not in self._done and not needed.isdisjoint(call.outputs):
                found.append(call)
                needed |= set(call.inputs)
        return found[::-1]

    def _alive(self, done: set) -> set:
        """The tensors that calls still to come depend on."""
        return {
            key
            for call in self._calls
            if call not in done
            for key in call.inputs
        }

    def _is_little(self, values: dict) -> bool:
        """Whether as much for every example may be kept."""
        shapes = [x.shape for x in values.values() if x is not None]
        numbers = sum(map(math.prod, shapes))
        first, *others = map(_length, self._batches)
        return numbers * (first + sum(others)) <= MOST_KEPT * first


class _Copy(keras.layers.Layer):
    """A tensor with the mask that Keras has set on it, once more."""

    supports_masking = True

    def call(self, x):
        return ops.copy(x)


class _Enough(BaseException):
    """All calls have been heard; no `Exception`, for Keras catches those."""


def _heard(passing: Callable, layer, end: int | None) -> list:
    """What a layer is called on, in a pass that may end with its last call."""
    found: list = []

    def hear(heard):
        found.append(heard)
        if len(found) == end:
            raise _Enough

    with layer_inputs.heard(layer, hear), contextlib.suppress(_Enough):
        passing()
    return found


def _length(batch) -> int:
    return len(keras.tree.flatten(batch)[0])


def _is_walked(model) -> bool:
    """Whether a model consists of calls on tensors that can be copied."""
    return is_graph(model) and not any(x.sparse for x in model.inputs)


def _in_loops(model) -> frozenset[int]:
    """The ids of layers that are called as often as a batch has steps."""
    return frozenset(
        id(inner)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.TimeDistributed)
        for inner in layer._flatten_layers(include_self=False)
    )
