"""Merging of adapters: cores that stand for kernel and adapter together."""

from __future__ import annotations

import dataclasses
import math

import keras

from tensornet_keras import backend, surgery, validation
from tensornet_keras.conversion import reranking
from tensornet_keras.conversion.budgeted import naming
from tensornet_keras.conversion.factorization import (
    Factorization,
    Kernel,
    factorize,
)
from tensornet_keras.conversion.report import REPLACED, LayerRow, Report
from tensornet_keras.conversion.selection import Filters, path_of, selected
from tensornet_keras.layers import FactorizedLayer
from tensornet_keras.surgery import twins


def merge(
    model,
    error: float | None = None,
    *,
    filters: Filters = None,
    seed: int = 0,
):
    """A copy of a model whose LoRA adapters are part of the kernels.

    The sum of what cores and adapter stand for is decomposed anew, in the
    format of the cores; ordinary Keras layers add the adapter to the kernel.
    What the adapter held is trainable again. Quantized layers keep theirs, as
    the report says. The source model is not changed.

    Args:
        model: A built model.
        error: Relative error that each kernel may reach, in [0, 1), whatever
            the ranks that it takes; `None` keeps the ranks, at which what is
            lost of the sum is in the report.
        filters: Which layers to merge, as in `convert`.
        seed: As in `decompose`.

    Returns:
        The merged model, and a `Report` whose relative errors are with
        respect to kernel and adapter together.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If the model is not built, a filter matches nothing, or
            the error is out of range.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedDense(64, tk.formats.LowRank(rank=4))
    >>> model = keras.Sequential([keras.Input((64,)), layer])
    >>> layer.enable_lora(2)
    >>> _ = layer.lora_kernel_b.assign(keras.ops.ones((2, 64)))
    >>> merged, report = tk.merge(model, error=1e-6)
    >>> merged.layers[0].lora_enabled, merged.layers[0].format.rank
    (False, (5,))
    """
    surgery.check_model(model)
    if error is not None:
        error = validation.share(error, "error")
    layers = list(surgery.leaf_layers(model))
    chosen = {id(layer) for layer in selected(layers, filters)}
    rows, found = [], {}
    for layer in layers:
        reason = _obstacle(layer) if id(layer) in chosen else "filter"
        if reason:
            rows.append(LayerRow.kept(path_of(layer), layer, reason))
            continue
        with naming(layer):
            own = _merged(layer, error, seed)
        found[id(layer)] = own
        rows.append(_dense_row(layer) if own is None else _row(layer, own))

    def twin_of(layer):
        if id(layer) not in found:
            return None
        own = found[id(layer)]
        if own is None:
            return _without_adapter(layer)
        return reranking.twin(layer, own.formats)

    def fill(twin, layer):
        own = found[id(layer)]
        if own is None:
            _fill_dense(twin, layer)
        else:
            reranking.fill(twin, layer, own.cores)

    merged = surgery.copy_with(model, twin_of, fill)
    report = Report(
        model.name, tuple(rows), model.count_params(), merged.count_params()
    )
    return merged, report


def _obstacle(layer) -> str:
    """Why there is nothing to merge in a layer, or `""`."""
    ours = isinstance(layer, FactorizedLayer)
    if not ours and type(layer) not in twins.TWINS:
        return "kind"
    if not getattr(layer, "lora_enabled", False):
        return "no adapter"
    return "quantized" if layer.quantization_mode is not None else ""


def _merged(layer, error, seed: int) -> Factorization | None:
    """Cores for kernel and adapter together; `None` for a Keras layer."""
    if not isinstance(layer, FactorizedLayer):
        return None
    format = layer.format
    kernel = Kernel(
        reranking.dense_of(layer), (format.input_dims, format.output_dims)
    )
    if error is not None:
        format = dataclasses.replace(
            format, rank=None, input_dims=None, output_dims=None, window=()
        )
    return factorize((kernel,), format, error, search_modes=False, seed=seed)


def _row(layer, own: Factorization) -> LayerRow:
    before = layer.format.num_params + layer.adapter.num_params
    saved = before - own.formats[0].num_params
    return reranking.row(layer, own, layer.count_params() - saved)


def _dense_row(layer) -> LayerRow:
    factors = sum(
        math.prod(variable.shape)
        for variable in layer.variables
        if "lora_" in variable.name
    )
    before = layer.count_params()
    return LayerRow(
        path_of(layer),
        type(layer).__name__,
        REPLACED,
        "",
        before,
        before - factors,
        "dense",
        "",
        (),
        0.0,
        True,
    )


def _without_adapter(layer) -> keras.layers.Layer:
    config = surgery.config_of(layer)
    for name in twins.OF_ADAPTERS:
        config.pop(name, None)
    return type(layer).from_config(config)


def _fill_dense(twin, layer) -> None:
    (ours,), (theirs,) = map(twins.kernel_variables, (twin, layer))
    ours.assign(backend.copied(theirs))
    # A bias, and the other table of an embedding that is not tied.
    named = {variable.name: variable for variable in layer.variables}
    for variable in twin.variables:
        if variable is not ours:
            variable.assign(backend.copied(named[variable.name]))
            variable.trainable = named[variable.name].trainable
    twins.fill_activation(twin, layer)
