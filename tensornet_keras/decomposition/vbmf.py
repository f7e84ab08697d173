r"""Ranks from the noise: analytic variational Bayesian matrix factorization.

Nakajima, Sugiyama, Babacan and Tomioka 2013, "Global Analytic Solution of
Fully-observed Variational Bayesian Matrix Factorization" (JMLR 14): with
priors fitted to the data (empirical Bayes) a singular value of a
matrix is kept if it exceeds a threshold that only the noise decides on, and
the variance of the noise is the minimum of a function of one variable.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.optimize

from tensornet_keras.decomposition.legs import leg_tensor
from tensornet_keras.decomposition.spectra import spectra_around
from tensornet_keras.formats import Format
from tensornet_keras.network import TensorNetwork

# Over the root of the aspect ratio, the paper's approximation; it is exact for
# a square matrix, where it solves log(1 + t) = t / 2.
THRESHOLD_SLOPE = 2.5129
# Singular values below this share of the largest are rounding, not noise.
ROUNDING = 1e-7
# Points that bracket the minimum, which need not be the only one.
GRID = 64


def vbmf_rank(singular_values: np.ndarray, rows: int, columns: int) -> int:
    """How many singular values stand out of the noise of a matrix.

    The noise is taken for independent and normal; its variance is estimated.

    Args:
        singular_values: All `min(rows, columns)` of them, or the largest,
            the others being zero.
        rows: Number of rows of the matrix.
        columns: Number of columns.

    Returns:
        The rank, which is 0 where nothing but noise is found.

    Example:

    >>> import numpy as np
    >>> from tensornet_keras.decomposition.vbmf import vbmf_rank
    >>> rng = np.random.default_rng(0)
    >>> low = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 80))
    >>> noisy = low + 0.5 * rng.normal(size=(60, 80))
    >>> vbmf_rank(np.linalg.svd(noisy, compute_uv=False), 60, 80)
    3

    Reference:
        Nakajima et al. 2013, https://jmlr.org/papers/v14/nakajima13a.html.
    """
    short, long = sorted((rows, columns))
    squares = np.zeros(short)
    given = np.sort(np.square(np.asarray(singular_values, np.float64)))[::-1]
    squares[: len(given)] = given[:short]
    if squares[0] == 0.0:
        return 0
    # A scale of one keeps the squares of tiny weights from vanishing.
    squares /= squares[0]
    aspect = short / long
    variance = _noise_variance(squares, long, aspect)
    return int(np.count_nonzero(squares > long * variance * _edge(aspect)))


def vbmf_ranks(weight: np.ndarray, format: Format) -> tuple[int, ...]:
    """Ranks of all bonds of a format, from the noise in a weight.

    A bond that cuts the network gets the VBMF rank of the matrix between the
    legs of a part and the others (for a bond on many cores the largest over
    the parts, for legs that several parts share the largest over their
    entries). Of a bond in a loop only the product with the other bonds of a
    core is known: it gets the root of the VBMF rank around that core.

    Args:
        weight: An array of the shape `format.dense_shape`.
        format: The bound format, of any ranks.

    Returns:
        One rank of at least 1 a bond: multiples of `format.rank_multiple`,
        cut to the attainable ranks.
    """
    network = format.network
    tensor = leg_tensor(weight, network, weight.dtype)
    found = {}

    def rank_around(legs: frozenset[str]) -> int:
        if legs not in found:
            found[legs] = max(
                vbmf_rank(each.values, each.rows, each.columns)
                for each in spectra_around(tensor, network, legs)
            )
        return found[legs]

    ranks = []
    for (bond, _), limit in zip(
        network.bonds, format.attainable_ranks(), strict=True
    ):
        rank = format.rounded_up(max(1, _wanted(network, bond, rank_around)))
        ranks.append(min(rank, limit))
    return tuple(ranks)


def _wanted(network: TensorNetwork, bond: str, rank_around) -> int:
    """The rank of one bond before it is rounded and cut."""
    parts = network.parts_without(bond)
    if len(parts) > 1:
        return max(rank_around(part) for part in parts)
    bonds = {label for label, _ in network.bonds}
    wanted = 1
    for core in network.cores:
        own = frozenset(core) - bonds
        if bond in core and own:
            count = len(bonds & set(core))
            root = max(1, rank_around(own)) ** (1 / count)
            # Roots of whole powers come out a little above the whole.
            wanted = max(wanted, math.ceil(root - 1e-9))
    return wanted


def _edge(aspect: float) -> float:
    """What a kept squared singular value exceeds, over noise and length."""
    root = THRESHOLD_SLOPE * math.sqrt(aspect)
    return (1 + root) * (1 + aspect / root)


def _noise_variance(squares: np.ndarray, long: int, aspect: float) -> float:
    """Variance of the noise, between the bounds that the paper proves."""
    short = len(squares)
    edge = _edge(aspect)
    most = min(math.ceil(short / (1 + aspect)) - 1, short - 1)
    upper = squares.sum() / (short * long)
    lower = max(
        squares[most] / (long * edge),
        squares[most:].mean() / long,
        ROUNDING**2 / long,
    )
    if lower >= upper:
        return upper

    def free_energy(log_variance: float) -> float:
        return _free_energy(squares / long, log_variance, edge, aspect)

    grid = np.linspace(math.log(lower), math.log(upper), GRID)
    best = int(np.argmin([free_energy(point) for point in grid]))
    bounds = grid[max(0, best - 1)], grid[min(GRID - 1, best + 1)]
    found = scipy.optimize.minimize_scalar(
        free_energy, bounds=bounds, method="bounded", options={"xatol": 1e-6}
    )
    return math.exp(found.x)


def _free_energy(
    energies: np.ndarray, log_variance: float, edge: float, aspect: float
) -> float:
    """The objective, up to what does not depend on the variance."""
    scaled = energies * math.exp(-log_variance)
    kept = scaled[scaled > edge]
    shifted = kept - (1 + aspect)
    tau = 0.5 * (shifted + np.sqrt(np.square(shifted) - 4 * aspect))
    explained = tau - np.log1p(tau) - aspect * np.log1p(tau / aspect)
    return len(energies) * log_variance + scaled.sum() - explained.sum()
