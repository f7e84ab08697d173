"""Times the best plans of every factorized layer, and keeps the winners."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable

import keras
from rich.console import Console
from rich.progress import track

from tensornet_keras import validation
from tensornet_keras.contraction import devices, store
from tensornet_keras.contraction.measure import measure, shortlist
from tensornet_keras.contraction.plan import INFERENCE, TRAINING, Plan
from tensornet_keras.contraction.trees import as_order
from tensornet_keras.deployment.tuning_report import (
    Timing,
    TuningReport,
    TuningRow,
)
from tensornet_keras.deployment.tuning_shapes import (
    TuningShape,
    has_rivals,
    shape_of,
    ways_of,
)
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.recurrent_cells import FactorizedCell

BOTH = "both"
# Plans timed per shape, besides the fastest of them in parts of the batch.
CANDIDATES = 5


def autotune(
    model,
    batch_size: int | Iterable[int] = 32,
    mode: str = INFERENCE,
    *,
    candidates: int = CANDIDATES,
    again: bool = False,
) -> TuningReport:
    """Times the best plans of every factorized layer and keeps the winners.

    The cost model ranks the plans of a layer; the first few of them are run
    on the device, in turns. Layers of the same shape are timed once. The
    fastest plan is written into the layer, and is saved with the model: a
    layer takes it wherever the device, the backend, the type and the mode are
    these, for batch sizes up to the next power of two; of several sizes up to
    the same one, the plan with the least worst ratio to the best is kept. A
    batch that is not known when the model is compiled, as in `fit` and
    `predict` on TensorFlow, branches: sizes that were timed take what won,
    others what is predicted. An axis besides the batch that the model leaves
    open is taken for 32. All times are kept in the user's cache folder,
    so that the same shapes need not be timed again.

    Args:
        model: A built Keras model.
        batch_size: Number of examples, or several such numbers.
        mode: `"inference"` for the forward pass, `"training"` for forward and
            backward, or `"both"`.
        candidates: How many plans to time per shape.
        again: Whether to time what the cache folder holds already.

    Returns:
        A `TuningReport`. Print it to see predicted and measured times.

    Raises:
        TypeError: If `model` is no Keras model.
        ValueError: If the model is not built or has no factorized layer, the
            mode is unknown, or a number is below 1.

    Example:
        >>> import keras
        >>> import tensornet_keras as tk
        >>> format = tk.formats.TensorTrain(rank=2)
        >>> model = keras.Sequential(
        ...     [keras.Input((64,)), tk.layers.FactorizedDense(27, format)]
        ... )
        >>> report = tk.autotune(model, batch_size=8)
        >>> len(report.rows), report.rows[0].speed_up >= 1
        (1, True)
    """
    layers = _factorized_layers(model)
    sizes = _batch_sizes(batch_size)
    choices = (INFERENCE, TRAINING, BOTH)
    mode = validation.one_of(mode, choices, "mode")
    candidates = validation.positive_integer(candidates, "candidates")
    again = validation.boolean(again, "again")
    modes = (INFERENCE, TRAINING) if mode == BOTH else (mode,)
    xla = bool(model.compiled and model.jit_compile)
    shapes, skipped = _shapes(layers, sizes, modes, xla)
    skipped |= _states(model)
    console = Console(stderr=True)
    found = [
        (shape, *_timed(shape, candidates, again))
        for shape in track(
            shapes,
            "Timing plans",
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    ]
    kept = _keep(shapes, {shape: timings for shape, timings, _ in found})
    rows = [
        TuningRow(
            tuple(map(_path, shapes[shape])),
            shape.key,
            timings,
            stored,
            shape.plan.batch,
            kept[shape],
        )
        for shape, timings, stored in found
    ]
    _forget_compiled(model)
    foreign = [
        (_path(layer), key)
        for layer in layers
        for key in layer.tuned_plans
        if not devices.is_of_this_device(key)
    ]
    return TuningReport(
        model.name, tuple(rows), tuple(skipped.items()), tuple(foreign)
    )


def _factorized_layers(model) -> list[FactorizedLayer]:
    """The layers that have plans, or an error."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "A Keras model is needed. "
            f"Received: model={model!r} of type {type(model).__name__}. "
            "Pass a keras.Model; a layer alone fits into a Sequential."
        )
    if not model.built:
        raise ValueError(
            "A model is autotuned once it is built. "
            f"Received: model {model.name!r}, which is not. "
            "Give it an Input, or call it on data first."
        )
    inside = _states(model)
    layers = [
        layer
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, FactorizedLayer)
        and layer.built
        and _path(layer) not in inside
    ]
    if not layers:
        raise ValueError(
            "A model to autotune has a factorized layer. "
            f"Received: model {model.name!r}, which has none. "
            "Make one with `convert`, or build it of `tk.layers`."
        )
    return layers


def _states(model) -> dict[str, str]:
    """Paths of the kernels that a state meets, and why they are left out."""
    return {
        _path(layer.state_kernel): "in a loop, whose plan is predicted"
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, FactorizedCell)
    }


def _batch_sizes(batch_size) -> list[int]:
    several = isinstance(batch_size, Iterable) and not isinstance(
        batch_size, str
    )
    sizes = list(batch_size) if several else [batch_size]
    if not sizes:
        raise ValueError(
            "`batch_size` must name at least one size. "
            f"Received: batch_size={batch_size!r}. Pass for example 32."
        )
    sizes = [validation.positive_integer(n, "batch_size") for n in sizes]
    return sorted(set(sizes))


def _shapes(layers, sizes, modes, xla):
    """The layers of every shape to time, and why others are left out."""
    shapes: dict[TuningShape, list] = {}
    skipped = {}
    for layer in layers:
        if getattr(layer, "groups", 1) > 1:
            skipped[_path(layer)] = "groups leave only one plan"
            continue
        told = itertools.product(modes, sizes, ways_of(layer))
        of_layer = [
            shape_of(layer, size, mode, xla, w) for mode, size, w in told
        ]
        tried = [x for x in dict.fromkeys(of_layer) if has_rivals(x)]
        for shape in tried:
            shapes.setdefault(shape, []).append(layer)
        if not tried:
            skipped[_path(layer)] = "one plan is far ahead of all others"
    return shapes, skipped


def _timed(
    shape: TuningShape, candidates, again
) -> tuple[tuple[Timing, ...], bool]:
    """The times of the best plans, and whether they were stored."""
    plans = shortlist(shape.plan, candidates, shape.max_memory)
    if not again:
        kept = store.load(shape.store_key, _parse)
        if kept and {_name(one) for one in kept} == {_name(p) for p in plans}:
            return kept, True
    seconds = measure(plans, shape.dtype, shape.convolution, xla=shape.xla)
    timings = tuple(
        Timing(plan.title, plan.order, plan.tiles, plan.seconds, measured)
        for plan, measured in zip(plans, seconds, strict=True)
    )
    store.save(shape.store_key, [dataclasses.asdict(one) for one in timings])
    return timings, False


def _name(plan: Plan | Timing) -> tuple:
    """What tells the plans of one shape apart."""
    return plan.order, plan.tiles


def _parse(data) -> tuple[Timing, ...]:
    """Times as the cache folder holds them."""
    return tuple(
        Timing(
            str(one["title"]),
            as_order(one["order"]),
            validation.positive_integer(one["tiles"], "tiles"),
            float(one["predicted"]),
            float(one["measured"]),
        )
        for one in data
    )


def _keep(shapes, timings) -> dict:
    """Writes the winners into the layers; what a layer of a shape keeps."""
    named: dict[tuple, list] = {}
    for shape, layers in shapes.items():
        for layer in layers:
            named.setdefault((id(layer), shape.key), []).append((layer, shape))
    kept = {}
    for (_, key), found in named.items():
        won = _best_over_all([timings[shape] for _, shape in found])
        found[0][0].tuned_plans[key] = _entry(won)
        kept |= {shape: _name(won) for _, shape in found}
    return kept


def _best_over_all(sizes: list[tuple[Timing, ...]]) -> Timing:
    """The plan of the least worst ratio to the best, over batch sizes.

    Where none was timed at all of them, the best at the largest.
    """
    ratios: dict[tuple, list[float]] = {}
    for timings in sizes:
        best = min(timing.measured for timing in timings)
        for timing in timings:
            ratio = timing.measured / best
            ratios.setdefault(_name(timing), []).append(ratio)
    common = {
        name: max(found)
        for name, found in ratios.items()
        if len(found) == len(sizes)
    }
    timed = [one for one in sizes[-1] if _name(one) in common]
    if not timed:
        return min(sizes[-1], key=lambda one: one.measured)
    return min(timed, key=lambda one: common[_name(one)])


def _entry(timing: Timing) -> dict:
    return {"order": timing.order, "tiles": timing.tiles}


def _forget_compiled(model) -> None:
    """Lets `fit`, `evaluate` and `predict` be compiled with the new plans."""
    for name in ("train_function", "test_function", "predict_function"):
        if hasattr(model, name):
            setattr(model, name, None)


def _path(layer) -> str:
    return layer.path or layer.name
