"""All kernels of one layer, decomposed: most layers have one, an LSTM two."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass

import numpy as np

from tensornet_keras.decomposition import Decomposition, decompose
from tensornet_keras.formats import Format

# Roundings of the dtype that a relative error may show above what was asked.
ROUNDING = 16.0
# An error of outputs is the root of a difference of sums of float32 numbers.
OUTPUT_RESOLUTION = 1e-3


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel of a Keras layer, as a weight to decompose.

    Args:
        array: The weight, `(*window, input, output)`.
        dims: The dimensions of its two sides; `None` if they have one each.
    """

    array: np.ndarray
    dims: tuple[tuple[int, ...], tuple[int, ...]] | None = None

    def bound(self, format: Format) -> Format:
        """A format bound to this kernel, its ranks cut to the attainable.

        Args:
            format: A format with a rank.
        """
        *window, inputs, outputs = self.array.shape
        sides = self.dims or ((inputs,), (outputs,))
        return format.bind(*sides, tuple(window)).cut()


@dataclass(frozen=True, eq=False)
class Factorization:
    """What stands for all kernels of a layer.

    Args:
        parts: The decomposition of each kernel.
        relative_error: Frobenius norm of the change of all kernels together,
            over that of the kernels.
        cut: Whether a bond carries less than the rank that was asked for.
        output_error: Norm of the change of the layer's outputs on calibration
            data, over that of the source's, about their mean where a bias
            makes up for it; `None` without data.
        added_error: What the decompositions themselves add to that: the
            largest relative error of a kernel in the norm of inputs like its
            own, from the kernel that fits them best; `None` without data.
        bias: The bias that goes with the kernel, where the change moved the
            mean of the outputs; `None` for that of the source.
    """

    parts: tuple[Decomposition, ...]
    relative_error: float
    cut: bool = False
    output_error: float | None = None
    added_error: float | None = None
    bias: np.ndarray | None = None

    @property
    def worst(self) -> float:
        """The largest relative error of a single kernel."""
        return max(part.relative_error for part in self.parts)

    @property
    def converged(self) -> bool:
        """Whether every decomposition met its tolerance or its error."""
        return all(part.converged for part in self.parts)

    @property
    def reached(self) -> float:
        """The error that a target is about: of the outputs, with data."""
        return self.worst if self.added_error is None else self.added_error

    def meets(self, error: float) -> bool:
        """Whether every kernel is within an error, but for rounding.

        Args:
            error: The relative error asked for.
        """
        if self.added_error is not None:
            return self.added_error <= error + OUTPUT_RESOLUTION
        resolution = max(
            ROUNDING * float(np.finfo(_known(core.dtype)).eps)
            for core in self.cores
        )
        return self.worst <= error + resolution

    @property
    def formats(self) -> tuple[Format, ...]:
        """The bound format of each kernel."""
        return tuple(part.format for part in self.parts)

    @property
    def cores(self) -> list[np.ndarray]:
        """The cores of all kernels, one kernel after another."""
        return list(itertools.chain(*(part.cores for part in self.parts)))


def factorize(
    kernels,
    format: Format | tuple[Format, ...],
    error,
    *,
    search_modes: bool,
    seed: int,
) -> Factorization:
    """Decomposes all kernels of a layer.

    Args:
        kernels: The kernels, as `Kernel`.
        format: The format of all, or a tuple with that of each.
        error: Relative error that each may reach, or `None`.
        search_modes: As in `decompose`.
        seed: As in `decompose`.
    """
    own = format if isinstance(format, tuple) else (format,) * len(kernels)
    parts = tuple(
        decompose(
            kernel.array,
            each,
            error,
            dims=kernel.dims,
            search_modes=search_modes,
            seed=seed,
        )
        for kernel, each in zip(kernels, own, strict=True)
    )
    whole = together(parts, [kernel.array for kernel in kernels])
    # A search of modes spends the rank's share in any other way.
    cut = not search_modes and any(
        _is_cut(wanted, found)
        for wanted, found in zip(own, whole.formats, strict=True)
    )
    return dataclasses.replace(whole, cut=cut)


def _is_cut(wanted: Format, found: Format) -> bool:
    """Whether a bond has less than was asked for, by whole numbers."""
    rank = wanted.rank
    if isinstance(rank, int):
        least = wanted.rounded_up(rank)
        return any(r < least for r in found.rank)
    return isinstance(rank, tuple) and found.rank != rank


def together(parts, arrays) -> Factorization:
    """The decompositions of a layer's kernels as one, with their error.

    Args:
        parts: The decomposition of each kernel.
        arrays: The kernels.
    """
    if len(parts) == 1:
        return Factorization(parts, parts[0].relative_error)
    norms = [np.linalg.norm(array.astype("float64")) for array in arrays]
    errors = [part.relative_error for part in parts]
    return Factorization(parts, joint_error(norms, errors))


def joint_error(norms, errors) -> float:
    """The relative error of several kernels together.

    Args:
        norms: The Frobenius norm of each kernel.
        errors: The relative error of each.
    """
    missed = [x * error for x, error in zip(norms, errors, strict=True)]
    whole = math.hypot(*norms)
    return math.hypot(*missed) / whole if whole else 0.0


def _known(dtype) -> np.dtype:
    """A dtype that `np.finfo` knows, of no finer resolution."""
    return dtype if dtype.name != "bfloat16" else np.dtype("float16")


def compression(formats) -> float:
    """Numbers in dense weights over numbers in their cores.

    Args:
        formats: Bound formats.
    """
    dense = sum(format.dense_params for format in formats)
    return dense / sum(format.num_params for format in formats)
