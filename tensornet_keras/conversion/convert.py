"""The door of conversion: a trained model in, a smaller one out."""

from __future__ import annotations

from tensornet_keras import formats, surgery, validation
from tensornet_keras.conversion import rules
from tensornet_keras.conversion.factorization import (
    Factorization,
    compression,
    factorize,
)
from tensornet_keras.conversion.progress import ConversionProgress
from tensornet_keras.conversion.report import LayerRow, Report
from tensornet_keras.conversion.selection import (
    Filters,
    FormatOf,
    format_of,
    is_function,
    path_of,
    selected,
    targeted,
)
from tensornet_keras.formats import Format
from tensornet_keras.formats.format import ShareTooSmall
from tensornet_keras.layers.initializers import without_drawing
from tensornet_keras.surgery import twins


def convert(
    model,
    format: Format | str | dict | FormatOf,
    *,
    filters: Filters = None,
    error: float | None = None,
    min_compression: float = 1.0,
    search_modes: bool = False,
    seed: int = 0,
):
    """A smaller copy of a trained model, with factorized layers.

    Every `Dense`, `EinsumDense`, `Embedding`, `LSTM`, `GRU` and `Conv1D` to
    `Conv3D` layer that the filters let through is decomposed and replaced by
    its factorized twin of the same name; everything else is copied with its
    weights. The source model is not changed and shares no weight with the
    result. Nested models are entered, a shared layer stays shared, and the
    compile settings are carried over with a fresh optimizer.

    Args:
        model: A built Sequential or Functional model.
        format: The format of the kernels: a `Format` such as
            `TensorTrain(rank=8)`, a catalog name or a format's dict; or a
            function that is called with every layer that can be factorized
            and returns one of these, or `None` to keep the layer.
        filters: Which layers to convert: a regular expression searched for
            in `layer.path`, a list of them, or a function of the layer.
            `None` is all layers.
        error: Relative error that each kernel may reach, in [0, 1), with a
            format that has no rank. `None` leaves the ranks to the format.
        min_compression: A layer whose kernel has fewer than this many times
            the parameters of its cores stays as it is. `0` replaces every
            layer it can.
        search_modes: Whether every kernel chooses among a handful of splits
            into modes, as in `decompose`.
        seed: Seed of what a decomposition draws at random.

    Returns:
        The converted model, and a `Report` that prints as a table.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If the model is not built or is subclassed, a filter
            matches nothing, a kernel is not finite, the format does not fit
            a layer, or both or neither of a rank and an error are given.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> model = keras.Sequential(
    ...     [keras.Input((784,)), keras.layers.Dense(625), keras.layers.ReLU()]
    ... )
    >>> small, report = tk.convert(model, tk.formats.TensorTrain(rank=8))
    >>> report.params_before, report.params_after
    (490625, 4585)
    """
    surgery.check_model(model)
    if not is_function(format):
        format = targeted(formats.get(format), error)
    validation.non_negative(min_compression, "min_compression")
    layers = list(surgery.leaf_layers(model))
    chosen = selected(layers, filters)
    outcomes = dict.fromkeys(map(id, layers), "filter")
    how = {"search_modes": search_modes, "seed": seed}
    with ConversionProgress(chosen) as progress:
        for layer in chosen:
            with progress.over(layer):
                outcomes[id(layer)] = _outcome(
                    layer, format, error, min_compression, how
                )
    found = {
        key: outcome
        for key, outcome in outcomes.items()
        if isinstance(outcome, Factorization)
    }
    small = _with_twins(model, found)
    report = Report(
        model.name,
        tuple(_row(layer, outcomes[id(layer)]) for layer in layers),
        model.count_params(),
        small.count_params(),
    )
    return small, report


def convert_layer(
    layer,
    format: Format | str | dict,
    error: float | None = None,
    *,
    search_modes: bool = False,
    seed: int = 0,
):
    """The factorized twin of one trained layer.

    Args:
        layer: A built `Dense`, `EinsumDense`, `Embedding`, `LSTM`, `GRU` or
            `Conv1D` to `Conv3D` layer.
        format: The format of its kernel, or of both.
        error: Relative error that the kernel may reach, in [0, 1), with a
            format that has no rank. `None` leaves the ranks to the format.
        search_modes: Whether the kernel chooses among a handful of splits
            into modes, as in `decompose`.
        seed: Seed of what a decomposition draws at random.

    Returns:
        A built factorized layer of the same name, with weights of its own.

    Raises:
        ValueError: If the layer cannot be factorized, its kernel is not
            finite, or both or neither of a rank and an error are given.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = keras.layers.Dense(64)
    >>> layer.build((None, 64))
    >>> twin = tk.convert_layer(layer, tk.formats.TensorTrain(), error=0.5)
    >>> type(twin).__name__, tuple(twin.kernel.shape)
    ('FactorizedDense', (64, 64))
    """
    obstacle = rules.obstacle(layer)
    if obstacle is not None:
        raise ValueError(
            "A layer must be one that can be factorized. "
            f"Received: layer={getattr(layer, 'name', layer)!r}, a "
            f"{type(layer).__name__} ({obstacle.reason}). {obstacle.advice}"
        )
    format = targeted(formats.get(format), error)
    result = factorize(
        rules.kernels_of(layer),
        format,
        error,
        search_modes=search_modes,
        seed=seed,
    )
    twin = rules.twin(layer, result.formats)
    with without_drawing():
        twin.build(layer.get_build_config()["input_shape"])
    rules.fill(twin, layer, result.cores)
    return twin


def densify(model):
    """A copy of a model with ordinary Keras layers for the factorized ones.

    The copy computes the same function: each kernel is contracted from its
    cores. The source model is not changed.

    Args:
        model: A built Sequential or Functional model.

    Returns:
        The model with ordinary layers. Layers of ours that stand for no
        Keras layer stay.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If it is not built, or subclassed.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> model = keras.Sequential(
    ...     [keras.Input((64,)), tk.layers.TTDense(64, rank=4)]
    ... )
    >>> type(tk.densify(model).layers[0]).__name__
    'Dense'
    """

    def twin_of(layer):
        if twins.is_factorized(layer):
            return twins.dense_twin(layer)
        return None

    return surgery.copy_with(model, twin_of, twins.fill_dense)


def _outcome(layer, format, error, min_compression, how) -> Factorization | str:
    """What stands for a layer's kernels, or why there is none."""
    obstacle = rules.obstacle(layer)
    if obstacle is not None:
        return obstacle.reason
    try:
        own = format_of(layer, format, error)
        if own is None:
            return "no format"
        return _decomposed(layer, own, error, min_compression, how)
    except ShareTooSmall:
        return "rank 1 exceeds the share"
    except (TypeError, ValueError) as problem:
        raise type(problem)(
            f"Layer {path_of(layer)!r}: {problem} "
            "Or leave the layer out with filters=."
        ) from problem


def _decomposed(layer, format, error, min_compression, how):
    kernels = rules.kernels_of(layer)
    if format.rank not in (None, "vbmf"):
        # Known before the work of decomposing is done.
        reached = compression([kernel.bound(format) for kernel in kernels])
        if reached < min_compression:
            return _too_little(reached, min_compression)
    result = factorize(kernels, format, error, **how)
    if error is not None and not result.meets(error):
        return f"error {result.worst:.2g} where {error:g} is allowed"
    reached = compression(result.formats)
    if reached < min_compression:
        return _too_little(reached, min_compression)
    return result


def _too_little(reached: float, min_compression: float) -> str:
    if reached < 1:
        return f"no gain in parameters ({reached:.2f}x)"
    return f"compression {reached:.2f}x, less than {min_compression:g}x"


def _row(layer, outcome: Factorization | str) -> LayerRow:
    """The line of the report."""
    path = path_of(layer)
    if isinstance(outcome, str):
        return LayerRow.kept(path, layer, outcome)
    return LayerRow.replaced(
        path,
        layer,
        outcome.formats,
        outcome.relative_error,
        outcome.converged,
        outcome.cut,
    )


def _with_twins(model, found: dict[int, Factorization]):
    """The copy in which the decomposed layers have their twins."""

    def twin_of(layer):
        if id(layer) not in found:
            return None
        return rules.twin(layer, found[id(layer)].formats)

    def fill(twin, layer):
        rules.fill(twin, layer, found[id(layer)].cores)

    with without_drawing():
        return surgery.copy_with(model, twin_of, fill)
