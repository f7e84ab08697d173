"""TT-SVD: the tensor train of a dense weight by successive truncated SVDs.

Oseledets 2011, "Tensor-Train Decomposition" (SIAM J. Sci. Comput. 33(5),
algorithm 1), without transposing the weight: each unfolding is read block by
block, and several short ones are served by one pass. With `W = F Q` and
orthonormal rows in `Q`, the small square `F` has the left singular vectors and
the singular values of every unfolding within its rows.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from tensornet_keras.decomposition import chain as chains
from tensornet_keras.decomposition.chain import Chain
from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.residual import (
    frobenius_norm,
    relative_error,
)
from tensornet_keras.decomposition.svd import (
    LEAST_GRAM_SIDE,
    SMALL_SIZE,
    left_svd,
    split,
    truncated_svd,
)
from tensornet_keras.decomposition.unfolding import Unfolding, working_dtype
from tensornet_keras.formats.tensor_train import TensorTrain

# Cores are found together while the rows of their unfolding are at most this.
MOST_GROUPED_ROWS = 256


def tt_svd(
    weight: np.ndarray, format: TensorTrain, target: Target
) -> Decomposition:
    """Tensor train of a matrix or of a convolution kernel.

    The sweep runs from the first core to the last. A bond that keeps all
    that its unfolding has costs nothing; a bond without truncation is an
    identity, so that a train of full rank is exact.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound train. Its ranks are the largest allowed.
        target: With an error, every bond keeps the fewest singular values
            that leave at most `error / sqrt(bonds)` of the weight's norm; 0
            keeps all.

    Returns:
        The bound train of the ranks obtained, its cores in the weight's
        dtype, and the relative error of these cores.
    """
    error = target.error
    weight = chains.as_matrices(weight, format)
    modes = chains.site_modes(format)
    matrix = _padded(weight, modes)
    if not error:
        limits = format.attainable_ranks() if error == 0.0 else format.rank
        chain = _by_rank(matrix, modes, limits)
    else:
        tail = tail_norm(error, len(modes), weight.dtype)
        tail *= frobenius_norm(weight)
        chain = _sweep(matrix, [[pair] for pair in modes], None, tail)
        needed = chains.ranks(chain)
        rounded = format.with_rounded_up(needed)
        if rounded != needed:
            chain = _by_rank(matrix, modes, rounded)
    if _has_idle_ranks(chain):
        chain = chains.right_orthogonal(chain)
    format, cores = chains.to_cores(chain, format, weight.dtype)
    return Decomposition(format, cores, _measured(weight, format, cores))


def tail_norm(error: float, order: int, dtype) -> float:
    """What a bond may drop of a unit norm so that the train keeps `error`.

    Args:
        error: The relative error to stay within.
        order: Number of cores.
        dtype: Dtype of the cores; what rounding to it may add is set aside,
            unless the error asked for is smaller still.
    """
    rounding = _epsilon(dtype) * math.sqrt(order)
    if error > 2 * rounding:
        error = math.sqrt(error**2 - rounding**2)
    return error / math.sqrt(max(1, order - 1))


def _epsilon(dtype) -> float:
    """Spacing of the dtype at 1; `np.finfo` does not know bfloat16."""
    epsilon = 1.0
    while float(np.asarray(1.0 + epsilon / 2).astype(dtype)) != 1.0:
        epsilon /= 2
    return epsilon


def _padded(weight: np.ndarray, modes) -> np.ndarray:
    """The kernel as a matrix of the modes' sizes, filled with zeros."""
    window, *sizes = weight.shape
    rows, columns = (math.prod(side) for side in zip(*modes, strict=True))
    full = (rows // window, columns)
    if tuple(sizes) != full:
        padded = np.zeros((window, *full), weight.dtype)
        padded[:, : sizes[0], : sizes[1]] = weight
        weight = padded
    return weight.reshape(-1, columns)


def _by_rank(matrix: np.ndarray, modes, limits) -> Chain:
    """A train of given ranks: only bonds that lose something are swept."""
    sites = [[modes[0]]]
    kept = []
    sizes = [i * j for i, j in modes]
    rank = 1
    for k, limit in enumerate(limits):
        bounds = (rank * sizes[k], math.prod(sizes[k + 1 :]))
        rank = min(limit, *bounds)
        if rank in bounds:
            sites[-1].append(modes[k + 1])
        else:
            sites.append([modes[k + 1]])
            kept.append(rank)
    merged = _sweep(matrix, sites, kept, None)
    return list(
        itertools.chain.from_iterable(
            _split_exactly(core, [i * j for i, j in site])
            for core, site in zip(merged, sites, strict=True)
        )
    )


def _split_exactly(core: np.ndarray, sizes) -> Chain:
    """A core of several sites as one core a site, by identities."""
    if len(sizes) == 1:
        return [core]
    left, size, right = core.shape
    bond = left * sizes[0]
    if bond <= core.size // bond:
        first = np.eye(bond, dtype=core.dtype).reshape(left, -1, bond)
        rest = core.reshape(bond, -1, right)
        return [first, *_split_exactly(rest, sizes[1:])]
    bond = sizes[-1] * right
    last = np.eye(bond, dtype=core.dtype).reshape(bond, -1, right)
    rest = core.reshape(left, -1, bond)
    return [*_split_exactly(rest, sizes[:-1]), last]


def _sweep(matrix: np.ndarray, sites, limits, tail) -> Chain:
    """A core for each site; a site is a list of mode pairs.

    What is left to decompose keeps its row-major order throughout: shape
    `(r, rows, columns)` with the modes of the sites still to come.
    """
    rest = matrix[None]
    limits = [None] * (len(sites) - 1) if limits is None else list(limits)
    cores = []
    while len(sites) > 1 and rest.size > SMALL_SIZE:
        count = _group(len(rest), sites)
        found, rest = _step(rest, sites[:count], limits[:count], tail)
        cores += found
        sites, limits = sites[count:], limits[count:]
    modes = list(itertools.chain.from_iterable(sites))
    rest = rest.astype(working_dtype(rest.dtype), copy=False)
    rest = chains.interleaved(rest[..., None], modes)
    found, rest = _small_sweep(rest, _sizes(sites[:-1]), limits, tail)
    return [*cores, *found, rest.reshape(len(rest), -1, 1)]


def _group(bond: int, sites) -> int:
    """How many sites, but the last, fit the rows that are found together."""
    rows = itertools.accumulate(_sizes(sites[:-1]), int.__mul__, initial=bond)
    return max(1, sum(n <= MOST_GROUPED_ROWS for n in rows) - 1)


def _sizes(sites) -> list[int]:
    return [math.prod(i * j for i, j in site) for site in sites]


def _step(rest: np.ndarray, sites, limits, tail):
    """The cores of the leading sites, and the remainder projected on them."""
    modes = list(itertools.chain.from_iterable(sites))
    bond, rows, columns = rest.shape
    i, j = (math.prod(side) for side in zip(*modes, strict=True))
    view = rest.reshape(bond, i, rows // i, j, columns // j)
    unfolding = Unfolding(view.transpose(0, 1, 3, 2, 4), row_axes=3)
    shape = (bond, i * j, -1)
    if len(sites) == 1:
        basis, rest = split(unfolding, limits[0], tail)
        return [chains.interleaved(basis.reshape(shape), modes)], rest
    basis, values = left_svd(unfolding)
    square = chains.interleaved((basis * values).reshape(shape), modes)
    found, _ = _small_sweep(square, _sizes(sites), limits, tail)
    order = np.arange(unfolding.rows).reshape(shape)
    order = chains.interleaved(order, modes).ravel()
    basis = np.empty((unfolding.rows, found[-1].shape[2]))
    basis[order] = _product(found)
    return found, unfolding.left_times(basis.T)


def _small_sweep(rest: np.ndarray, sizes, limits, tail):
    """Cores by dense SVDs, and what remains to the right of them."""
    cores = []
    rest = rest.reshape(len(rest), -1)
    for size, limit in zip(sizes, limits, strict=True):
        bond = len(rest)
        matrix = rest.reshape(bond * size, -1)
        if matrix.dtype == np.float32 and min(matrix.shape) >= LEAST_GRAM_SIDE:
            u, rest = split(Unfolding(matrix), limit, tail)
        else:
            u, values, vt = truncated_svd(matrix, limit, tail)
            rest = values[:, None] * vt
        cores.append(u.reshape(bond, size, -1))
    return cores, rest


def _product(chain: Chain) -> np.ndarray:
    """All cores but their last bond contracted into rows."""
    product = chain[0].reshape(-1, chain[0].shape[2])
    for core in chain[1:]:
        product = product @ core.reshape(len(core), -1)
        product = product.reshape(-1, core.shape[2])
    return product


def _has_idle_ranks(chain: Chain) -> bool:
    return any(core.shape[0] > core[0].size for core in chain)


def _measured(weight: np.ndarray, format: TensorTrain, cores) -> float:
    """Relative error of the cores as they are, in the weight's dtype."""
    modes = chains.site_modes(format)
    chain = chains.from_cores(format, cores, working_dtype(weight.dtype))
    sizes = [i * j for i, j in modes]
    # The bond whose two sides hold the fewest numbers.
    bond = min(
        range(1, len(chain)),
        key=lambda k: (
            format.rank[k - 1] * (math.prod(sizes[:k]) + math.prod(sizes[k:]))
        ),
        default=1,
    )
    return relative_error(weight, *chains.halves(chain, modes, bond))
