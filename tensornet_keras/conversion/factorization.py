"""All kernels of one layer, decomposed: most layers have one, an LSTM two."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from tensornet_keras.decomposition import Decomposition, decompose
from tensornet_keras.formats import Format


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
    """

    parts: tuple[Decomposition, ...]
    relative_error: float

    @property
    def formats(self) -> tuple[Format, ...]:
        """The bound format of each kernel."""
        return tuple(part.format for part in self.parts)

    @property
    def cores(self) -> list[np.ndarray]:
        """The cores of all kernels, one kernel after another."""
        return list(itertools.chain(*(part.cores for part in self.parts)))


def factorize(kernels, format: Format, error, **how) -> Factorization:
    """Decomposes all kernels of a layer.

    Args:
        kernels: The kernels, as `Kernel`.
        format: The format of each.
        error: Relative error that each may reach, or `None`.
        **how: Further arguments of `decompose`.
    """
    parts = tuple(
        decompose(kernel.array, format, error, dims=kernel.dims, **how)
        for kernel in kernels
    )
    if len(parts) == 1:
        return Factorization(parts, parts[0].relative_error)
    norms = [np.linalg.norm(k.array.astype("float64")) for k in kernels]
    missed = [
        norm * part.relative_error
        for norm, part in zip(norms, parts, strict=True)
    ]
    whole = math.hypot(*norms)
    return Factorization(parts, math.hypot(*missed) / whole if whole else 0.0)


def compression(formats) -> float:
    """Numbers in dense weights over numbers in their cores.

    Args:
        formats: Bound formats.
    """
    dense = sum(format.dense_params for format in formats)
    return dense / sum(format.num_params for format in formats)
