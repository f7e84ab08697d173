"""Surgery: a copy of a Keras model with some layers replaced.

Knows models and layers, and nothing of formats. The source model is not
changed, and the copy shares no variable with it.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import warnings
from collections.abc import Callable, Iterator

import keras
from keras import ops

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
):
    """A copy of a model in which some layers are replaced by twins.

    Nested models are copied too, shared layers stay shared, and all layers
    that are not replaced get the weights of the source. The compile settings
    are carried over with a fresh optimizer.

    Args:
        model: A built Sequential or Functional model.
        twin_of: Called once with every layer; returns its unbuilt twin, or
            `None` to copy the layer. The twin's weights are the caller's to
            fill in, once the copy is there and has built it.

    Returns:
        The copy.

    Raises:
        ValueError: If a layer cannot be copied from its config.
    """
    check_model(model)
    clones: dict[int, object] = {}
    copies: list[tuple[keras.layers.Layer, keras.layers.Layer]] = []

    def clone(layer):
        if id(layer) not in clones:
            clones[id(layer)] = cloned(layer)
        return clones[id(layer)]

    def cloned(layer):
        if not isinstance(layer, keras.layers.Layer):
            return _copied_operation(layer)
        if _is_graph(layer):
            return keras.models.clone_model(layer, clone_function=clone)
        twin = twin_of(layer)
        if twin is not None:
            return twin
        copies.append((layer, _copied_layer(layer)))
        return copies[-1][1]

    with _uncompiled(model):
        result = clone(model)
    if not result.built:
        result.build(model.input_shape)
    for source, copied in copies:
        _copy_variables(source, copied)
    _copy_trainable(model, result)
    _carry_compile_settings(model, result)
    return result


@functools.cache
def _functional_class() -> type[keras.Model]:
    """The class of Functional models, which Keras does not export."""
    inputs = keras.Input((1,), name="probe")
    return type(keras.Model(inputs, inputs, name="probe"))


def _is_graph(layer) -> bool:
    """Whether a layer is a Sequential or Functional model, not a subclass."""
    return type(layer) in (keras.Sequential, _functional_class())


def _walk(model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if _is_graph(layer):
            yield from _walk(layer)
        else:
            yield layer


def _copied_layer(layer):
    try:
        return type(layer).from_config(layer.get_config())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise ValueError(
            "Every layer of a converted model must be copyable from its "
            f"config. Received: layer {layer.path or layer.name!r} "
            f"({type(layer).__name__}), which is not: {error} "
            "Give its class a `get_config` with all its arguments."
        ) from error


def _copied_operation(operation):
    """A copy of an operation of `keras.ops` without its place in the graph."""
    try:
        return type(operation).from_config(operation.get_config())
    except (NotImplementedError, TypeError, ValueError):
        copied = copy.copy(operation)
        copied._inbound_nodes = []
        copied._outbound_nodes = []
        return copied


def _copy_variables(source, copied) -> None:
    if len(source.variables) != len(copied.variables):
        raise ValueError(
            "A copied layer must have the variables of its source. "
            f"Received: layer {source.path or source.name!r} "
            f"({type(source).__name__}) with {len(source.variables)} "
            f"variables, its copy with {len(copied.variables)}. "
            "Give its class a `get_config` with all its arguments."
        )
    for ours, theirs in zip(copied.variables, source.variables, strict=True):
        ours.assign(ops.convert_to_numpy(theirs))


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
            _copy_own_trainable(layer, counterparts[layer.name])


def _copy_own_trainable(layer, copied) -> None:
    if type(layer) is not type(copied):
        copied.trainable = layer.trainable
        return
    for ours, theirs in zip(
        copied._flatten_layers(), layer._flatten_layers(), strict=True
    ):
        ours._trainable = theirs._trainable
    for ours, theirs in zip(copied.variables, layer.variables, strict=True):
        ours.trainable = theirs.trainable


@contextlib.contextmanager
def _uncompiled(model):
    """Keeps `clone_model` from compiling, for it cannot take every loss."""
    compiled = [
        each
        for each in model._flatten_layers()
        if isinstance(each, keras.Model) and each.compiled
    ]
    for each in compiled:
        each.compiled = False
    try:
        yield
    finally:
        for each in compiled:
            each.compiled = True


def _carry_compile_settings(source, copied) -> None:
    """Compiles the copy like the source, with a fresh optimizer."""
    if not source.compiled:
        return
    settings = source._compile_config.config
    functions = {
        value.__name__: value
        for value in keras.tree.flatten(dict(settings))
        if callable(value) and hasattr(value, "__name__")
    }
    try:
        with keras.saving.custom_object_scope(functions):
            copied.compile_from_config(source.get_compile_config())
    except (TypeError, ValueError) as error:
        warnings.warn(
            f"The compile settings of {source.name!r} could not be carried "
            f"over: {error} Compile the new model yourself.",
            stacklevel=2,
        )
