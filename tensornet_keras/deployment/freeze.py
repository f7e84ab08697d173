"""Freezing: what can be done among the weights is done once, for good."""

from __future__ import annotations

import json

import rich.console
import rich.progress

from tensornet_keras import surgery, validation
from tensornet_keras.deployment import freezable
from tensornet_keras.deployment.choosing import decide
from tensornet_keras.deployment.freeze_report import FreezeReport, FrozenRow
from tensornet_keras.deployment.options import OBJECTIVES, Decision, Wish
from tensornet_keras.surgery import twins


def freeze(
    model,
    batch_size: int | None = None,
    objective: str = "latency",
    *,
    max_memory: int | None = None,
    measure: bool = True,
    return_report: bool = False,
):
    """A copy of a model for inference, its cores merged once and for all.

    A factorized layer merges some of its cores, or all of them to the dense
    kernel, in every call. In the copy that is done: each layer holds what the
    input meets, in the order and layout in which it is met, or is the plain
    Keras layer with the dense kernel where nothing is faster. The outputs are
    those of the source model, which is not changed. Freeze, then `export`,
    is the way to deploy a model.

    The copy is not trainable (`trainable` is `False`, and the switches of
    training are gone), predicts as the source does, has the source's losses
    and metrics but no penalties of weights, and saves and loads like any
    model. Every factorized layer of every format is
    frozen; `MPSLayer`, layers inside wrappers, and subclasses of ours are
    copied as they are.

    Args:
        model: A built Sequential or Functional model.
        batch_size: Batch size that the copy is for; others work too. `None`
            is for all from 1 to 1024: what counts is the worst ratio to the
            fastest.
        objective: `"latency"`: the fastest, timed here, and the dense kernel
            where nothing is clearly faster. `"size"`: the fewest stored
            numbers. `"memory"`: the fewest bytes that a layer holds while it
            runs, weights and intermediates together.
        max_memory: Most bytes that a single layer may hold while it runs,
            beyond its input and output: its weights and what it computes in
            between, by the plan, which cuts the batch into parts if need be.
            For an unknown batch they are those of 1024 examples. `None` sets
            no limit but the layers' own `max_memory`, which hold in any case:
            as there, the cores do not count, but what they are merged into
            does.
        measure: Whether the few best candidates and the dense kernel of every
            distinct layer are timed on this device, for the objective
            `"latency"`. `False` trusts the predictions.
        return_report: Whether a report is returned too.

    Returns:
        The frozen model; with `return_report` a pair of it and a
        `FreezeReport` that prints as a table.

    Raises:
        TypeError: If the model is no Keras model, or an argument is of
            another type.
        ValueError: If the model is not built, `batch_size`
            is below 1 or not the one that the model fixes, the objective is
            unknown, or nothing keeps to `max_memory`.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> model = keras.Sequential(
    ...     [keras.Input((784,)), tk.layers.TTDense(625, rank=4)]
    ... )
    >>> fast, report = tk.freeze(
    ...     model, batch_size=1, objective="size", return_report=True
    ... )
    >>> fast.count_params() == model.count_params(), fast.trainable
    (True, False)
    """
    surgery.check_model(model)
    if batch_size is not None:
        batch_size = validation.positive_integer(batch_size, "batch_size")
        _check_batch(model, batch_size)
    validation.one_of(objective, OBJECTIVES, "objective")
    if max_memory is not None:
        max_memory = validation.positive_integer(max_memory, "max_memory")
    validation.boolean(measure, "measure")
    xla = bool(model.compiled and model.jit_compile)
    wish = Wish(objective, max_memory, measure, xla)
    validation.boolean(return_report, "return_report")
    found = _decisions(model, batch_size, wish)
    frozen = _with_frozen(model, found)
    if not return_report:
        return frozen
    rows = [
        _row(layer, found.get(id(layer)))
        for layer in surgery.leaf_layers(model)
        if freezable.obstacle(layer) != ""
    ]
    return frozen, FreezeReport(
        model.name,
        batch_size,
        objective,
        tuple(rows),
        model.count_params(),
        frozen.count_params(),
    )


def _check_batch(model, batch_size: int) -> None:
    """Refuses a batch size that the model does not take."""
    for tensor in getattr(model, "inputs", None) or ():
        if tensor.shape[0] not in (None, batch_size):
            raise ValueError(
                "The batch size must be the one that the model fixes. "
                f"Received: batch_size={batch_size}, and input "
                f"{tensor.name!r} of shape {tuple(tensor.shape)}. "
                f"Pass batch_size={tensor.shape[0]}, or leave it out."
            )


def _decisions(model, batch_size, wish: Wish) -> dict[int, Decision]:
    """What becomes of each layer, by its id; equal layers share it."""
    layers = [
        layer
        for layer in surgery.leaf_layers(model)
        if freezable.obstacle(layer) is None
    ]
    console = rich.console.Console(stderr=True)
    known, found = {}, {}
    for layer in rich.progress.track(
        layers,
        description="Freezing",
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ):
        key = _key(layer, batch_size)
        if key not in known:
            known[key] = decide(layer, batch_size, wish)
        found[id(layer)] = known[key]
    return found


def _key(layer, batch_size) -> str:
    """What two layers have in common that become the same."""
    config = {k: v for k, v in layer.get_config().items() if k != "name"}
    shape = freezable.planned_shape(layer, batch_size)
    kind = type(layer).__name__
    return json.dumps([kind, shape, config], sort_keys=True, default=str)


def _with_frozen(model, found: dict[int, Decision]):
    """The copy in which the layers have become what was decided."""

    def twin_of(layer):
        decision = found.get(id(layer))
        if decision is None:
            return None
        return freezable.frozen_twin(layer, decision.option.kernels)

    def fill(twin, layer):
        freezable.fill(twin, layer, found[id(layer)].option.kernels)

    frozen = surgery.copy_with(model, twin_of, fill)
    frozen.trainable = False
    return frozen


def _row(layer, decision: Decision | None) -> FrozenRow:
    path, kind = layer.path or layer.name, type(layer).__name__
    before = layer.count_params()
    if decision is None:
        became = f"as it is: {freezable.obstacle(layer)}"
        return FrozenRow(path, kind, became, before, before)
    option, batch = decision.option, decision.batch
    kernels = twins.factorized_kernels(layer)
    saved = sum(each.format.num_params for each in kernels) - option.numbers
    return FrozenRow(
        path,
        kind,
        ", ".join(
            _became(each, kernel)
            for each, kernel in zip(option.kernels, kernels, strict=True)
        ),
        before,
        before - saved,
        batch,
        option.seconds_at(batch) * 1e3,
        decision.dense.seconds_at(batch) * 1e3,
        _milliseconds(decision.seconds),
        _milliseconds(decision.dense_seconds),
    )


def _became(candidate, kernel) -> str:
    if candidate.is_dense:
        return "dense"
    cores = len(kernel.format.core_shapes)
    if candidate.is_source:
        return f"{cores} cores as they are"
    return f"{len(candidate.format.cores)} of {cores} cores"


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
