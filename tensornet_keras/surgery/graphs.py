"""The calls that a Sequential or Functional model consists of, one by one."""

from __future__ import annotations

from collections.abc import Iterable

import keras


def levels_of(model) -> list[tuple[int, list]]:
    """The calls in a graph by how far they are from the outputs.

    Args:
        model: A Sequential or Functional model.

    Returns:
        Depths, the largest first, and their nodes, in the order in which
        Keras calls them.
    """
    graph = getattr(model, "_functional", None) or model
    return sorted(graph._nodes_by_depth.items(), reverse=True)


def calls_of(model) -> list:
    """The nodes of a graph in the order in which Keras calls them.

    Args:
        model: A Sequential or Functional model.
    """
    return [
        node
        for _, nodes in levels_of(model)
        for node in nodes
        if node.operation and not node.is_input
    ]


def owns(node, layer) -> bool:
    """Whether a node calls a layer, or something that owns it.

    Args:
        node: A node of a graph.
        layer: A Keras layer.
    """
    operation = node.operation
    if not isinstance(operation, keras.layers.Layer):
        return False
    return any(each is layer for each in operation._flatten_layers())


def input_values(model, batch) -> dict[int, object]:
    """What the tensors that enter a graph stand for, by their ids.

    Args:
        model: A Sequential or Functional model.
        batch: Arrays as the model takes them.
    """
    graph = getattr(model, "_functional", None) or model
    tensors = graph._standardize_inputs(batch)
    return dict(zip(map(id, graph.inputs), tensors, strict=True))


def run(nodes: Iterable, values: dict[int, object]) -> None:
    """Calls nodes as a model does that is called with `training=False`.

    Args:
        nodes: Nodes of a graph, in order.
        values: What tensors stand for, by their ids; is added to.
    """
    for node in nodes:
        operation = node.operation
        args, kwargs = node.arguments.fill_in(values)
        if "training" in getattr(operation, "_call_context_args", ()):
            kwargs["training"] = False
        outputs = keras.tree.flatten(operation(*args, **kwargs))
        values |= dict(zip(map(id, node.outputs), outputs, strict=True))
