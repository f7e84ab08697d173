"""An array read as a matrix, column block by column block.

A decomposition looks at a large kernel through many matrices, each of which
would be a transposed copy of it. Here they are views; only one block at a time
is copied, in the dtype that the arithmetic wants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tensornet_keras.decomposition.threads import threads_for

# Numbers in a block: 4 MiB of float64, about a core's share of the cache.
BLOCK_SIZE = 2**19
# A product with fewer columns than this is bound by its rows' memory.
MOST_NARROW_COLUMNS = 512


def tiles(shape: tuple[int, ...], limit: int) -> Iterator[tuple[slice, ...]]:
    """Covers an array by blocks that are contiguous in row-major order.

    Args:
        shape: Shape of the array.
        limit: Most entries of a block, at least 1.

    Returns:
        An iterator over tuples of slices, one slice an axis, in order.
    """
    if not shape:
        yield ()
        return
    inner = math.prod(shape[1:])
    step = max(1, limit // inner)
    for start in range(0, shape[0], step):
        span = slice(start, min(start + step, shape[0]))
        if inner <= limit:
            yield (span, *(slice(0, size) for size in shape[1:]))
        else:
            for rest in tiles(shape[1:], limit):
                yield (span, *rest)


@dataclass(frozen=True, eq=False)
class Unfolding:
    """A view of an array whose first axes are rows, the others columns.

    Args:
        array: The array with its axes in the order rows, columns. Any
            strides will do: a block is gathered when it is asked for.
        row_axes: How many of its axes are rows.
    """

    array: np.ndarray
    row_axes: int = 1

    @property
    def rows(self) -> int:
        """Number of rows of the matrix."""
        return math.prod(self.array.shape[: self.row_axes])

    @property
    def columns(self) -> int:
        """Number of columns of the matrix."""
        return math.prod(self.column_shape)

    @property
    def column_shape(self) -> tuple[int, ...]:
        """Sizes of the axes that are columns."""
        return self.array.shape[self.row_axes :]

    @property
    def dtype(self) -> np.dtype:
        """The dtype that arithmetic with the array runs in."""
        return working_dtype(self.array.dtype)

    @property
    def transposed(self) -> Unfolding:
        """The same view with rows and columns exchanged."""
        axes = range(self.array.ndim)
        order = (*axes[self.row_axes :], *axes[: self.row_axes])
        return Unfolding(
            self.array.transpose(order), self.array.ndim - self.row_axes
        )

    def blocks(self, dtype) -> Iterator[tuple[tuple[slice, ...], np.ndarray]]:
        """Column blocks from left to right.

        Args:
            dtype: Dtype of the blocks.

        Returns:
            An iterator over pairs: where the block lies among the column
            axes, and the block of shape `(rows, any)`. The next block
            overwrites it.
        """
        narrow = min(self.rows, MOST_NARROW_COLUMNS)
        limit = max(BLOCK_SIZE // self.rows, narrow)
        every_row = (slice(None),) * self.row_axes
        buffer = np.empty(self.rows * min(limit, self.columns), dtype)
        for where in tiles(self.column_shape, limit):
            part = self.array[every_row + where]
            block = buffer[: part.size].reshape(part.shape)
            block[...] = part
            yield where, block.reshape(self.rows, -1)

    def whole(self, dtype) -> np.ndarray:
        """The matrix as one array; for small ones.

        Args:
            dtype: Dtype of the copy.
        """
        return self.array.astype(dtype).reshape(self.rows, self.columns)

    def left_times(self, matrix: np.ndarray) -> np.ndarray:
        """A thin matrix times this one.

        Args:
            matrix: Shape `(k, rows)`.

        Returns:
            The product of shape `(k, *column_shape)`, in the working dtype.
        """
        matrix = np.ascontiguousarray(matrix, self.dtype)
        product = np.empty((len(matrix), *self.column_shape), self.dtype)
        with threads_for(len(matrix)):
            for where, block in self.blocks(self.dtype):
                target = product[(slice(None), *where)]
                target[...] = (matrix @ block).reshape(target.shape)
        return product


def working_dtype(dtype) -> np.dtype:
    """The dtype that arithmetic with a weight of this dtype runs in.

    Args:
        dtype: Dtype of the weight.

    Returns:
        float64 for weights of 8 bytes and more, else float32.
    """
    wide = np.dtype(dtype).itemsize >= 8
    return np.dtype(np.float64 if wide else np.float32)
