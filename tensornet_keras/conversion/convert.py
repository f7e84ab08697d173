"""The door of conversion: a trained model in, a smaller one out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from tensornet_keras import formats, surgery, validation
from tensornet_keras.conversion import choosing, rules
from tensornet_keras.conversion.calibration import Calibration
from tensornet_keras.conversion.details import details_of
from tensornet_keras.conversion.factorization import (
    Factorization,
    factorize,
)
from tensornet_keras.conversion.job import Job
from tensornet_keras.conversion.outcomes import outcomes
from tensornet_keras.conversion.progress import ConversionProgress
from tensornet_keras.conversion.report import LayerRow, Report
from tensornet_keras.conversion.selection import (
    Filters,
    FormatOf,
    path_of,
    selected,
    targeted,
)
from tensornet_keras.conversion.targets import Target
from tensornet_keras.conversion.wish import AUTO, Wish
from tensornet_keras.formats import Format
from tensornet_keras.layers.initializers import without_drawing
from tensornet_keras.surgery import twins


def convert(
    model,
    format: Format | str | dict | FormatOf = AUTO,
    *,
    filters: Filters = None,
    error: float | None = None,
    ratio: float | None = None,
    flops: float | None = None,
    latency: float | None = None,
    calibration_data=None,
    evaluate: Callable[[object], float] | None = None,
    sample=None,
    overrides: Mapping[str, Format | str | dict | None] | None = None,
    min_compression: float = 1.0,
    rank_multiple: int = 1,
    search_modes: bool = False,
    seed: int = 0,
):
    """A smaller copy of a trained model, with factorized layers.

    Every `Dense`, `EinsumDense`, `Embedding`, `LSTM`, `GRU` and `Conv1D` to
    `Conv3D` layer that the filters let through is decomposed and replaced by
    its factorized twin of the same name; everything else is copied with its
    weights; with `calibration_data`, batch normalizations may get others. The
    source model is not changed and shares no weight with the result. What owns
    layers is entered (nested and subclassed models, wrappers, attention, custom
    layers), a shared layer stays shared, and the compile settings are carried
    over with a fresh optimizer.

    Args:
        model: A built model: Sequential, Functional or subclassed.
        format: The format of the kernels: a `Format` such as
            `TensorTrain(rank=8)`, a catalog name or a format's dict; `"auto"`
            to choose for every layer what is the smallest within `error`, or
            misses least within a budget, among low rank, tensor trains,
            Tucker, block trains and Kronecker products for matrices, and low
            rank in its three splits, Tucker and tensor trains with the
            channels outside for convolutions; or a
            function that is called with every layer that can be factorized
            and returns one of these, or `None` to keep the layer.
        filters: Which layers to convert: a regular expression searched for
            in `layer.path`, a list of them, or a function of the layer.
            `None` is all layers.
        error: Relative error that each kernel may reach, in [0, 1), with a
            format that has no rank; with `calibration_data` that of a layer's
            outputs from inputs like those that it will really get. `None`
            leaves the ranks to the format.
        ratio: Budget over all selected layers that can be factorized: the
            numbers in their cores, or in the kernels of those that stay, over
            those in all their kernels, in (0, 1]. With a format that has no
            rank. The ranks are those at which the squared relative errors of
            the kernels add up to the least, by their singular values.
        flops: The same for the multiply-adds of one example, by the plans of
            the layers.
        latency: The time that the whole model takes when it is frozen, over
            that of the source, in (0, 1]: predicted for each layer, measured
            for all together on this machine, and corrected until it is met.
        calibration_data: Examples without labels, a few hundred of them: an
            array or arrays as the model takes them, or an iterable of batches
            (`tf.data`, a generator, a `PyDataset`), whose labels are left
            aside. Layers are then solved front to back: each comes as close
            to the source's outputs as it can from the inputs that it will
            really get, and its bias gives them their mean; so do layers that
            stay dense behind others, but for those that were left out or are
            frozen. A
            budget weighs what reaches the outputs of the model. Where the
            model has batch normalizations, an eighth of the examples, the
            last, are held back, and the statistics estimated anew if that
            misses less on them; so give them in random order. Grouped
            convolutions and tables that are read both ways are decomposed
            without data.
        evaluate: A function from a model to its score, larger for better, to
            weigh layers within a budget by the score that the model loses
            when one of them is approximated, in place of their errors. It is
            called a few times for every layer, on a copy of the model; the
            report has the table.
        sample: Inputs to time for `latency`, or of the sizes and types to
            count multiply-adds for, as the model takes them; `None` for one
            example that is drawn, or for `flops` of the calibration data.
        overrides: Regular expressions, searched for in `layer.path`, and the
            formats of the layers they find, in place of `format`; `None`
            keeps a layer. One with a rank has it whatever the target, and
            what it costs is of the budget. The first expression that is found
            counts.
        min_compression: A layer whose kernel has fewer than this many times
            the parameters of its cores stays as it is. `0` replaces every
            layer it can.
        rank_multiple: Ranks are multiples of this, as far as bonds carry it,
            in every format that does not say so itself: `"auto"` for example.
        search_modes: Whether every kernel chooses among a handful of splits
            into modes, as in `decompose`.
        seed: Seed of what a decomposition draws at random.

    Returns:
        The converted model, and a `Report` that prints as a table.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If the model is not built, a layer of it has no config
            of all its arguments, a filter
            matches nothing, a kernel is not finite, the format does not fit
            a layer, both or neither of a rank and a target are given, the
            calibration data does not fit the model or is not finite, the
            model keeps states between calls of calibration data, or
            nothing keeps to a budget: the least that does is named.

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
    target = Target(error, ratio, flops, latency)
    target.check(evaluate, sample)
    wish = Wish(format, overrides, target, rank_multiple)
    validation.non_negative(min_compression, "min_compression")
    layers = list(surgery.leaf_layers(model))
    wish.check(layers)
    chosen = selected(layers, filters)
    calibration = (
        None
        if calibration_data is None
        else Calibration(model, calibration_data)
    )
    tied = surgery.tied_layers(model)
    job = Job(
        model,
        wish,
        min_compression,
        search_modes,
        seed,
        calibration,
        tied,
        evaluate,
        sample,
    )
    became = dict.fromkeys(map(id, layers), "filter")
    concerned = [layer for layer in chosen if job.obstacle(layer) is None]
    with ConversionProgress(concerned, job.rounds) as progress:
        found, spent = outcomes(job, chosen, progress)
    became |= found
    found = {
        key: outcome
        for key, outcome in became.items()
        if isinstance(outcome, Factorization)
    }
    small = _with_twins(model, found)
    normalized = None
    if calibration is not None and found:
        normalized = calibration.settle_statistics()
        calibration.give(small)
    report = Report(
        model.name,
        tuple(_row(layer, became[id(layer)], calibration) for layer in layers),
        model.count_params(),
        small.count_params(),
        functools.partial(details_of, model, small),
        spent.sensitivity,
        spent.latency,
        normalized,
        _share(concerned, became),
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
    format = targeted(formats.get(format), Target(error))
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
        model: A built model.

    Returns:
        The model with ordinary layers. Layers of ours that stand for no
        Keras layer stay.

    Raises:
        TypeError: If the model is no Keras model.
        ValueError: If it is not built.

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


def _row(layer, outcome: Factorization | str, calibration) -> LayerRow:
    """The line of the report."""
    path = path_of(layer)
    if isinstance(outcome, str):
        error = None if calibration is None else calibration.output_error(layer)
        return LayerRow.kept(path, layer, outcome, error)
    return LayerRow.replaced(
        path,
        layer,
        outcome.formats,
        outcome.relative_error,
        outcome.converged,
        outcome.cut,
        outcome.output_error,
    )


def _share(layers, became: Mapping) -> float | None:
    """What stands for the kernels of layers, over their numbers."""
    sizes = [choosing.parameters(layer, None) for layer in layers]
    found = [
        choosing.parameters(layer, outcome.formats)
        if isinstance(outcome, Factorization)
        else size
        for layer, size in zip(layers, sizes, strict=True)
        for outcome in [became[id(layer)]]
    ]
    return sum(found) / sum(sizes) if sum(sizes) else None


def _with_twins(model, found: dict[int, Factorization]):
    """The copy in which the decomposed layers have their twins."""

    def twin_of(layer):
        if id(layer) not in found:
            return None
        return rules.twin(layer, found[id(layer)].formats)

    def fill(twin, layer):
        own = found[id(layer)]
        rules.fill(twin, layer, own.cores, own.bias)

    with without_drawing():
        return surgery.copy_with(model, twin_of, fill)
