"""Pruning of ranks: bond entries that carry next to nothing are removed."""

from __future__ import annotations

import numpy as np
from keras import ops

from tensornet_keras import surgery, validation
from tensornet_keras.conversion.report import REPLACED, LayerRow, Report
from tensornet_keras.conversion.selection import Filters, path_of, selected
from tensornet_keras.decomposition import Decomposition
from tensornet_keras.decomposition.legs import relative_error
from tensornet_keras.layers import FactorizedLayer
from tensornet_keras.network import TensorNetwork


def prune(model, threshold: float = 1e-2, *, filters: Filters = None):
    """A copy of a model whose layers have lost their idle bond entries.

    An entry of a bond weighs the product of the norms of what it picks of
    each core on that bond. Entries that weigh less than a share of the
    heaviest one are removed, at least one is kept. A `rank_penalty` in
    training empties entries; this removes them. The source model is not
    changed.

    Args:
        model: A built Sequential or Functional model with factorized layers.
        threshold: Share of the heaviest entry's weight, in [0, 1), below
            which an entry is removed. 0 removes what is exactly zero.
        filters: Which layers to prune, as in `convert`.

    Returns:
        The pruned model, and a `Report` whose relative errors are with
        respect to the kernels as they were.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If the model is not built or is subclassed, a filter
            matches nothing, or the threshold is out of range.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TTDense(64, rank=4)
    >>> model = keras.Sequential([keras.Input((64,)), layer])
    >>> cores = [np.array(keras.ops.copy(core)) for core in layer.cores]
    >>> cores[0][..., 2:] = 0.0
    >>> layer.set_cores(cores)
    >>> small, report = tk.prune(model)
    >>> small.layers[0].format.rank
    (2, 4)
    """
    surgery.check_model(model)
    threshold = validation.share(threshold, "threshold")
    layers = list(surgery.leaf_layers(model))
    chosen = {id(layer) for layer in selected(layers, filters)}
    rows, found = [], {}
    for layer in layers:
        if not isinstance(layer, FactorizedLayer):
            rows.append(LayerRow.kept(path_of(layer), layer, "kind"))
            continue
        if id(layer) not in chosen:
            rows.append(LayerRow.kept(path_of(layer), layer, "filter"))
            continue
        pruned = _pruned(layer, threshold)
        if pruned is None:
            rows.append(LayerRow.kept(path_of(layer), layer, "no idle rank"))
        else:
            found[id(layer)] = pruned
            rows.append(_row(layer, pruned))
    small = surgery.copy_with(
        model,
        lambda layer: _twin(layer, found) if id(layer) in found else None,
        lambda twin, layer: _fill(twin, layer, found),
    )
    report = Report(
        model.name, tuple(rows), model.count_params(), small.count_params()
    )
    return small, report


def _pruned(layer, threshold: float) -> Decomposition | None:
    """The layer's cores without idle entries; `None` if there are none."""
    network = layer.format.network
    cores = [ops.convert_to_numpy(core) for core in layer.cores]
    kept = kept_entries(network, cores, threshold)
    ranks = tuple(len(kept[label]) for label, _ in network.bonds)
    if ranks == layer.format.rank:
        return None
    format = layer.format.with_rank(ranks)
    fewer = [
        _picked(core, labels, kept)
        for core, labels in zip(cores, network.cores, strict=True)
    ]
    before = Decomposition(layer.format, cores, 0.0).to_dense()
    error = relative_error(before, format.network, fewer)
    return Decomposition(format, fewer, error)


def kept_entries(
    network: TensorNetwork, cores, threshold: float
) -> dict[str, np.ndarray]:
    """Numbers of the entries of every bond that are worth keeping.

    Args:
        network: The network that the cores belong to.
        cores: One array per core.
        threshold: Share of the heaviest entry's weight.
    """
    kept = {}
    for label, size in network.bonds:
        weights = np.ones(size)
        for labels, core in zip(network.cores, cores, strict=True):
            if label in labels:
                axis = labels.index(label)
                rows = np.moveaxis(core, axis, 0).reshape(size, -1)
                weights *= np.linalg.norm(rows.astype("float64"), axis=1)
        entries = np.flatnonzero(weights > threshold * weights.max())
        kept[label] = entries if len(entries) else np.array([0])
    return kept


def _picked(core, labels, kept) -> np.ndarray:
    for axis, label in enumerate(labels):
        if label in kept:
            core = core.take(kept[label], axis=axis)
    return core


def _row(layer, pruned: Decomposition) -> LayerRow:
    before = layer.count_params()
    format = pruned.format
    return LayerRow(
        path_of(layer),
        type(layer).__name__,
        REPLACED,
        "",
        before,
        before - layer.format.num_params + format.num_params,
        format.name,
        format.describe_modes(),
        format.rank,
        pruned.relative_error,
    )


def _twin(layer, found) -> FactorizedLayer:
    """The unbuilt layer of the same kind with the ranks that are left."""
    config = surgery.config_of(layer)
    format = found[id(layer)].format
    if "format" in config:
        config["format"] = format.to_config()
    else:
        config["rank"] = format.rank
    return type(layer).from_config(config)


def _fill(twin, layer, found) -> None:
    twin.set_cores(found[id(layer)].cores)
    pairs = zip(twin.core_variables, layer.core_variables, strict=True)
    for ours, theirs in pairs:
        ours.trainable = theirs.trainable
    if layer.bias is not None:
        twin.bias.assign(ops.convert_to_numpy(layer.bias))
        twin.bias.trainable = layer.bias.trainable
