"""Costs of layers in a model: multiply-adds of one example."""

from __future__ import annotations

from collections.abc import Callable

import keras

from tensornet_keras import model_inputs
from tensornet_keras.conversion import rules
from tensornet_keras.formats import Format
from tensornet_keras.layers.initializers import without_drawing
from tensornet_keras.profiling import multiply_adds
from tensornet_keras.profiling.calls import recorded_inside
from tensornet_keras.surgery import twins
from tensornet_keras.surgery.layer_copies import starting_from_zeros


def flops_of(
    model, sample=None
) -> Callable[[object, tuple[Format, ...] | None], float]:
    """A function that counts the multiply-adds of a layer for one example.

    Args:
        model: A built model, which is run once.
        sample: Inputs as the model takes them, of which the first example is
            taken, or `None` for one that is drawn.

    Returns:
        A function of a layer and the bound formats of its kernels, or `None`
        for dense ones. All calls of a layer count.

    Raises:
        ValueError: If the model leaves a size besides the batch open.
    """
    shapes = _shapes(model, _one_example(model, sample))
    known: dict[tuple, float] = {}

    def cost(layer, bound: tuple[Format, ...] | None) -> float:
        own = shapes.get(id(layer), [])
        if not own:
            return 0.0
        key = (id(layer), bound)
        if key not in known:
            counted = layer if bound is None else built_twin(layer, bound)
            counts = [multiply_adds.count(counted, *each) for each in own]
            known[key] = float(sum(counts))
        return known[key]

    return cost


def _one_example(model, sample):
    specs = model_inputs.input_specs(model, sample)
    if sample is not None:
        inputs = model_inputs.sample_inputs(specs, sample)
        batch = keras.tree.flatten(specs)[0].shape[0] or 1
        return keras.tree.map_structure(lambda x: x[:batch], inputs)
    for spec in keras.tree.flatten(specs):
        if None in spec.shape[1:]:
            raise ValueError(
                "`flops` needs every size of the inputs but the batch. "
                f"Received: input {spec.name!r} of shape {spec.shape}. "
                "Pass sample=, inputs of the sizes to count for, or ratio=."
            )
    return model_inputs.random_inputs(specs, 1)


def _shapes(model, inputs) -> dict[int, list[tuple[tuple, tuple]]]:
    """Shapes of inputs and outputs of each call, by the ids of the layers."""
    return {
        id(each.layer): [
            (call.input_shape, call.output_shape) for call in each.calls
        ]
        for each in recorded_inside(model, inputs)
    }


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
