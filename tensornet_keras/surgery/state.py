"""The state of a layer: variables, what follows from them, what is frozen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import keras

from tensornet_keras import backend


def copy_state(source, copied) -> None:
    """Gives a copied layer all that Keras saves of its source.

    Beyond variables that is what follows from them, and vocabularies.

    Args:
        source: A built layer.
        copied: Its built copy.

    Raises:
        ValueError: If the copy has other variables than the source.
    """
    if len(source.variables) != len(copied.variables):
        raise ValueError(
            "A copied layer must have the variables of its source. "
            f"Received: layer {source.path or source.name!r} "
            f"({type(source).__name__}) with {len(source.variables)} "
            f"variables, its copy with {len(copied.variables)}. "
            "Give its class a `get_config` with all its arguments."
        )
    for ours, theirs in _paired_sublayers(copied, source):
        if _loads_by_itself(theirs):
            store = {}
            theirs.save_own_variables(store)
            ours.load_own_variables(store)
        if hasattr(theirs, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                theirs.save_assets(folder)
                ours.load_assets(folder)
    for ours, theirs in _paired_variables(copied, source):
        ours.assign(backend.copied(theirs))


def copy_trainable(layer, copied) -> None:
    """Freezes in a layer's copy, or in its twin, what is frozen in the layer.

    Args:
        layer: The source layer.
        copied: Its copy or its twin.
    """
    same = len(layer.variables) == len(copied.variables)
    if type(layer) is not type(copied) or not same:
        copied.trainable = layer.trainable
        return
    for ours, theirs in _paired_sublayers(copied, layer):
        ours._trainable = theirs._trainable
    for ours, theirs in _paired_variables(copied, layer):
        ours.trainable = theirs.trainable


def _loads_by_itself(layer) -> bool:
    """Whether a layer has state that follows from its variables."""
    base = keras.layers.Layer.load_own_variables
    return type(layer).load_own_variables is not base


def _paired_variables(copied, source) -> Iterator[tuple]:
    """The variables of a layer and its copy, two by two.

    By name where names tell them apart: a layer that was quantized, or given
    adapters, has them in another order than a copy that is built so.
    """
    for layers in _paired_sublayers(copied, source):
        ours, theirs = map(_own_variables, layers)
        named = {variable.name: variable for variable in ours}
        names = [variable.name for variable in theirs]
        if set(names) == set(named) and len(named) == len(ours):
            ours = [named[name] for name in names]
        yield from zip(ours, theirs, strict=True)


def _paired_sublayers(copied, source) -> Iterator[tuple]:
    return zip(copied._flatten_layers(), source._flatten_layers(), strict=True)


def _own_variables(layer) -> list:
    seeds = [generator.state for generator in layer._seed_generators]
    return layer._trainable_variables + layer._non_trainable_variables + seeds
