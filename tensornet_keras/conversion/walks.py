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
        self._nodes = graphs.calls_of(model) if is_graph(model) else []
        # The nodes that lie behind, and what leads on from them, by batch.
        self._done: set = set()
        self._kept: list[dict] | None = None

    def inputs_of(self, layer, calls: int) -> Iterator[list]:
        """What a layer is called on, batch by batch.

        Args:
            layer: A layer of the model. What its first call depends on has
                the weights that it keeps.
            calls: How often the model calls it.

        Yields:
            What is heard of its calls, in order.
        """
        own = [node for node in self._nodes if graphs.owns(node, layer)]
        if not own:
            yield from self._from_the_start(layer, calls)
            return
        front = self._before(own[0])
        passed = self._done | set(front)
        needed = {node for last in own for node in (*self._before(last), last)}
        rest = [x for x in self._nodes if x in needed and x not in passed]
        alive = self._alive(passed)
        kept: list[dict] | None = []
        for number, batch in enumerate(self._batches):
            with backend.without_gradients():
                values = self._start(number, batch)
                graphs.run(front, values)
                values = {key: x for key, x in values.items() if key in alive}
                if kept is not None:
                    kept.append(dict(values))
                    if not number and self._is_too_much(values):
                        kept = None
                found = _heard(partial(graphs.run, rest, values), layer, calls)
            yield found
        if kept is not None:
            self._kept, self._done = kept, passed

    def _from_the_start(self, layer, calls: int) -> Iterator[list]:
        for batch in self._batches:
            run = partial(self._model, batch, training=False)
            with backend.without_gradients():
                found = _heard(run, layer, calls)
            yield found

    def _start(self, number: int, batch) -> dict:
        if self._kept is None:
            return graphs.input_values(self._model, batch)
        return dict(self._kept[number])

    def _before(self, last) -> list:
        """What a node depends on and is still to be called."""
        needed = {id(x) for x in last.input_tensors}
        found = []
        for node in reversed(self._nodes):
            if node in self._done:
                continue
            if any(id(x) in needed for x in node.outputs):
                found.append(node)
                needed |= {id(x) for x in node.input_tensors}
        return found[::-1]

    def _alive(self, done: set) -> set[int]:
        """The ids of the tensors that calls still to come depend on."""
        return {
            id(x)
            for node in self._nodes
            if node not in done
            for x in node.input_tensors
        }

    def _is_too_much(self, values: dict) -> bool:
        numbers = sum(math.prod(x.shape) for x in values.values())
        return numbers * len(self._batches) > MOST_KEPT


class _Enough(BaseException):
    """All calls have been heard; no `Exception`, for Keras catches those."""


def _heard(run: Callable, layer, calls: int) -> list:
    """What a layer is called on, in a pass that ends with its last call."""
    found: list = []

    def hear(inputs):
        found.append(inputs)
        if len(found) == calls:
            raise _Enough

    with layer_inputs.heard(layer, hear), contextlib.suppress(_Enough):
        run()
    return found
