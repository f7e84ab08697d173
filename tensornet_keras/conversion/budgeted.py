"""The budget phase: formats of all layers before any of them is fitted."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tensornet_keras import surgery
from tensornet_keras.conversion import choosing, fitting, rules
from tensornet_keras.conversion.costs import flops_of
from tensornet_keras.conversion.factorization import Factorization, factorize
from tensornet_keras.conversion.job import Job
from tensornet_keras.conversion.latency import Latency
from tensornet_keras.conversion.progress import ConversionProgress
from tensornet_keras.conversion.selection import path_of
from tensornet_keras.conversion.sensitivity import Evaluations, Sensitivity

NO_FORMAT = "no format"
NO_GAIN = "no gain in parameters"
DENSE = "dense within the budget"


@dataclass(frozen=True, eq=False)
class Budgeted:
    """What a budget was spent on.

    Args:
        given: The bound formats of each layer's kernels, or why it stays, by
            the ids of the layers; empty without a budget.
        sensitivity: The scores by which layers were weighed, or `None`.
        latency: The share of the original's time that was measured, or
            `None`.
    """

    given: Mapping[int, tuple | str] = field(default_factory=dict)
    sensitivity: Sensitivity | None = None
    latency: float | None = None


@contextlib.contextmanager
def naming(layer) -> Iterator[None]:
    """Context in which errors name a layer.

    Args:
        layer: The layer.
    """
    try:
        yield
    except (TypeError, ValueError) as problem:
        raise type(problem)(
            f"Layer {path_of(layer)!r}: {problem} "
            "Or leave the layer out with filters=."
        ) from problem


def budgeted(
    job: Job, layers: Sequence, progress: ConversionProgress
) -> Budgeted:
    """Spends the budget of a conversion over its layers, if it has one.

    Args:
        job: What was asked for.
        layers: The layers that can be factorized, in order.
        progress: The progress bar.

    Raises:
        ValueError: If nothing keeps to the budget.
        EvaluationError: If an evaluation fails.
    """
    if job.wish.target.budget is None:
        return Budgeted()
    moments = {}
    if job.calibration is not None:
        moments = job.calibration.source_moments(filter(job.fits, layers))
    scores = _evaluations(job)
    name, share = job.wish.target.budget
    flops = None
    if name == "flops":
        flops = flops_of(job.model, job.drawn_from())
    options, reasons, fixed = [], [], set()
    for layer in layers:
        own = moments.get(id(layer))
        with progress.over(layer), naming(layer):
            formats = job.formats_for(layer)
            cost = None if flops is None else functools.partial(flops, layer)
            found = _options(job, layer, formats, own)
            # What a size says of time differs from format to format.
            kinds = choosing.by_kind(found) if name == "latency" else [found]
            found = [
                each
                for kind in kinds
                for each in choosing.efficient(kind, job.min_compression, cost)
            ]
        if formats and all(format.rank is not None for format in formats):
            # It was asked for, whatever it costs.
            fixed.add(id(layer))
        elif scores is not None:
            # By falling error, of which some are scored and both ends.
            found.sort(key=lambda option: -option[0])
            found = scores.weighed(
                layer, found, _approximating(job, layer, own)
            )
        options.append(found)
        reasons.append(DENSE if found else NO_GAIN)
        if not formats:
            reasons[-1] = NO_FORMAT
    latency = None
    if name == "latency":
        timed = Latency(job.model, job.sample, fixed)
        chosen, latency = timed.chosen(layers, options, share)
    else:
        chosen = choosing.within_budget(
            layers, options, share, name, flops or choosing.parameters, fixed
        )
    given = {
        id(layer): bound or reason
        for layer, bound, reason in zip(layers, chosen, reasons, strict=True)
    }
    return Budgeted(given, None if scores is None else scores.table, latency)


def _options(job: Job, layer, formats, moments: tuple | None):
    """What a layer may become, with the loss that a budget weighs.

    With calibration data that is the squared error of the outputs, else that
    of the kernels.
    """
    if moments is None:
        kernels = rules.kernels_of(layer)
        return choosing.options_of(kernels, formats, seed=job.seed)
    return fitting.options_of(layer, formats, moments, seed=job.seed)


def _evaluations(job: Job) -> Evaluations | None:
    """The copy in which layers are approximated one by one."""
    if job.evaluate is None:
        return None
    copy = surgery.copy_of(job.model)
    pairs = zip(
        surgery.leaf_layers(job.model), surgery.leaf_layers(copy), strict=True
    )
    twins = {id(layer): twin for layer, twin in pairs}
    return Evaluations(copy, lambda layer: twins[id(layer)], job.evaluate)


def _approximating(job: Job, layer, moments: tuple | None):
    """A function from bound formats to what would stand for the kernels."""

    def approximated(bound: tuple) -> Factorization:
        if moments is not None:
            return fitting.fitted(layer, moments, bound, seed=job.seed)
        return factorize(
            rules.kernels_of(layer),
            bound,
            None,
            search_modes=False,
            seed=job.seed,
        )

    return approximated
