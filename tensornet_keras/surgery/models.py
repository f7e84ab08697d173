"""Copies of whole models: nested ones entered, shared layers kept shared."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import keras

from tensornet_keras.surgery.compile_settings import (
    carry_compile_settings,
    uncompiled,
)
from tensornet_keras.surgery.layer_copies import (
    copied_layer,
    copied_operation,
    refuse_variables,
    starting_from_zeros,
)
from tensornet_keras.surgery.state import copy_state, copy_trainable

ADVICE_ON_SUBCLASSES = (
    "Pass a Sequential or Functional model, or convert single layers with "
    "`convert_layer`."
)


def check_model(model) -> None:
    """Refuses what cannot be copied layer by layer.

    Args:
        model: What was passed as a model.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If it is a subclassed model, or not built.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "A Keras model is needed. "
            f"Received: model={model!r} (a {type(model).__name__}). "
            "Pass a Sequential or Functional model."
        )
    if not _is_graph(model):
        raise ValueError(
            "Only Sequential and Functional models can be converted. "
            f"Received: model={model.name!r}, a subclassed "
            f"{type(model).__name__}. {ADVICE_ON_SUBCLASSES}"
        )
    if not model.built:
        raise ValueError(
            "A model must be built before it is converted. "
            f"Received: model={model.name!r}, which is not built. "
            "Add an Input, or call the model on data first."
        )


def leaf_layers(model) -> Iterator[keras.layers.Layer]:
    """Every layer of a model once, nested models entered, in graph order.

    Args:
        model: A Sequential or Functional model.

    Yields:
        Layers that are not themselves such a model, without the inputs.
    """
    seen: set[int] = set()
    for layer in _walk(model):
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer


def copy_with(
    model,
    twin_of: Callable[[keras.layers.Layer], keras.layers.Layer | None],
    fill: Callable[[keras.layers.Layer, keras.layers.Layer], None],
):
    """A copy of a model in which some layers are replaced by twins.

    Nested models are copied too, shared layers stay shared, and all layers
    that are not replaced get the weights of the source. The compile settings
    are carried over with a fresh optimizer.

    Args:
        model: A built Sequential or Functional model.
        twin_of: Called once with every layer; returns its unbuilt twin, or
            `None` to copy the layer.
        fill: Called once with every twin, which is built by then, and the
            layer it replaces; gives the twin its weights.

    Returns:
        The copy.

    Raises:
        ValueError: If a layer cannot be copied from its config, or an
            operation takes a variable.
    """
    check_model(model)
    clones: dict[int, object] = {}
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []
    twins: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []

    def clone(layer):
        if id(layer) not in clones:
            clones[id(layer)] = cloned(layer)
        return clones[id(layer)]

    def cloned(layer):
        refuse_variables(layer)
        if not isinstance(layer, keras.layers.Layer):
            return copied_operation(layer)
        if _is_graph(layer):
            return keras.models.clone_model(
                layer, input_tensors=_inputs(layer), clone_function=clone
            )
        twin = twin_of(layer)
        if twin is not None:
            start_from_zeros(twin)
            twins.append((twin, layer))
            return twin
        copied = copied_layer(layer)
        start_from_zeros(copied)
        copies.append((copied, layer))
        return copied

    with uncompiled(model), starting_from_zeros() as start_from_zeros:
        result = clone(model)
        if not result.built:
            result.build(model.input_shape)
    for copied, source in copies:
        copy_state(source, copied)
    _copy_trainable(model, result)
    for twin, source in twins:
        fill(twin, source)
    carry_compile_settings(model, result)
    return result


@functools.cache
def _functional_class() -> type[keras.Model]:
    """The class of Functional models, which Keras does not export."""
    inputs = keras.Input((1,), name="probe")
    return type(keras.Model(inputs, inputs, name="probe"))


def _is_graph(layer) -> bool:
    """Whether a layer is a Sequential or Functional model, not a subclass."""
    return type(layer) in (keras.Sequential, _functional_class())


def _inputs(model):
    """Inputs like those of a Functional model, which Keras would rename."""
    if isinstance(model, keras.Sequential):
        return None

    def like(tensor):
        layer = tensor._keras_history.operation
        return type(layer).from_config(layer.get_config()).output

    return keras.tree.map_structure(like, model.input)


def _walk(model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if _is_graph(layer):
            yield from _walk(layer)
        else:
            yield layer


def _copy_trainable(source, copied) -> None:
    """Frozen models and layers stay frozen; outer models come first."""
    copied.trainable = source.trainable
    counterparts = {layer.name: layer for layer in copied.layers}
    for layer in source.layers:
        if layer.name not in counterparts:
            continue
        if _is_graph(layer):
            _copy_trainable(layer, counterparts[layer.name])
        else:
            copy_trainable(layer, counterparts[layer.name])
