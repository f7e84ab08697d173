"""The relative error of two factors, measured on the residual in blocks.

A difference of norms has a floor near 1e-4 in float32; the residual itself
does not, and block by block it takes no memory worth naming.
"""

from __future__ import annotations

import math

import numpy as np

from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.decomposition.unfolding import (
    BLOCK_SIZE,
    tiles,
    working_dtype,
)


def relative_error(
    weight: np.ndarray, left: np.ndarray, right: np.ndarray
) -> float:
    """Frobenius norm of `weight - left @ right` over that of the weight.

    Args:
        weight: Shape `(window, input, output)`.
        left: Shape `(window * rows, columns, r)`.
        right: Shape `(r, rows', columns')`. `rows * rows'` is at least the
            input size and `columns * columns'` the output size; the weight
            is the leading part.

    Returns:
        The relative error; 0 for a zero weight met exactly, infinity for
        one that is not.
    """
    dtype = working_dtype(weight.dtype)
    window, _, _ = weight.shape
    left = left.reshape(window, -1, *left.shape[1:]).astype(dtype)
    right = np.ascontiguousarray(right.transpose(1, 0, 2), dtype)
    with threads_for(right.shape[1]):
        missed = sum(map(_residual_square, weight, left, [right] * window))
    total = frobenius_norm(weight)
    if total == 0.0:
        return math.inf if missed else 0.0
    return math.sqrt(missed) / total


def _residual_square(weight, left, right) -> float:
    """Sum of squares of a matrix less `(a, c, r)` times `(b, r, d)`."""
    input_size, output_size = weight.shape
    columns = left.shape[1] * right.shape[2]
    rows = len(right)
    limit = max(1, BLOCK_SIZE // columns)
    total = 0.0
    for outer, inner in tiles((len(left), rows), limit):
        start = outer.start * rows + inner.start
        block = np.matmul(left[outer, None], right[inner]).reshape(-1, columns)
        part = weight[start : start + len(block)]
        block = block[: len(part), :output_size]
        # In float64: the square of a small float32 residual would underflow.
        difference = np.subtract(block, part, dtype=np.float64)
        total += sum_of_squares(difference)
    return total


def frobenius_norm(array: np.ndarray) -> float:
    """Frobenius norm, summed in float64 over blocks.

    Args:
        array: A contiguous array.
    """
    flat = array.reshape(-1)
    total = 0.0
    for start in range(0, flat.size, BLOCK_SIZE):
        block = flat[start : start + BLOCK_SIZE].astype(np.float64)
        total += sum_of_squares(block)
    return math.sqrt(total)


def sum_of_squares(array: np.ndarray) -> float:
    """In one pass, and not by BLAS, which would wake its threads for it.

    Args:
        array: An array of float64.
    """
    flat = array.reshape(-1)
    return float(np.einsum("n,n->", flat, flat))
