"""Choosing: formats and ranks of all layers for one budget."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Collection, Sequence

import numpy as np

from tensornet_keras.conversion import rules
from tensornet_keras.conversion.budget import (
    BudgetTooSmall,
    Option,
    allocate,
)
from tensornet_keras.conversion.factorization import (
    Kernel,
    compression,
    joint_error,
)
from tensornet_keras.decomposition import CurvePoint, decompose, error_curve
from tensornet_keras.formats import Format

# The cost of a layer with kernels of these formats, or with dense ones.
CostOf = Callable[[object, tuple[Format, ...] | None], float]
# Squared errors, each with the bound formats of a layer's kernels.
Options = list[tuple[float, tuple[Format, ...]]]


def options_of(
    kernels: Sequence[Kernel], formats: Sequence[Format], *, seed: int
) -> Options:
    """What the kernels of a layer may become.

    Args:
        kernels: The kernels of a layer.
        formats: The formats they may get; one with a rank is taken at that.
        seed: As in `decompose`.

    Returns:
        Pairs of a squared relative error of all kernels together, and the
        bound format of each.
    """
    norms = [float(np.linalg.norm(each.array)) for each in kernels]
    return [
        option
        for format in formats
        for option in options_on(
            [_curve(each, format, seed) for each in kernels], norms
        )
    ]


def options_on(curves: Sequence, norms: Sequence[float]) -> Options:
    """What the kernels of a layer may become, at about equal errors.

    Args:
        curves: The error curve of each kernel.
        norms: The norm of each.
    """
    return [
        (
            joint_error(norms, [point.error for point in points]) ** 2,
            tuple(point.format for point in points),
        )
        for points in _together(curves)
    ]


def efficient(
    found: Options,
    min_compression: float,
    cost: Callable[[tuple[Format, ...]], float] | None = None,
) -> Options:
    """Those options than which no other costs as little and misses as little.

    Args:
        found: What `options_of` returned.
        min_compression: Least ratio of a kernel's numbers to those of cores.
        cost: What bound formats cost; `None` counts the numbers of the cores.

    Returns:
        Options of growing cost and falling error.
    """
    cost = cost or _size
    found = [each for each in found if compression(each[1]) >= min_compression]
    found.sort(key=lambda each: (cost(each[1]), each[0]))
    kept: Options = []
    for loss, bound in found:
        if not kept or loss < kept[-1][0]:
            kept.append((loss, bound))
    return kept


def by_kind(found: Options) -> list[Options]:
    """Options apart for each kind of formats, of which each has its own costs.

    Args:
        found: What `options_of` returned.
    """
    kinds: dict[tuple, Options] = {}
    for loss, bound in found:
        kind = tuple(
            (type(each), getattr(each, "conv_split", None)) for each in bound
        )
        kinds.setdefault(kind, []).append((loss, bound))
    return list(kinds.values())


def within_budget(
    layers: Sequence,
    options: Sequence[Options],
    share: float,
    name: str,
    cost_of: CostOf,
    fixed: Collection[int] = (),
) -> list[tuple[Format, ...] | None]:
    """The formats of all layers that keep to a budget.

    Args:
        layers: The layers that can be factorized.
        options: What `options_of` returned for each.
        share: What the layers may cost together, of what they cost dense.
        name: Name of the budget, for the message.
        cost_of: What a layer costs.
        fixed: The ids of layers that do not stay dense.

    Returns:
        For every layer the bound format of each kernel, or `None` to keep it.

    Raises:
        ValueError: If nothing keeps to the budget; it names the least share.
    """
    whole = sum(cost_of(layer, None) for layer in layers)
    if layers and not whole:
        raise ValueError(
            f"`{name}` needs layers that cost something. Received: only layers "
            "that are looked up, or that the model does not call. Pass ratio=, "
            "or select others with filters=."
        )
    try:
        return allocated(layers, options, share, cost_of, fixed)
    except BudgetTooSmall as problem:
        least = problem.least / whole
        raise ValueError(
            f"`{name}` must be at least {least:.4g}, the smallest that the "
            f"selected layers reach. Received: {name}={share}. Raise it, "
            "select more layers, or allow other formats."
        ) from problem


def allocated(
    layers: Sequence,
    options: Sequence[Options],
    share: float,
    cost_of: CostOf,
    fixed: Collection[int] = (),
) -> list[tuple[Format, ...] | None]:
    """The formats of all layers within a share of what they cost dense.

    Args:
        layers: The layers that can be factorized.
        options: What `options_of` returned for each.
        share: What the layers may cost together, of what they cost dense.
        cost_of: What a layer costs.
        fixed: The ids of layers that do not stay dense, if they have options.

    Returns:
        For every layer the bound format of each kernel, or `None` to keep it.

    Raises:
        BudgetTooSmall: If nothing keeps to the share.
    """
    dense = [cost_of(layer, None) for layer in layers]
    choices = []
    for layer, whole, own in zip(layers, dense, options, strict=True):
        found = [Option(cost_of(layer, bound), x, bound) for x, bound in own]
        stays = not found or id(layer) not in fixed
        choices.append([Option(whole, 0.0, None), *found] if stays else found)
    chosen = allocate(choices, share * sum(dense))
    return [option.choice for option in chosen]


def parameters(layer, bound: tuple[Format, ...] | None) -> float:
    """The numbers in the kernels of a layer, or in their cores.

    Args:
        layer: The layer.
        bound: The bound format of each kernel; `None` for dense ones.
    """
    if bound is None:
        return sum(each.array.size for each in rules.kernels_of(layer))
    return _size(bound)


def _curve(kernel: Kernel, format: Format, seed: int):
    """The error curve of a kernel, a single point for a format of a rank."""
    if format.rank is not None:
        return (at_rank(kernel, format, seed),)
    return error_curve(kernel.array, format, dims=kernel.dims, seed=seed)


def at_rank(kernel: Kernel, format: Format, seed: int) -> CurvePoint:
    """The only point of a format that has a rank.

    No error weighs against it: it was asked for.

    Args:
        kernel: The kernel.
        format: A format with a rank.
        seed: As in `decompose`.
    """
    if format.rank == "vbmf":
        found = decompose(kernel.array, format, dims=kernel.dims, seed=seed)
        return CurvePoint(found.format, 0.0)
    return CurvePoint(kernel.bound(format), 0.0)


def _together(curves) -> list[tuple[CurvePoint, ...]]:
    """Points of several curves at about equal errors."""
    if len(curves) == 1:
        return [(point,) for point in curves[0]]
    errors = sorted({point.error for curve in curves for point in curve})
    # Errors fall along a curve.
    falling = [[-point.error for point in curve] for curve in curves]
    found = {}
    for error in errors:
        places = tuple(
            min(bisect.bisect_left(own, -error), len(own) - 1)
            for own in falling
        )
        found[places] = None
    return [
        tuple(curve[place] for curve, place in zip(curves, places, strict=True))
        for places in found
    ]


def _size(bound: tuple[Format, ...]) -> int:
    return sum(format.num_params for format in bound)
