r"""Error curves: what a format misses at every size, from one SVD per bond.

The ranks at which every bond leaves out the same share of a weight are those
that `decompose` takes for an `error`. What all bonds leave out together,

$$\varepsilon^2 = \sum_b \sum_{k > r_b} \sigma_{b,k}^2 / \lVert W \rVert_F^2,$$

bounds the squared error of successive truncations (Oseledets 2011, theorem
2.2) and is theirs for two factors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tensornet_keras.decomposition.decompose import (
    bound_without_rank,
    checked_weight,
    decompose,
    sizes_of,
)
from tensornet_keras.decomposition.spectra import bond_spectra
from tensornet_keras.formats import Format

# Squared shares that a bond may leave out, from all to nothing that counts.
LEVELS = tuple(float(x) for x in np.geomspace(1.0, 1e-6, 73))
# Ranks at which a format without spectra is decomposed.
TRIED_RANKS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class CurvePoint:
    """A format at some ranks, and what it misses.

    Args:
        format: The bound format.
        error: Its relative error: of two factors the least there is, of more
            a bound that successive SVDs keep, of a format without spectra
            that of a decomposition.
    """

    format: Format
    error: float

    @property
    def num_params(self) -> int:
        """Numbers in the cores."""
        return self.format.num_params


def error_curve(
    weight, format: Format, *, dims=None, seed: int = 0
) -> tuple[CurvePoint, ...]:
    """The error of a format against its size, for one weight.

    A format whose bonds all cut its network in two (a train, Tucker, two
    factors, block train) is not decomposed: one SVD per bond tells all. Any
    other (CP, a ring) is decomposed at a few ranks.

    Args:
        weight: An array as `decompose` takes it.
        format: An unbound format without a rank.
        dims: As in `decompose`.
        seed: As in `decompose`.

    Returns:
        Points of growing size and falling error; each is smaller than all
        that miss less.

    Raises:
        TypeError: If the weight is not of a floating dtype.
        ValueError: If the weight is not finite or of another number of axes,
            or the format has a rank or does not fit it.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> from tensornet_keras.decomposition import error_curve
    >>> weight = np.diag([4.0, 2.0, 1.0, 0.0])
    >>> curve = error_curve(weight, tk.formats.LowRank())
    >>> [(point.format.rank, round(point.error**2, 3)) for point in curve]
    [((1,), 0.238), ((2,), 0.048), ((3,), 0.0)]
    """
    weight = checked_weight(weight)
    sizes = sizes_of(weight.shape, dims)
    shape = bound_without_rank(format, sizes)
    spectra = bond_spectra(weight, shape)
    if spectra is None:
        points = _decomposed(weight, format, shape, dims, seed)
    else:
        points = _of_spectra(shape, spectra)
    return _without_worse(points)


def _of_spectra(shape: Format, spectra) -> list[CurvePoint]:
    """A point for every level that all bonds share."""
    tails = [_tails(each) for each in spectra]
    if not tails:
        return [CurvePoint(shape, 0.0)]
    limits = shape.attainable_ranks()
    ranks = {}
    for level in LEVELS:
        wanted = tuple(
            min(max(1, int(np.count_nonzero(tail[1:] > level)) + 1), limit)
            for tail, limit in zip(tails, limits, strict=True)
        )
        ranks[shape.with_rounded_up(wanted)] = None
    ranks[limits] = None
    return [
        CurvePoint(shape.with_rank(rank), _error(tails, rank)) for rank in ranks
    ]


def _tails(spectra) -> np.ndarray:
    """Squared share of the weight that every rank leaves out, from 0 on."""
    length = max(len(each.values) for each in spectra)
    squares = np.zeros(length)
    for each in spectra:
        squares[: len(each.values)] += np.square(each.values)
    total = squares.sum()
    left = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    return left / total if total else left


def _error(tails, rank: tuple[int, ...]) -> float:
    left = (
        tail[min(r, len(tail) - 1)] for tail, r in zip(tails, rank, strict=True)
    )
    return math.sqrt(sum(left))


def _decomposed(weight, format, shape, dims, seed) -> list[CurvePoint]:
    """Points of a format that no spectrum speaks of."""
    most = max(shape.attainable_ranks(), default=1)
    points = []
    for rank in TRIED_RANKS:
        bound = shape.with_rank(shape.resolved(min(rank, most)))
        if bound.num_params >= bound.dense_params:
            break
        found = decompose(weight, bound, dims=dims, seed=seed)
        points.append(CurvePoint(found.format, found.relative_error))
    return points


def _without_worse(points: list[CurvePoint]) -> tuple[CurvePoint, ...]:
    """Those than which no other is as small and misses as little."""
    kept: list[CurvePoint] = []
    for point in sorted(points, key=lambda x: (x.num_params, x.error)):
        if not kept or point.error < kept[-1].error:
            kept.append(point)
    return tuple(kept)
