"""Fitting: cores that come close to a source's outputs, on given examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tensornet_keras import backend
from tensornet_keras.conversion import rules
from tensornet_keras.conversion.calibration import Moments
from tensornet_keras.conversion.choosing import at_rank
from tensornet_keras.conversion.factorization import Factorization, Kernel
from tensornet_keras.decomposition import (
    CurvePoint,
    Decomposition,
    decompose_for,
    error_curve,
)
from tensornet_keras.decomposition.legs import relative_error
from tensornet_keras.decomposition.weighted import InputNorm, is_two_factors
from tensornet_keras.formats import Format
from tensornet_keras.surgery import twins

# Points of a curve that are decomposed, where no spectrum tells.
MEASURED = 8


def fitted(
    layer,
    moments: Moments,
    format: Format,
    error: float | None = None,
    *,
    seed: int,
) -> Factorization:
    """The cores that come closest to a layer's outputs.

    Args:
        layer: A layer whose inputs can be gathered.
        moments: Moments of its inputs in the copy and in the source.
        format: A format with a rank, or without one and with an error.
        error: Relative error of the outputs that may be reached, or `None`.
        seed: As in `decompose`.
    """
    (kernel,) = rules.kernels_of(layer)
    centered = moments.centered() if _has_plain_bias(layer) else moments
    flat = kernel.array.reshape(moments.features, -1).astype(np.float64)
    wanted = centered.closest(flat).reshape(kernel.array.shape)
    target = Kernel(wanted.astype(kernel.array.dtype), kernel.dims)
    norm = InputNorm.of(centered.own, moments.features)
    part = _decomposed(target, format, norm, error, seed)
    dense = part.to_dense().reshape(flat.shape).astype(np.float64)
    missed = relative_error(kernel.array, part.format.network, part.cores)
    return Factorization(
        (dataclasses.replace(part, relative_error=missed),),
        missed,
        output_error=centered.output_error(flat, dense),
        bias=_bias(layer, moments, flat, dense),
    )


def options_of(
    layer, formats: Sequence[Format], moments: Moments, *, seed: int
) -> list[CurvePoint]:
    """The error curves of a layer's kernel, in the norm that inputs see.

    Args:
        layer: A layer whose inputs can be gathered.
        formats: Formats without a rank.
        moments: Moments of the source layer's inputs.
        seed: As in `decompose`.
    """
    (kernel,) = rules.kernels_of(layer)
    # A bias makes up for the mean.
    seen = moments.centered() if _has_plain_bias(layer) else moments
    norm = InputNorm.of(seen.own, moments.features)
    return [
        point
        for format in formats
        for point in _curve(kernel, format, norm, seed)
    ]


def _decomposed(kernel, format, norm, error, seed) -> Decomposition:
    """The decomposition at a rank, or the smallest within an error."""
    if error is None:
        found, _ = decompose_for(
            kernel.array, format, norm, dims=kernel.dims, seed=seed
        )
        return found
    curve = _curve(kernel, format, norm, seed)
    hopeful = [n for n, point in enumerate(curve) if point.error <= error]
    for point in curve[hopeful[0] if hopeful else -1 :]:
        found, reached = decompose_for(
            kernel.array, point.format, norm, dims=kernel.dims, seed=seed
        )
        if reached <= error:
            break
    return found


def _curve(kernel: Kernel, format: Format, norm: InputNorm, seed: int):
    """The error curve of a kernel in the norm of its inputs."""
    how = {"dims": kernel.dims, "seed": seed}
    if format.rank is not None:
        return (at_rank(kernel, format, seed),)
    array = kernel.array
    if is_two_factors(format):
        white = norm.whitened(array)
    elif _has_whole_channels(kernel, format):
        white = norm.whitened_channels(array)
    else:
        curve = error_curve(array, format, **how)
        few = sorted({*np.linspace(0, len(curve) - 1, MEASURED).astype(int)})
        return tuple(
            CurvePoint(
                curve[n].format,
                decompose_for(array, curve[n].format, norm, passes=1, **how)[1],
            )
            for n in few
        )
    white = np.ascontiguousarray(white, array.dtype)
    return error_curve(white, format, **how)


def _has_whole_channels(kernel: Kernel, format: Format) -> bool:
    """Whether one core has all input channels of a convolution."""
    *window, inputs, outputs = kernel.array.shape
    if not window:
        return False
    shape = format.shaped((inputs,), (outputs,), tuple(window))
    return len(shape.network.labels_of("in")) == 1


def _has_plain_bias(layer) -> bool:
    """Whether a layer adds one number to each of its outputs."""
    bias = getattr(layer, "bias", None)
    if bias is None:
        return False
    (kernel,) = rules.kernels_of(layer)
    return tuple(bias.shape) == kernel.array.shape[-1:]


def _bias(layer, moments: Moments, kernel, other) -> np.ndarray | None:
    """The bias that gives the outputs the mean of the source's."""
    if not _has_plain_bias(layer) or not moments.count:
        return None
    wanted = moments.source_sum @ kernel - moments.own_sum @ other
    bias = backend.numbers_of(twins.holder(layer).bias)
    return (bias + wanted / moments.count).astype(bias.dtype)
