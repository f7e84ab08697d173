"""Truncated singular value decompositions, thin, by Gram matrix or at random.

A wide unfolding of a large kernel is never decomposed as it stands, nor copied
to float64 whole: its left singular vectors come from its Gram matrix, summed
in float64 over column blocks, or from a QR factorization of the blocks where
the weight itself is float64, or from a random sample of its range.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsyrk

from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.decomposition.unfolding import Unfolding

# Matrices of at most this many numbers go to LAPACK in float64 as they are.
SMALL_SIZE = 2**18
# From this shorter side on a Gram matrix costs less than LAPACK's SVD.
LEAST_GRAM_SIDE = 64
# Below this shorter side a Gram matrix costs less than sampling.
LEAST_SAMPLED_SIDE = 1025
OVERSAMPLING = 10
# A sample is refined until it captures no more than this share in addition.
SAMPLING_TOLERANCE = 1e-6
MOST_REFINEMENTS = 12


def smallest_rank(values: np.ndarray, rank=None, tail=None) -> int:
    """The rank that truncation by rank and by tolerance leaves.

    Args:
        values: Singular values, the largest first.
        rank: Largest rank. `None` sets no limit.
        tail: Largest norm of the singular values dropped. `None` drops those
            beyond the rank only, even where others are zero.

    Returns:
        The smallest rank of at least 1 that drops no more than `tail`, but
        at most `rank`.
    """
    if tail is None:
        return len(values) if rank is None else min(rank, len(values))
    tails = np.sqrt(np.cumsum(np.square(values)[::-1]))[::-1]
    needed = max(1, int(np.count_nonzero(tails > tail)))
    return needed if rank is None else min(needed, rank)


def truncated_svd(matrix: np.ndarray, rank=None, tail=None):
    """Thin SVD of a matrix in memory, truncated by rank and tolerance.

    Args:
        matrix: The matrix. It is copied to float64.
        rank: Largest rank. `None` sets no limit.
        tail: Largest norm of the singular values dropped. `None` sets no
            tolerance.

    Returns:
        `u` of shape `(rows, k)`, the `k` singular values kept and `vt` of
        shape `(k, columns)`, in float64.
    """
    with threads_for(min(matrix.shape)):
        u, values, vt = _lapack_svd(np.asarray(matrix, np.float64))
    k = smallest_rank(values, rank, tail)
    return u[:, :k], values[:k], vt[:k]


def left_svd(unfolding: Unfolding, rank: int | None = None, seed: int = 0):
    """Left singular vectors and singular values of a wide matrix.

    Args:
        unfolding: The matrix, with no more rows than columns.
        rank: How many leading ones to find. `None` finds them all.
        seed: Seed of the random sample, for the large matrices that are
            sampled.

    Returns:
        Orthonormal columns of shape `(rows, k)` and `k` singular values,
        the largest first, in float64.

    Reference:
        Halko, Martinsson and Tropp 2011, "Finding structure with
        randomness", https://arxiv.org/abs/0909.4061, algorithms 4.4 and 5.3.
    """
    rows = unfolding.rows
    rank = rows if rank is None else min(rank, rows)
    width = rank + OVERSAMPLING
    if rows >= LEAST_SAMPLED_SIDE and 8 * width <= rows:
        with threads_for(width):
            return _sampled(unfolding, rank, seed)
    with threads_for(rows):
        short = unfolding.dtype == np.float32
        if short and rows >= LEAST_GRAM_SIDE:
            return _by_gram(unfolding, rank)
        if rows * unfolding.columns <= SMALL_SIZE:
            return _by_triangle(_triangle(unfolding.whole(np.float64)), rank)
        if short:
            return _by_gram(unfolding, rank)
        return _by_triangle(_blocked_triangle(unfolding), rank)


def split(unfolding: Unfolding, rank=None, tail=None):
    """The best product of two thin factors for a matrix of any shape.

    Args:
        unfolding: The matrix.
        rank: Largest rank. `None` sets no limit.
        tail: Largest norm of the error. `None` sets no tolerance.

    Returns:
        Orthonormal columns of shape `(rows, k)` in float64, and the factor
        of shape `(k, *column_shape)` that makes up the rest, in the working
        dtype.
    """
    most = rank if tail is None else None
    if unfolding.rows <= unfolding.columns:
        u, values = left_svd(unfolding, most)
        u = u[:, : smallest_rank(values, rank, tail)]
        return u, unfolding.left_times(u.T)
    v, values = left_svd(unfolding.transposed, most)
    v = v[:, : smallest_rank(values, rank, tail)]
    image = unfolding.transposed.left_times(v.T).reshape(v.shape[1], -1)
    with threads_for(len(image)):
        q, triangle = np.linalg.qr(image.T.astype(np.float64))
        right = (triangle @ v.T).reshape(-1, *unfolding.column_shape)
    return q, right.astype(unfolding.dtype)


def _lapack_svd(matrix: np.ndarray):
    try:
        return scipy.linalg.svd(matrix, full_matrices=False)
    except scipy.linalg.LinAlgError:
        # Divide and conquer fails on rare matrices that QR iteration solves.
        return scipy.linalg.svd(
            matrix, full_matrices=False, lapack_driver="gesvd"
        )


def _triangle(matrix: np.ndarray) -> np.ndarray:
    """R of the transpose's QR: its transpose has the same left vectors."""
    return np.linalg.qr(matrix.T, mode="r")


def _by_triangle(triangle: np.ndarray, rank: int):
    u, values, _ = _lapack_svd(triangle.T)
    return u[:, :rank], values[:rank]


def _blocked_triangle(unfolding: Unfolding) -> np.ndarray:
    triangle = np.zeros((0, unfolding.rows))
    for _, block in unfolding.blocks(np.float64):
        triangle = _triangle(np.hstack([triangle.T, block]))
    return triangle


def _by_gram(unfolding: Unfolding, rank: int):
    """Exact down to 1e-8 of the largest singular value: float32 and less."""
    rows = unfolding.rows
    gram = np.zeros((rows, rows), order="F")
    for _, block in unfolding.blocks(np.float64):
        # Transposed, a row-major block is what BLAS takes without a copy.
        gram = dsyrk(
            1.0, block.T, beta=1.0, c=gram, trans=True, overwrite_c=True
        )
    few = 4 * rank <= rows
    squares, u = scipy.linalg.eigh(
        gram,
        lower=False,
        overwrite_a=True,
        check_finite=False,
        subset_by_index=(rows - rank, rows - 1) if few else None,
        driver="evr" if few else "evd",
    )
    values = np.sqrt(np.maximum(squares[::-1], 0.0))
    return u[:, ::-1][:, :rank], values[:rank]


def _sampled(unfolding: Unfolding, rank: int, seed: int):
    """Randomized range finder, refined by subspace iteration."""
    generator = np.random.default_rng(seed)
    width = rank + OVERSAMPLING
    dtype = unfolding.dtype
    image = np.zeros((unfolding.rows, width))
    for _, block in unfolding.blocks(dtype):
        shape = (block.shape[1], width)
        image += block @ generator.standard_normal(shape, dtype=dtype)
    captured = 0.0
    for _ in range(MOST_REFINEMENTS):
        basis = np.linalg.qr(image)[0]
        image, gram = _gram_times(unfolding, basis)
        before, captured = captured, np.trace(gram)
        if captured - before <= SAMPLING_TOLERANCE * captured:
            break
    squares, rotation = np.linalg.eigh(gram)
    values = np.sqrt(np.maximum(squares[::-1], 0.0))
    return (basis @ rotation[:, ::-1])[:, :rank], values[:rank]


def _gram_times(unfolding: Unfolding, basis: np.ndarray):
    """`A A^T Q` and `Q^T A A^T Q` in one pass over the blocks of `A`."""
    thin = np.ascontiguousarray(basis.T, unfolding.dtype)
    image = np.zeros(basis.shape)
    gram = np.zeros((len(thin), len(thin)))
    for _, block in unfolding.blocks(unfolding.dtype):
        coefficients = thin @ block
        image += block @ coefficients.T
        gram += coefficients @ coefficients.T
    return image, gram
