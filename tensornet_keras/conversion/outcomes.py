"""Outcomes: what becomes of every layer that a conversion is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tensornet_keras.conversion import (
    choosing,
    fitting,
    layer_inputs,
    rules,
)
from tensornet_keras.conversion.calibration import Calibration, Moments
from tensornet_keras.conversion.costs import flops_of
from tensornet_keras.conversion.factorization import (
    Factorization,
    compression,
    factorize,
)
from tensornet_keras.conversion.progress import ConversionProgress
from tensornet_keras.conversion.selection import path_of
from tensornet_keras.conversion.wish import Wish
from tensornet_keras.formats import Format
from tensornet_keras.formats.format import ShareTooSmall

NO_FORMAT = "no format"
NO_GAIN = "no gain in parameters"
DENSE = "dense within the budget"


@dataclass(frozen=True, eq=False)
class Job:
    """All that a conversion was asked for.

    Args:
        model: The source model.
        wish: Formats and target.
        min_compression: Least ratio of a kernel's numbers to its cores'.
        search_modes: As in `decompose`.
        seed: As in `decompose`.
        calibration: Calibration data with the model and a copy of it, or
            `None`.
        tied: The ids of layers that share a variable with another one.
    """

    model: object
    wish: Wish
    min_compression: float
    search_modes: bool
    seed: int
    calibration: Calibration | None = None
    tied: frozenset[int] = frozenset()

    @property
    def rounds(self) -> int:
        """How often the layers are gone over."""
        return 1 if self.wish.target.budget is None else 2

    def fits(self, layer) -> bool:
        """Whether a layer is fitted to calibration data."""
        if self.calibration is None or layer_inputs.obstacle(layer):
            return False
        return self.calibration.hears(layer)

    def obstacle(self, layer) -> str | None:
        """Why a layer cannot be factorized, in a few words, or `None`."""
        if id(layer) in self.tied:
            return "tied to another layer"
        obstacle = rules.obstacle(layer)
        return None if obstacle is None else obstacle.reason


def outcomes(
    job: Job, layers: Sequence, progress: ConversionProgress
) -> dict[int, Factorization | str]:
    """What stands for the kernels of layers, or why they stay.

    Args:
        job: What was asked for.
        layers: The selected layers, in graph order.
        progress: The progress bar.

    Returns:
        From the ids of the layers.

    Raises:
        ValueError: If a layer cannot be decomposed as asked, or nothing
            keeps to a budget.
    """
    _refuse_search(job)
    found: dict[int, Factorization | str] = {}
    concerned = []
    for layer in layers:
        reason = job.obstacle(layer)
        if reason is None:
            concerned.append(layer)
        else:
            found[id(layer)] = reason
    if job.calibration is not None:
        concerned = job.calibration.in_order(concerned)
    given = _budgeted(job, concerned, progress)
    for layer in concerned:
        with progress.over(layer), _naming(layer):
            found[id(layer)] = _outcome(job, layer, given)
    return found


def _refuse_search(job: Job) -> None:
    """Refuses a search of modes where it would not be heard."""
    if not job.search_modes:
        return
    for where, is_there in (
        ("within a budget", job.wish.target.budget is not None),
        ("on calibration data", job.calibration is not None),
    ):
        if is_there:
            raise ValueError(
                f"Modes are not searched for {where}. "
                "Received: search_modes=True. Leave it out."
            )


@contextlib.contextmanager
def _naming(layer) -> Iterator[None]:
    """Context in which errors name a layer."""
    try:
        yield
    except (TypeError, ValueError) as problem:
        raise type(problem)(
            f"Layer {path_of(layer)!r}: {problem} "
            "Or leave the layer out with filters=."
        ) from problem


def _budgeted(job: Job, layers, progress) -> dict[int, tuple | str]:
    """The formats of each layer's kernels within a budget, or why none.

    Empty without a budget.
    """
    if job.wish.target.budget is None:
        return {}
    moments = {}
    if job.calibration is not None:
        moments = job.calibration.source_moments(filter(job.fits, layers))
    options, reasons = [], []
    for layer in layers:
        with progress.over(layer), _naming(layer):
            formats = _formats_for(job, layer)
            of_layer = _options(job, layer, formats, moments.get(id(layer)))
        options.append(choosing.efficient(of_layer, job.min_compression))
        reasons.append(DENSE if options[-1] else NO_GAIN)
        if not formats:
            reasons[-1] = NO_FORMAT
    name, share = job.wish.target.budget
    cost_of = choosing.parameters if name == "ratio" else flops_of(job.model)
    chosen = choosing.within_budget(layers, options, share, name, cost_of)
    return {
        id(layer): bound or reason
        for layer, bound, reason in zip(layers, chosen, reasons, strict=True)
    }


def _options(job: Job, layer, formats, moments: Moments | None):
    """What a layer may become, with the loss that a budget weighs.

    With calibration data that is the squared error of the outputs, else that
    of the kernels.
    """
    if moments is None:
        kernels = rules.kernels_of(layer)
        return choosing.options_of(kernels, formats, seed=job.seed)
    curve = fitting.options_of(layer, formats, moments, seed=job.seed)
    return [(point.error**2, (point.format,)) for point in curve]


def _formats_for(job: Job, layer) -> tuple[Format, ...]:
    kernels = rules.kernels_of(layer)
    return job.wish.formats_for(layer, kernels[0].array.ndim - 2)


def _outcome(job: Job, layer, given) -> Factorization | str:
    """What stands for a layer's kernels, or why there is none."""
    reason = given.get(id(layer))
    if isinstance(reason, str):
        return reason
    formats = (reason,) if reason else _formats_for(job, layer)
    if not formats:
        return NO_FORMAT
    moments = None
    if job.fits(layer):
        moments = job.calibration.joint_moments(layer)
    try:
        found = [_decomposed(job, layer, each, moments) for each in formats]
    except ShareTooSmall:
        return "rank 1 exceeds the share"
    best = _smallest(found)
    if job.calibration is not None and isinstance(best, Factorization):
        job.calibration.take(layer, best)
    return best


def _smallest(found: list[Factorization | str]) -> Factorization | str:
    """Of several formats the smallest, else why there is none."""
    done = [each for each in found if isinstance(each, Factorization)]
    if not done:
        return found[0]
    return min(
        done,
        key=lambda each: sum(format.num_params for format in each.formats),
    )


def _decomposed(
    job: Job, layer, format: Format | tuple[Format, ...], moments
) -> Factorization | str:
    """The kernels of a layer in one format, or in one each by a budget."""
    kernels = rules.kernels_of(layer)
    if isinstance(format, tuple):
        return _settled(job, layer, kernels, format, None, moments)
    # A format that an override gives with a rank has no other target.
    error = job.wish.target.error if format.rank is None else None
    if format.rank not in (None, "vbmf"):
        # Known before the work of decomposing is done.
        reached = compression([kernel.bound(format) for kernel in kernels])
        if reached < job.min_compression:
            return _too_little(reached, job.min_compression)
    result = _settled(job, layer, kernels, format, error, moments)
    if error is not None and not result.meets(error):
        return f"error {result.reached:.2g} where {error:g} is allowed"
    reached = compression(result.formats)
    if reached < job.min_compression:
        return _too_little(reached, job.min_compression)
    return result


def _settled(job: Job, layer, kernels, format, error, moments) -> Factorization:
    """The decomposition, fitted to calibration data where there is some."""
    if moments is not None:
        (own,) = format if isinstance(format, tuple) else (format,)
        return fitting.fitted(layer, moments, own, error, seed=job.seed)
    return factorize(
        kernels,
        format,
        error,
        search_modes=job.search_modes,
        seed=job.seed,
    )


def _too_little(reached: float, min_compression: float) -> str:
    if reached < 1:
        return f"no gain in parameters ({reached:.2f}x)"
    return f"compression {reached:.2f}x, less than {min_compression:g}x"
