"""Outcomes: what becomes of every layer that a conversion is about."""

from __future__ import annotations

from collections.abc import Sequence

from tensornet_keras.conversion import fitting, rules
from tensornet_keras.conversion.budgeted import (
    NO_FORMAT,
    Budgeted,
    budgeted,
    naming,
)
from tensornet_keras.conversion.factorization import (
    Factorization,
    compression,
    factorize,
)
from tensornet_keras.conversion.job import Job
from tensornet_keras.conversion.progress import ConversionProgress
from tensornet_keras.formats import Format
from tensornet_keras.formats.format import ShareTooSmall


def outcomes(
    job: Job, layers: Sequence, progress: ConversionProgress
) -> tuple[dict[int, Factorization | str], Budgeted]:
    """What stands for the kernels of layers, or why they stay.

    Args:
        job: What was asked for.
        layers: The selected layers, in graph order.
        progress: The progress bar.

    Returns:
        The outcomes from the ids of the layers, and what a budget was spent
        on.

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
    spent = budgeted(job, concerned, progress)
    for layer in concerned:
        with progress.over(layer), naming(layer):
            found[id(layer)] = _outcome(job, layer, spent.given)
    return found, spent


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


def _outcome(job: Job, layer, given) -> Factorization | str:
    """What stands for a layer's kernels, or why there is none.

    The copy of the calibration gets it, or dense kernels that fit its inputs.
    """
    reason = given.get(id(layer))
    if isinstance(reason, str):
        formats = ()
    else:
        formats = (reason,) if reason else job.formats_for(layer)
        reason = NO_FORMAT
    if reason == NO_FORMAT and not formats:
        return NO_FORMAT
    moments = None
    if job.fits(layer):
        moments = job.calibration.joint_moments(layer)
    if formats:
        reason = _best(job, layer, formats, moments)
    if isinstance(reason, Factorization):
        if job.calibration is not None:
            job.calibration.take(layer, reason)
    elif moments is not None:
        refit = fitting.refitted(layer, moments)
        if refit is not None:
            job.calibration.take_dense(layer, refit)
    return reason


def _best(job: Job, layer, formats, moments) -> Factorization | str:
    try:
        return _smallest(
            [_decomposed(job, layer, each, moments) for each in formats]
        )
    except ShareTooSmall:
        return "rank 1 exceeds the share"


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
        return fitting.fitted(layer, moments, format, error, seed=job.seed)
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
