"""Parts: the layers that a layer owns, and how to put others in their place.

A path names a part by the attributes, indices and keys that lead to it, such
as `("blocks", 0, "attention", "_query_dense")`; it holds for every layer that
is made from the same config.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import keras

Path = tuple[str | int, ...]
# The key of the layers of a graph, which go by their place in it.
LAYERS = "layers"


@functools.cache
def functional_class() -> type[keras.Model]:
    """The class of Functional models, which Keras does not export."""
    inputs = keras.Input((1,), name="probe")
    return type(keras.Model(inputs, inputs, name="probe"))


def has_graph(layer) -> bool:
    """Whether a layer is a Sequential or Functional model, or a subclass.

    Args:
        layer: A Keras layer.
    """
    return isinstance(layer, (keras.Sequential, functional_class()))


def is_graph(layer) -> bool:
    """Whether a layer is a Sequential or Functional model, not a subclass.

    Args:
        layer: A Keras layer.
    """
    return type(layer) in (keras.Sequential, functional_class())


def parts_of(layer) -> list[keras.layers.Layer]:
    """The layers that a layer owns directly, each once, without inputs.

    Args:
        layer: A Keras layer.
    """
    found = {
        id(part): part
        for part in layer._flatten_layers(include_self=False, recursive=False)
        if not isinstance(part, keras.layers.InputLayer)
        and part is not getattr(layer, "_functional", None)
    }
    return list(found.values())


def placed_parts(layer) -> list[tuple[Path, keras.layers.Layer]]:
    """The parts of a layer that a path leads to, with the first one.

    Args:
        layer: A Keras layer.
    """
    if has_graph(layer):
        return [((LAYERS, n), x) for n, x in enumerate(parts_of(layer))]
    found: dict[int, tuple[Path, keras.layers.Layer]] = {}
    for name in _attributes(layer):
        for path, part in _places(_attribute(layer, name), (name,)):
            found.setdefault(id(part), (path, part))
    own = parts_of(layer)
    return [found[id(part)] for part in own if id(part) in found]


def follow(root, path: Path):
    """The part that a path leads to, and the last layer on the way.

    Args:
        root: A Keras layer.
        path: A path from it.

    Returns:
        The part, or `None` if there is none yet, and the layer that owns it,
        or that has to make it.
    """
    here = owner = root
    for key in path:
        if isinstance(here, keras.layers.Layer):
            owner = here
            here = _step(here, key)
        else:
            here = _item(here, key)
        if here is None:
            return None, owner
    return here, owner


def replace(root, old, new) -> None:
    """Puts a layer wherever another one is in a layer and its parts.

    Args:
        root: The layer that is changed.
        old: A part at any depth.
        new: What takes its place; built if the other one is.
    """
    if old.built and not new.built:
        _build_like(new, old)
    for owner in list(root._flatten_layers()):
        if any(part is old for part in parts_of(owner)):
            _replace_part(owner, old, new)
    for layer in root._flatten_layers():
        # What PyTorch knows of a layer's variables.
        if layer.built and hasattr(layer, "_track_variables"):
            layer._track_variables()


def _attributes(layer) -> list[str]:
    """The attributes of a layer that are its own and not Keras'."""
    modules = vars(layer).get("_modules", {})
    return [
        name
        for name in (*vars(layer), *modules)
        # What TensorFlow knows of a layer it keeps under `_self`.
        if name not in _keras_attributes() and not name.startswith("_self_")
    ]


@functools.cache
def _keras_attributes() -> frozenset[str]:
    plain = keras.layers.Layer(name="probe")
    return frozenset((*dir(plain), "_functional", "_metrics"))


def _attribute(layer, name):
    modules = vars(layer).get("_modules", {})
    return vars(layer).get(name, modules.get(name))


def _places(value, path: Path) -> Iterator[tuple[Path, keras.layers.Layer]]:
    """The layers in a value, which may be a container."""
    if isinstance(value, keras.layers.Layer):
        yield path, value
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _places(item, (*path, index))
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, (str, int)):
                yield from _places(item, (*path, key))


def _step(layer, key):
    if key == LAYERS and has_graph(layer):
        return parts_of(layer)
    return _attribute(layer, key)


def _item(container, key):
    if isinstance(container, dict):
        return container.get(key)
    return container[key] if key < len(container) else None


def _build_like(new, old) -> None:
    """Builds a layer as another one, under its path."""
    with contextlib.ExitStack() as stack:
        for name in (old.path or "").split("/")[:-1]:
            stack.enter_context(keras.name_scope(name))
        new.build_from_config(old.get_build_config())
    if not new.built:
        raise ValueError(
            f"Layer {new.name!r} could not be built like the layer it "
            f"replaces. Received: {old.get_build_config()}."
        )


def _replace_part(owner, old, new) -> None:
    tracker = owner._tracker
    was_locked = tracker.locked
    tracker.unlock()
    try:
        if isinstance(owner, keras.Sequential):
            _swap(owner._layers, old, new)
            if owner._functional is not None:
                _replace_part(owner._functional, old, new)
        if tracker.is_in_store("layers", old):
            _swap(tracker.config["layers"][1], old, new)
            tracker.stored_ids["layers"].discard(id(old))
            tracker.stored_ids["layers"].add(id(new))
        if isinstance(owner, functional_class()):
            _replace_operation(owner, old, new)
        for name in _attributes(owner):
            value = _attribute(owner, name)
            if any(part is old for _, part in _places(value, ())):
                setattr(owner, name, _with(value, old, new))
    finally:
        if was_locked:
            tracker.lock()


def _with(value, old, new):
    """A value with a layer in place of another; lists change themselves."""
    if value is old:
        return new
    if isinstance(value, list):
        for index, item in enumerate(value):
            list.__setitem__(value, index, _with(item, old, new))
    elif isinstance(value, dict):
        for key, item in value.items():
            dict.__setitem__(value, key, _with(item, old, new))
    elif isinstance(value, tuple):
        items = [_with(item, old, new) for item in value]
        named = hasattr(value, "_fields")
        return type(value)(*items) if named else type(value)(items)
    return value


def _swap(layers: list, old, new) -> None:
    for index, layer in enumerate(layers):
        if layer is old:
            list.__setitem__(layers, index, new)


def _swapped(layers, old, new) -> list:
    return [new if layer is old else layer for layer in layers]


def _replace_operation(model, old, new) -> None:
    """Gives the nodes of a layer in a graph to another one."""
    for node in old._inbound_nodes:
        node.operation = new
        for tensor in node.outputs:
            history = tensor._keras_history
            tensor._keras_history = history._replace(operation=new)
    if old._inbound_nodes:
        new._inbound_nodes, old._inbound_nodes = old._inbound_nodes, []
        new._outbound_nodes, old._outbound_nodes = old._outbound_nodes, []
    # Anew, for TensorFlow tracks lists that must not change.
    model._operations = _swapped(model._operations, old, new)
    model._operations_by_depth = {
        depth: _swapped(operations, old, new)
        for depth, operations in model._operations_by_depth.items()
    }
