"""Costs of layers in a model: multiply-adds of one example."""

from __future__ import annotations

from collections.abc import Callable

import keras

from tensornet_keras import model_inputs
from tensornet_keras.conversion import rules
from tensornet_keras.formats import Format
from tensornet_keras.layers.initializers import without_drawing
from tensornet_keras.profiling import multiply_adds
from tensornet_keras.profiling.calls import recorded
from tensornet_keras.surgery import twins
from tensornet_keras.surgery.layer_copies import starting_from_zeros


def flops_of(model) -> Callable[[object, tuple[Format, ...] | None], float]:
    """A function that counts the multiply-adds of a layer for one example.

    Args:
        model: A built model, which is run once.

    Returns:
        A function of a layer and the bound formats of its kernels, or `None`
        for dense ones. All calls of a layer count.

    Raises:
        ValueError: If the model leaves a size besides the batch open.
    """
    specs = model_inputs.input_specs(model)
    for spec in keras.tree.flatten(specs):
        if None in spec.shape[1:]:
            raise ValueError(
                "`flops` needs every size of the inputs but the batch. "
                f"Received: input {spec.name!r} of shape {spec.shape}. "
                "Name the sizes in the model's Input, or pass ratio=."
            )
    inputs = model_inputs.random_inputs(specs, 1)
    shapes = _shapes(model, inputs)

    def cost(layer, bound: tuple[Format, ...] | None) -> float:
        own = shapes.get(id(layer), [])
        if not own:
            return 0.0
        counted = layer if bound is None else built_twin(layer, bound)
        return float(sum(multiply_adds.count(counted, *each) for each in own))

    return cost


def _shapes(model, inputs) -> dict[int, list[tuple[tuple, tuple]]]:
    """Shapes of inputs and outputs of each call, by the ids of the layers."""
    found = {}
    for each in recorded(model, inputs):
        calls = [(call.input_shape, call.output_shape) for call in each.calls]
        layer = each.layer
        if isinstance(layer, keras.layers.TimeDistributed):
            # A loop over the second axis calls the layer inside.
            layer = layer.layer
            calls = [tuple(map(_one_batch, pair)) for pair in calls]
        found.setdefault(id(layer), []).extend(calls)
    return found


def _one_batch(shape: tuple) -> tuple:
    return (shape[0] * shape[1], *shape[2:])


def built_twin(layer, bound: tuple[Format, ...], shape=None):
    """The twin of a layer, with zeros for its cores.

    Args:
        layer: A built layer that has a twin.
        bound: The bound format of each of its kernels.
        shape: Shape of its input; `None` for that it was built with.
    """
    twin = rules.twin(layer, bound)
    with without_drawing(), starting_from_zeros() as start_from_zeros:
        start_from_zeros(twin)
        twin.build(shape or twins.built_shape(layer))
    return twin
