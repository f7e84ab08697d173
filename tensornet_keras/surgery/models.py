"""Copies of whole models: nested ones entered, shared layers kept shared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import keras

from tensornet_keras.surgery.compile_settings import (
    carry_compile_settings,
    uncompiled,
)
from tensornet_keras.surgery.composites import (
    Composite,
    is_composite,
    leaves,
    parts_apart,
)
from tensornet_keras.surgery.layer_copies import (
    copied_layer,
    copied_operation,
    refuse_variables,
    starting_from_zeros,
)
from tensornet_keras.surgery.parts import (
    follow,
    has_graph,
    is_graph,
    parts_of,
)
from tensornet_keras.surgery.state import (
    copy_state,
    copy_trainable,
    own_variables,
)

TwinOf = Callable[[keras.layers.Layer], keras.layers.Layer | None]


def check_model(model) -> None:
    """Refuses what cannot be copied layer by layer.

    Args:
        model: What was passed as a model.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If it is not built.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            "A Keras model is needed. "
            f"Received: model={model!r} (a {type(model).__name__}). "
            "Wrap a single layer in keras.Sequential."
        )
    if not model.built:
        raise ValueError(
            "A model must be built before it is converted. "
            f"Received: model={model.name!r}, which is not built. "
            "Add an Input, or call the model on data first."
        )


def leaf_layers(model) -> Iterator[keras.layers.Layer]:
    """Every layer of a model once, what owns layers entered, in graph order.

    Args:
        model: A Keras model.

    Yields:
        Layers that own no others, without the inputs, and behind their parts
        those others that have weights of their own.
    """
    seen: set[int] = set()
    for layer in _walk(model):
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer


def tied_layers(model) -> frozenset[int]:
    """The ids of layers that have a variable which another one has too.

    Args:
        model: A built model.
    """
    owners: dict[int, set[int]] = {}
    for layer in leaf_layers(model):
        enters = has_graph(layer) or is_composite(layer)
        own = own_variables(layer) if enters else layer.variables
        for variable in own:
            owners.setdefault(id(variable), set()).add(id(layer))
    several = (ids for ids in owners.values() if len(ids) > 1)
    return frozenset(key for ids in several for key in ids)


def own_params(layer) -> int:
    """The parameters of a layer without those of the layers it owns.

    Args:
        layer: A built layer.
    """
    if not (is_composite(layer) or has_graph(layer)):
        return layer.count_params()
    own = layer._trainable_variables + layer._non_trainable_variables
    return sum(math.prod(variable.shape) for variable in own)


def copy_with(
    model,
    twin_of: TwinOf,
    fill: Callable[[keras.layers.Layer, keras.layers.Layer], None],
):
    """A copy of a model in which some layers are replaced by twins.

    Nested models and layers that own layers are copied too, shared layers
    stay shared, and all layers that are not replaced get the weights of the
    source. The compile settings are carried over with a fresh optimizer.

    Args:
        model: A built model.
        twin_of: Called once with every layer; returns its unbuilt twin, or
            `None` to copy the layer.
        fill: Called once with every twin, which is built by then, and the
            layer it replaces; gives the twin its weights.

    Returns:
        The copy.

    Raises:
        ValueError: If a layer cannot be copied from its config, an
            operation takes a variable, or weights are tied in a way that the
            copy would untie.
    """
    check_model(model)
    with uncompiled(model), starting_from_zeros() as start_from_zeros:
        copies = _Copies(twin_of, start_from_zeros)
        result = copies.of(model)
        if has_graph(model) and not result.built:
            result.build(model.input_shape)
        copies.build()
    copies.fill(fill)
    _check_ties(model, result, copies.twins)
    carry_compile_settings(model, result)
    return result


def copy_of(model):
    """A copy of a model, as it is.

    Args:
        model: A built model.

    Raises:
        ValueError: As in `copy_with`.
    """
    return copy_with(model, _none, _none)


def _none(*_) -> None:
    return None


@dataclass(eq=False)
class _Copies:
    """Copies of the layers of a model, and what took whose place."""

    twin_of: TwinOf
    start_from_zeros: Callable
    clones: dict[int, object] = field(default_factory=dict)
    copies: list[tuple] = field(default_factory=list)
    graphs: list[tuple] = field(default_factory=list)
    composites: list[tuple] = field(default_factory=list)
    twins: list[tuple] = field(default_factory=list)

    def of(self, layer):
        """The copy of a layer or an operation, the same one every time."""
        if id(layer) not in self.clones:
            self.clones[id(layer)] = self._new(layer)
        return self.clones[id(layer)]

    def build(self) -> None:
        """Builds composite layers that no graph has built."""
        for composite, source in self.composites:
            composite.build_like(source)

    def fill(self, fill) -> None:
        """Gives all copies and twins their weights, and freezes them."""
        stand_ins = {}
        for composite, _ in self.composites:
            stand_ins |= composite.stand_ins
        self.copies = [
            (stand_ins.get(id(copied), copied), source)
            for copied, source in self.copies
        ]
        for copied, source in self.copies:
            copy_state(source, copied)
        for graph, source in self.graphs:
            graph._trainable = source._trainable
        for composite, source in self.composites:
            copy_state(source, composite.copy, composite.replaced)
        for copied, source in self.copies:
            copy_trainable(source, copied)
        for composite, source in self.composites:
            copy_trainable(source, composite.copy, composite.replaced)
        self.twins = [
            (stand_ins.get(id(twin), twin), source)
            for twin, source in self.twins
        ]
        for twin, source in self.twins:
            twin.trainable = source.trainable
            fill(twin, source)

    def _new(self, layer):
        refuse_variables(layer)
        if not isinstance(layer, keras.layers.Layer):
            return copied_operation(layer)
        if is_graph(layer):
            graph = keras.models.clone_model(
                layer, input_tensors=_inputs(layer), clone_function=self.of
            )
            graph._dtype_policy = layer.dtype_policy
            self.graphs.append((graph, layer))
            return graph
        twin = self._twin(layer)
        if twin is not None:
            return twin
        if has_graph(layer) or is_composite(layer):
            return self._composite(layer)
        return self._plain(layer)

    def _twin(self, layer):
        """The twin of a layer, or `None`."""
        twin = self.twin_of(layer)
        if twin is not None:
            self.start_from_zeros(twin)
            self.twins.append((twin, layer))
        return twin

    def _plain(self, layer):
        copied = copied_layer(layer)
        self.start_from_zeros(copied)
        self.copies.append((copied, layer))
        return copied

    def _composite(self, layer):
        wanted = {}
        inner = list(leaves(layer))
        for path, part in inner:
            if id(part) in self.clones:
                wanted[path] = self.clones[id(part)]
            elif (twin := self._twin(part)) is not None:
                wanted[path] = self.clones[id(part)] = twin
        for path, part in parts_apart(layer).items():
            if path not in wanted:
                wanted[path] = self.of(part)
        composite = Composite(layer, wanted, self.start_from_zeros)
        self.composites.append((composite, layer))
        for path, part in inner:
            ours, _ = follow(composite.copy, path)
            if ours is not None:
                self.clones.setdefault(id(part), ours)
        return composite.copy


def _check_ties(model, result, twins) -> None:
    """Refuses a copy in which one variable of the source became two."""
    became: dict[int, object] = {}
    changed = {id(source) for _, source in twins}
    pairs = zip(leaf_layers(model), leaf_layers(result), strict=True)
    for source, copied in pairs:
        if id(source) in changed:
            continue
        for theirs, ours in zip(
            own_variables(source), own_variables(copied), strict=True
        ):
            if became.setdefault(id(theirs), ours) is not ours:
                raise ValueError(
                    "Layers that share a variable must be made so by their "
                    "config. Received: layer "
                    f"{source.path or source.name!r}, whose "
                    f"{theirs.path!r} belongs to another layer too. "
                    "Make both parts of one layer that ties them."
                )


def _inputs(model):
    """Inputs like those of a Functional model, which Keras would rename."""
    if isinstance(model, keras.Sequential):
        return None

    def like(tensor):
        layer = tensor._keras_history.operation
        return type(layer).from_config(layer.get_config()).output

    return keras.tree.map_structure(like, model.input)


def _walk(model) -> Iterator[keras.layers.Layer]:
    for layer in parts_of(model):
        if has_graph(layer) or is_composite(layer):
            yield from _walk(layer)
            if own_variables(layer):
                yield layer
        else:
            yield layer
