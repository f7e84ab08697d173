"""The state of a layer: variables, what follows from them, what is frozen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import keras

from tensornet_keras import backend
from tensornet_keras.surgery.parts import parts_of


def copy_state(source, copied, replaced=frozenset()) -> None:
    """Gives a copied layer all that Keras saves of its source.

    Beyond variables that is what follows from them, and vocabularies.

    Args:
        source: A built layer.
        copied: Its built copy.
        replaced: Ids of the parts of the copy that are left out.

    Raises:
        ValueError: If the copy has other variables than the source.
    """
    _give_adapters(source, copied, replaced)
    other = len(source.variables) != len(copied.variables)
    if other and not replaced:
        raise ValueError(
            "A copied layer must have the variables of its source. "
            f"Received: layer {source.path or source.name!r} "
            f"({type(source).__name__}) with {len(source.variables)} "
            f"variables, its copy with {len(copied.variables)}. "
            "Give its class a `get_config` with all its arguments."
        )
    for ours, theirs in _paired_sublayers(copied, source, replaced):
        if _loads_by_itself(theirs):
            store = {}
            theirs.save_own_variables(store)
            ours.load_own_variables(store)
        if hasattr(theirs, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                theirs.save_assets(folder)
                ours.load_assets(folder)
    for ours, theirs in _paired_variables(copied, source, replaced):
        ours.assign(backend.copied(theirs))


def _give_adapters(source, copied, replaced) -> None:
    """Adds the adapters that a source has and its copy has not yet.

    A class that makes its parts itself knows nothing of them.
    """
    for ours, theirs in _paired_sublayers(copied, source, replaced):
        lacks = not getattr(ours, "lora_enabled", True)
        if lacks and getattr(theirs, "lora_enabled", False) and ours.built:
            ours.enable_lora(theirs.lora_rank, lora_alpha=theirs.lora_alpha)


def copy_trainable(layer, copied, replaced=frozenset()) -> None:
    """Freezes in a layer's copy, or in its twin, what is frozen in the layer.

    Args:
        layer: The source layer.
        copied: Its copy or its twin.
        replaced: Ids of the parts of the copy that are left out.
    """
    same = type(layer) is type(copied) and (
        len(layer.variables) == len(copied.variables)
    )
    if not same and not replaced:
        copied.trainable = layer.trainable
        return
    for ours, theirs in _paired_sublayers(copied, layer, replaced):
        ours._trainable = theirs._trainable
    for ours, theirs in _paired_variables(copied, layer, replaced):
        ours.trainable = theirs.trainable


def own_variables(layer) -> list:
    """The variables of a layer that are not those of its parts.

    Args:
        layer: A Keras layer.
    """
    seeds = [generator.state for generator in layer._seed_generators]
    return layer._trainable_variables + layer._non_trainable_variables + seeds


def _loads_by_itself(layer) -> bool:
    """Whether a layer has state that follows from its variables."""
    base = keras.layers.Layer.load_own_variables
    return type(layer).load_own_variables is not base


def _paired_variables(copied, source, replaced) -> Iterator[tuple]:
    """The variables of a layer and its copy, two by two.

    By name where names tell them apart: a layer that was quantized, or given
    adapters, has them in another order than a copy that is built so.
    """
    for layers in _paired_sublayers(copied, source, replaced):
        ours, theirs = map(own_variables, layers)
        named = {variable.name: variable for variable in ours}
        names = [variable.name for variable in theirs]
        if set(names) == set(named) and len(named) == len(ours):
            ours = [named[name] for name in names]
        yield from zip(ours, theirs, strict=True)


def _paired_sublayers(copied, source, replaced) -> Iterator[tuple]:
    """A layer and its copy, and their parts two by two, each once."""
    seen: set[int] = set()

    def pairs(ours, theirs):
        if id(ours) in replaced or id(ours) in seen:
            return
        seen.add(id(ours))
        yield ours, theirs
        for parts in zip(parts_of(ours), parts_of(theirs), strict=True):
            yield from pairs(*parts)

    yield from pairs(copied, source)
