"""Pruning of ranks: bond entries that carry next to nothing are removed."""

from __future__ import annotations

import numpy as np

from tensornet_keras import surgery, validation
from tensornet_keras.conversion import reranking
from tensornet_keras.conversion.factorization import Factorization, together
from tensornet_keras.conversion.report import LayerRow, Report
from tensornet_keras.conversion.selection import Filters, path_of, selected
from tensornet_keras.decomposition import Decomposition
from tensornet_keras.decomposition.legs import relative_error
from tensornet_keras.layers import FactorizedLayer
from tensornet_keras.network import TensorNetwork
from tensornet_keras.surgery import twins


def prune(model, threshold: float = 1e-2, *, filters: Filters = None):
    """A copy of a model whose layers have lost their idle bond entries.

    An entry of a bond weighs the product of the norms of what it picks of
    each core on that bond. Entries that weigh less than a share of the
    heaviest one are removed. A `rank_penalty` in
    training empties entries; this removes them. The source model is not
    changed.

    Args:
        model: A built model with factorized layers.
        threshold: Share of the heaviest entry's weight, in [0, 1), below
            which an entry is removed. 0 removes what is exactly zero.
        filters: Which layers to prune, as in `convert`.

    Returns:
        The pruned model, and a `Report` whose relative errors are with
        respect to the kernels as they were.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If the model is not built, a filter
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
        outcome = (
            _outcome(layer, threshold) if id(layer) in chosen else "filter"
        )
        if isinstance(outcome, str):
            rows.append(LayerRow.kept(path_of(layer), layer, outcome))
        else:
            found[id(layer)] = outcome
            rows.append(_row(layer, outcome))

    def twin_of(layer):
        if id(layer) not in found:
            return None
        return reranking.twin(layer, found[id(layer)].formats)

    small = surgery.copy_with(
        model,
        twin_of,
        lambda twin, layer: _fill(twin, layer, found[id(layer)]),
    )
    report = Report(
        model.name, tuple(rows), model.count_params(), small.count_params()
    )
    return small, report


def _outcome(layer, threshold: float) -> Factorization | str:
    """The layer's cores without idle entries, or why they stay."""
    if not isinstance(layer, FactorizedLayer) and not twins.is_factorized(
        layer
    ):
        return "kind"
    if layer.quantization_mode is not None:
        return "quantized"
    kernels = twins.factorized_kernels(layer)
    if any(kernel.lora_enabled for kernel in kernels):
        return "LoRA"
    if not all(
        np.isfinite(core).all()
        for kernel in kernels
        for core in reranking.cores_of(kernel)
    ):
        return "not finite"
    parts = tuple(_pruned(kernel, threshold) for kernel in kernels)
    if all(
        part.format == kernel.format
        for part, kernel in zip(parts, kernels, strict=True)
    ):
        return "no idle rank"
    return together(parts, [reranking.dense_of(kernel) for kernel in kernels])


def _pruned(kernel, threshold: float) -> Decomposition:
    """The cores of one kernel without idle entries."""
    network = kernel.format.network
    cores = reranking.cores_of(kernel)
    kept = kept_entries(network, cores, threshold)
    format = kernel.format.with_rank(
        tuple(len(kept[label]) for label, _ in network.bonds)
    )
    fewer = [
        _picked(core, labels, kept)
        for core, labels in zip(cores, network.cores, strict=True)
    ]
    error = relative_error(reranking.dense_of(kernel), format.network, fewer)
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
        # A kernel that is zero has no entries that matter more than others.
        kept[label] = entries if len(entries) else np.arange(size)
    return kept


def _picked(core, labels, kept) -> np.ndarray:
    for axis, label in enumerate(labels):
        if label in kept:
            core = core.take(kept[label], axis=axis)
    return core


def _row(layer, pruned: Factorization) -> LayerRow:
    saved = sum(
        kernel.format.num_params - format.num_params
        for kernel, format in zip(
            twins.factorized_kernels(layer), pruned.formats, strict=True
        )
    )
    return reranking.row(layer, pruned, layer.count_params() - saved)


def _fill(twin, layer, found: Factorization) -> None:
    reranking.fill(twin, layer, found.cores)
    for new, old in zip(
        twins.factorized_kernels(twin),
        twins.factorized_kernels(layer),
        strict=True,
    ):
        pairs = zip(new.core_variables, old.core_variables, strict=True)
        for ours, theirs in pairs:
            ours.trainable = theirs.trainable
