"""Block SVD: the best block tensor train of a dense weight.

Every block of the weight, one for each `(i1, j2)`, is approximated on its
own: by Eckart and Young the truncated SVDs of the blocks are the closest
block tensor train (Qiu et al. 2024, arXiv 2406.06248; Dao et al.
2022, arXiv 2204.00595, theorem 1, for rank 1).
"""

from __future__ import annotations

import math

import numpy as np

from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import BLOCK_SIZE, working_dtype
from tensornet_keras.formats.block_tensor_train import BlockTensorTrain

# A block's factors are balanced as far as its singular values are at least
# this share of the largest one of all blocks.
LEAST_BALANCED = 1e-6


def block_svd(
    weight: np.ndarray, format: BlockTensorTrain, target: Target
) -> Decomposition:
    """Block tensor train of a matrix or of a convolution kernel.

    A block that keeps its full rank costs nothing and is exact.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound block tensor train.
        target: With an error, the common rank of all blocks is the smallest
            whose dropped singular values stay within it.

    Returns:
        The bound format of the rank obtained, its cores in the weight's
        dtype, and the relative error of these cores.
    """
    network = format.network
    # Axes (i1, j2, *window, i2, j1): a stack of blocks.
    spatial = network.labels_of("window")
    order = ("i1", "j2", *spatial, "i2", "j1")
    axes = [network.weight_labels.index(label) for label in order]
    stack = leg_tensor(weight, network, weight.dtype).transpose(axes)
    (limit,) = format.attainable_ranks()
    (rank,) = format.rank
    if target.error is not None:
        rank = _smallest_rank(weight, stack, target.error, limit)
        rank = min(limit, format.rounded_up(rank))
    right, left = _cores(stack, rank)
    window, (i1, i2) = format.window, format.input_modes
    j1, j2 = format.output_modes
    right = right.reshape(i1, j2, -1, i2, rank).transpose(2, 0, 3, 1, 4)
    right = right.reshape(*window, i1, i2, j2, rank)
    left = left.reshape(i1, j2, rank, j1).transpose(1, 0, 2, 3)
    return finished(weight, format.with_rank((rank,)), (right, left))


def _chunks(stack: np.ndarray):
    """Runs of blocks as float64 matrices, a few MiB at a time."""
    first, second = stack.shape[:2]
    columns = stack.shape[-1]
    block = math.prod(stack.shape[2:])
    step = max(1, BLOCK_SIZE // (second * block))
    inner = max(1, min(second, BLOCK_SIZE // block))
    for start in range(0, first, step):
        for other in range(0, second, inner):
            part = stack[start : start + step, other : other + inner]
            shape = (*part.shape[:2], block // columns, columns)
            where = slice(start, start + step), slice(other, other + inner)
            yield where, part.astype(np.float64).reshape(shape)


def _smallest_rank(weight, stack: np.ndarray, error: float, limit: int) -> int:
    """The rank whose dropped singular values are within the error."""
    if error == 0.0:
        return limit
    squares = np.zeros(limit)
    with threads_for(limit):
        for _, blocks in _chunks(stack):
            _, values = _left_svd(_wide(blocks), weight.dtype)
            squares += np.square(values).sum(axis=(0, 1))
    allowed = tail_norm(error, 2, weight.dtype) * frobenius_norm(weight)
    tails = np.sqrt(np.cumsum(squares[::-1])[::-1])
    return max(1, int(np.count_nonzero(tails > allowed)))


def _cores(stack: np.ndarray, rank: int):
    """The factors of all blocks: `(i1, j2, rows, r)` and `(i1, j2, r, j1)`."""
    first, second = stack.shape[:2]
    columns = stack.shape[-1]
    rows = math.prod(stack.shape[2:-1])
    right = np.empty((first, second, rows, rank))
    left = np.empty((first, second, rank, columns))
    with threads_for(min(rows, columns)):
        for where, blocks in _chunks(stack):
            if rank == rows:
                right[where], left[where] = np.eye(rank), blocks
            elif rank == columns:
                right[where], left[where] = blocks, np.eye(rank)
            else:
                factors = _factors(blocks, rank, stack.dtype)
                right[where], left[where] = factors
    return right, left


def _wide(blocks: np.ndarray) -> np.ndarray:
    """The blocks, transposed where they have more rows than columns."""
    rows, columns = blocks.shape[-2:]
    return blocks if rows <= columns else blocks.swapaxes(-1, -2)


def _left_svd(wide: np.ndarray, dtype):
    """Left singular vectors and singular values of wide matrices.

    The Gram matrix is exact down to 1e-8 of the largest singular value: all
    that a weight of float32 or less can tell.
    """
    if working_dtype(dtype) == np.float64:
        u, values, _ = np.linalg.svd(wide, full_matrices=False)
        return u, values
    squares, u = np.linalg.eigh(wide @ wide.swapaxes(-1, -2))
    values = np.sqrt(np.maximum(squares[..., ::-1], 0.0))
    return u[..., ::-1], values


def _factors(blocks: np.ndarray, rank: int, dtype):
    """Two factors of every block, each with the roots of its spectrum."""
    wide = _wide(blocks)
    u, values = _left_svd(wide, dtype)
    u, values = u[..., :rank], values[..., :rank]
    rest = u.swapaxes(-1, -2) @ wide
    largest = values.max()
    # Zeros are not divided by, and zero blocks keep a factor for gradients.
    roots = np.sqrt(np.maximum(values, LEAST_BALANCED * largest or 1.0))
    u, rest = u * roots[..., None, :], rest / roots[..., None]
    if wide is blocks:
        return u, rest
    return rest.swapaxes(-1, -2), u.swapaxes(-1, -2)
