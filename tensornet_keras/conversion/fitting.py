"""Fitting: cores that come close to a source's outputs, on given examples."""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Sequence

import keras
import numpy as np

from tensornet_keras import backend
from tensornet_keras.conversion import rules
from tensornet_keras.conversion.choosing import Options, at_rank, options_on
from tensornet_keras.conversion.factorization import (
    Factorization,
    Kernel,
    together,
)
from tensornet_keras.conversion.moments import Counts, Moments
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

# Points of a curve that are decomposed, where no spectrum tells, and with how
# much care: more passes of fewer steps come closer to the end in less time.
MEASURED = 8
CARE = {"passes": 2, "steps": 3}
# Those of them that are looked at though they promise nothing.
SAMPLED = 3
# Rows for each feature from which dense kernels are fitted anew: with fewer,
# they fit the examples and no others.
ENOUGH = 4


def fitted(
    layer,
    moments: Sequence[Moments | Counts],
    format: Format | tuple[Format, ...],
    error: float | None = None,
    *,
    seed: int,
) -> Factorization:
    """The cores that come closest to a layer's outputs.

    Args:
        layer: A layer whose inputs can be gathered.
        moments: Moments of the inputs of its kernels, in the copy and in the
            source.
        format: A format with a rank, or without one and with an error; or a
            tuple with that of each kernel.
        error: Relative error that each decomposition may add to the outputs,
            or `None`.
        seed: As in `decompose`.
    """
    kernels = rules.kernels_of(layer)
    formats = format if isinstance(format, tuple) else (format,) * len(kernels)
    plain = _has_plain_bias(layer)
    parts, added, missed, whole = [], 0.0, 0.0, 0.0
    for kernel, each, own in zip(kernels, formats, moments, strict=True):
        seen = own.centered() if plain else own
        flat = _flat(kernel, own)
        target = Kernel(_closest(kernel, seen), kernel.dims)
        part, reached = _decomposed(target, each, seen.norm(), error, seed)
        added = max(added, reached)
        dense = part.to_dense().reshape(flat.shape).astype(np.float64)
        change = relative_error(kernel.array, part.format.network, part.cores)
        parts.append(dataclasses.replace(part, relative_error=change))
        squares = seen.squares(flat, dense)
        missed, whole = missed + squares[0], whole + squares[1]
    return dataclasses.replace(
        together(tuple(parts), [kernel.array for kernel in kernels]),
        output_error=math.sqrt(missed / whole) if whole else 0.0,
        added_error=added,
        bias=_bias(layer, own, flat, dense) if plain else None,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Refit:
    """Dense kernels for the inputs that a layer gets in the copy.

    Args:
        kernels: The weights, as `rules.kernels_of` has them.
        output_error: As in `Factorization`.
        bias: As in `Factorization`.
    """

    kernels: tuple[np.ndarray, ...]
    output_error: float
    bias: np.ndarray | None


def refitted(layer, moments: Sequence[Moments | Counts]) -> Refit | None:
    """The dense kernels that come closest to a layer's outputs.

    Args:
        layer: As in `fitted`.
        moments: As in `fitted`.

    Returns:
        The kernels; `None` where the layer is frozen, gets what its source
        gets, or the examples are few.
    """
    if not layer.trainable:
        return None
    few = any(own.count < ENOUGH * own.features for own in moments)
    if few or all(own.is_same for own in moments):
        return None
    plain = _has_plain_bias(layer)
    found, missed, whole = [], 0.0, 0.0
    for kernel, own in zip(rules.kernels_of(layer), moments, strict=True):
        seen = own.centered() if plain else own
        flat = _flat(kernel, own)
        found.append(_closest(kernel, seen))
        dense = found[-1].reshape(flat.shape).astype(np.float64)
        squares = seen.squares(flat, dense)
        missed, whole = missed + squares[0], whole + squares[1]
    return Refit(
        tuple(found),
        math.sqrt(missed / whole) if whole else 0.0,
        _bias(layer, own, flat, dense) if plain else None,
    )


def options_of(
    layer,
    formats: Sequence[Format],
    moments: Sequence[Moments | Counts],
    *,
    seed: int,
) -> Options:
    """What a layer may become, with the squared errors that its inputs see.

    A bias makes up for the mean; what is missed beside it is held against the
    outputs as a whole, for those that hardly vary hardly matter.

    Args:
        layer: A layer whose inputs can be gathered.
        formats: Formats without a rank.
        moments: Moments of the inputs of the source layer's kernels.
        seed: As in `decompose`.
    """
    kernels = rules.kernels_of(layer)
    share = 1.0
    if _has_plain_bias(layer):
        (kernel,), (own,) = kernels, moments
        share = own.share_of_varying(_flat(kernel, own), _bias_of(layer))
        moments = [own.centered()]
    norms = [own.norm() for own in moments]
    sizes = [
        math.sqrt(own.square(_flat(kernel, own)))
        for kernel, own in zip(kernels, moments, strict=True)
    ]
    rivals = [
        _rival(kernel, formats, norm)
        for kernel, norm in zip(kernels, norms, strict=True)
    ]
    found = []
    for format in formats:
        curves = [
            _curve(kernel, format, norm, seed, rival)
            for kernel, norm, rival in zip(kernels, norms, rivals, strict=True)
        ]
        if all(curves):
            options = options_on(curves, sizes)
            found += [(share * loss, bound) for loss, bound in options]
    return found


def _closest(kernel: Kernel, seen: Moments | Counts) -> np.ndarray:
    """The weight that comes closest to the outputs of the source's."""
    wanted = seen.closest(_flat(kernel, seen))
    return wanted.reshape(kernel.array.shape).astype(kernel.array.dtype)


def _flat(kernel: Kernel, moments: Moments | Counts) -> np.ndarray:
    return kernel.array.reshape(moments.features, -1).astype(np.float64)


@dataclasses.dataclass(frozen=True, eq=False)
class _Rival:
    """What two factors miss, at their sizes.

    Args:
        plain: In the plain norm.
        seen: In the norm that inputs see.
    """

    plain: tuple[CurvePoint, ...]
    seen: tuple[CurvePoint, ...]


def _rival(
    kernel: Kernel, formats: Sequence[Format], norm: InputNorm
) -> _Rival | None:
    """The two factors that other formats have to outdo, if there are any."""
    for format in formats:
        if is_two_factors(format) and format.rank is None:
            plain = error_curve(kernel.array, format, dims=kernel.dims)
            return _Rival(plain, _curve(kernel, format, norm, 0))
    return None


def _is_ahead(point: CurvePoint, curve: Sequence[CurvePoint]) -> bool:
    """Whether no point of a curve is as small and misses as little."""
    size = point.num_params
    others = [other.error for other in curve if other.num_params <= size]
    return point.error < min(others, default=math.inf)


def _decomposed(
    kernel, format, norm, error, seed
) -> tuple[Decomposition, float]:
    """The decomposition at a rank, or the smallest within an error."""
    how = {"dims": kernel.dims, "seed": seed}
    if error is None or format.rank is not None:
        return decompose_for(kernel.array, format, norm, **how)

    def missed(point: CurvePoint) -> float:
        if spectrum is not None:
            return point.error
        return decompose_for(kernel.array, point.format, norm, **CARE, **how)[1]

    spectrum = _spectrum(kernel, format, norm)
    curve = error_curve(
        kernel.array if spectrum is None else spectrum, format, **how
    )
    if not curve:
        # Not even rank 1 is smaller than the kernel.
        least = dataclasses.replace(format, rank=1)
        return decompose_for(kernel.array, least, norm, **how)
    # The first that promises to do.
    place = bisect.bisect_left(
        curve[:-1], True, key=lambda point: missed(point) <= error
    )
    tried = {}

    def is_enough(n: int) -> bool:
        tried[n] = decompose_for(kernel.array, curve[n].format, norm, **how)
        return tried[n][1] <= error

    while not is_enough(place) and place < len(curve) - 1:
        place += 1
    while place > 0 and place - 1 not in tried and is_enough(place - 1):
        place -= 1
    return tried[place]


def _curve(
    kernel: Kernel,
    format: Format,
    norm: InputNorm,
    seed: int,
    rival: _Rival | None = None,
):
    """The error curve of a kernel in the norm of its inputs.

    Where no spectrum tells, a few points are decomposed. Those that a rival
    outdoes in the plain norm are left out, if it outdoes a sample of them in
    the norm of the inputs too: a rule of thumb that saves most of the time.
    """
    how = {"dims": kernel.dims, "seed": seed}
    if format.rank is not None:
        return (at_rank(kernel, format, seed),)
    array = kernel.array
    spectrum = _spectrum(kernel, format, norm)
    if spectrum is not None:
        return error_curve(spectrum, format, **how)

    def measured(points, most):
        places = np.linspace(0, len(points) - 1, min(most, len(points)))
        formats = [points[n].format for n in sorted({*places.astype(int)})]
        return [
            CurvePoint(each, decompose_for(array, each, norm, **CARE, **how)[1])
            for each in formats
        ]

    curve = error_curve(array, format, **how)
    if rival is None:
        return tuple(measured(curve, MEASURED))
    curve = [x for x in curve if x.num_params <= x.format.dense_params]
    ahead = [x for x in curve if _is_ahead(x, rival.plain)]
    sample = measured([x for x in curve if x not in ahead], SAMPLED)
    if any(_is_ahead(x, rival.seen) for x in sample):
        return tuple(measured(curve, MEASURED))
    return (*sample, *measured(ahead, MEASURED))


def _spectrum(
    kernel: Kernel, format: Format, norm: InputNorm
) -> np.ndarray | None:
    """The weight whose spectra tell what is missed in the norm, if any."""
    if is_two_factors(format):
        white = norm.whitened(kernel.array)
    elif _has_whole_channels(kernel, format):
        white = norm.whitened_channels(kernel.array)
    else:
        return None
    return np.ascontiguousarray(white, kernel.array.dtype)


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
    if isinstance(layer, keras.layers.EinsumDense):
        # Of several axes alike in size, the last is that of the kernel.
        equation = rules.equation_of(layer)
        last = equation.outputs[-len(equation.new) :]
        return "".join(equation.new) == "".join(last) == layer.bias_axes
    return True


def _bias(layer, moments: Moments, kernel, other) -> np.ndarray | None:
    """The bias that gives the outputs the mean of the source's."""
    if not moments.count:
        return None
    wanted = moments.source_sum @ kernel - moments.own_sum @ other
    bias = _bias_of(layer)
    wanted = (wanted / moments.count).reshape(bias.shape)
    return (bias + wanted).astype(bias.dtype)


def _bias_of(layer) -> np.ndarray:
    return backend.numbers_of(twins.holder(layer).bias)
