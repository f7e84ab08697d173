"""The calls that a Sequential or Functional model consists of, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import keras

from tensornet_keras.surgery.parts import is_graph

# A tensor of a graph: the calls of models that it is in, and its id.
Key = tuple[tuple[int, ...], int]


@dataclass(frozen=True, eq=False)
class Call:
    """A call in a graph, or a way into a nested model or out of it.

    Args:
        inputs: What it depends on.
        outputs: What it makes.
        function: From the values of the inputs to those of the outputs.
        operation: What is called, `None` on a way in or out.
    """

    inputs: tuple[Key, ...]
    outputs: tuple[Key, ...]
    function: Callable[[list], list]
    operation: object = None

    def owns(self, layer) -> bool:
        """Whether this calls a layer, or something that owns it.

        Args:
            layer: A Keras layer.
        """
        if not isinstance(self.operation, keras.layers.Layer):
            return False
        return any(x is layer for x in self.operation._flatten_layers())


def levels_of(model) -> list[tuple[int, list]]:
    """The nodes in a graph by how far they are from the outputs.

    Args:
        model: A Sequential or Functional model.

    Returns:
        Depths, the largest first, and their nodes, in the order in which
        Keras calls them.
    """
    return sorted(_graph(model)._nodes_by_depth.items(), reverse=True)


def calls_of(model) -> list[Call]:
    """The calls in a graph in Keras' order, those of nested models too.

    Args:
        model: A Sequential or Functional model.
    """
    return list(_calls(model, ()))


def input_values(model, batch) -> dict[Key, object]:
    """What the tensors that enter a graph stand for.

    Args:
        model: A Sequential or Functional model.
        batch: Arrays as the model takes them.
    """
    graph = _graph(model)
    values = graph._standardize_inputs(batch)
    return dict(zip(_keys(graph.inputs, ()), values, strict=True))


def run(calls: Iterable[Call], values: dict[Key, object]) -> None:
    """Makes calls as a model does that is called with `training=False`.

    Args:
        calls: Calls of a graph, in order.
        values: What tensors stand for; is added to.
    """
    for call in calls:
        found = call.function([values[key] for key in call.inputs])
        values |= dict(zip(call.outputs, found, strict=True))


def _graph(model):
    return getattr(model, "_functional", None) or model


def _keys(tensors, place: tuple[int, ...]) -> tuple[Key, ...]:
    return tuple((place, id(tensor)) for tensor in tensors)


def _calls(model, place: tuple[int, ...]) -> Iterator[Call]:
    for _, nodes in levels_of(model):
        for node in nodes:
            if not node.operation or node.is_input:
                continue
            inputs = _keys(node.input_tensors, place)
            outputs = _keys(node.outputs, place)
            if not _is_entered(node):
                function = _calling(node)
                yield Call(inputs, outputs, function, node.operation)
                continue
            inner, inside = _graph(node.operation), (*place, id(node))
            yield Call(inputs, _keys(inner.inputs, inside), _entering(node))
            yield from _calls(inner, inside)
            yield Call(_keys(inner.outputs, inside), outputs, list)


def _is_entered(node) -> bool:
    """Whether a node calls a graph, and with nothing but its inputs."""
    arguments = node.arguments
    alone = len(arguments.args) == 1 and not arguments.kwargs
    return is_graph(node.operation) and alone


def _filled(node, values: list) -> tuple[tuple, dict]:
    ids = map(id, node.input_tensors)
    return node.arguments.fill_in(dict(zip(ids, values, strict=True)))


def _entering(node) -> Callable[[list], list]:
    def enter(values):
        (inputs,), _ = _filled(node, values)
        return _graph(node.operation)._standardize_inputs(inputs)

    return enter


def _calling(node) -> Callable[[list], list]:
    operation = node.operation
    inference = "training" in getattr(operation, "_call_context_args", ())

    def call(values):
        args, kwargs = _filled(node, values)
        if inference:
            kwargs["training"] = False
        return keras.tree.flatten(operation(*args, **kwargs))

    return call
