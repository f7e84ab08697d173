"""Truncated SVD: the best product of two factors of a weight.

Eckart and Young 1936, "The approximation of one matrix by another of lower
rank"; large matrices by Gram matrix or by a random sample of their range.
"""

from __future__ import annotations

import numpy as np

from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.svd import split
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import Unfolding
from tensornet_keras.formats.low_rank import LowRank


def low_rank(
    weight: np.ndarray, format: LowRank, target: Target
) -> Decomposition:
    """Two factors of a matrix or of a convolution kernel.

    The singular values are shared evenly between the factors: both have the
    same norm, row by row of the bond.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound format. Its rank is the largest allowed.
        target: With an error, the rank is the smallest (a multiple of
            `format.rank_multiple`) that keeps within it.

    Returns:
        The bound format of the rank obtained, its cores in the weight's
        dtype, and the relative error of these cores.
    """
    unfolding = _unfolded(weight, format)
    if target.error is None:
        left, right = split(unfolding, *format.rank)
    elif target.error == 0.0:
        left, right = split(unfolding, *format.attainable_ranks())
    else:
        left, right = _within(unfolding, weight, format, target.error)
    left, right = _balanced(left, right.reshape(len(right), -1))
    format = format.with_rank((len(right),))
    shapes = format.core_shapes
    cores = (left.reshape(shapes[0]), right.reshape(shapes[1]))
    return finished(weight, format, cores)


def _unfolded(weight: np.ndarray, format: LowRank) -> Unfolding:
    """A view of the weight whose rows are the legs of the first core."""
    network = format.network
    rows = [label for label in network.cores[0] if label != "r1"]
    columns = [label for label in network.cores[1] if label != "r1"]
    order = [network.weight_labels.index(k) for k in (*rows, *columns)]
    tensor = leg_tensor(weight, network, weight.dtype)
    return Unfolding(tensor.transpose(order), len(rows))


def _within(unfolding: Unfolding, weight, format: LowRank, error: float):
    """The factors of the smallest rank that keeps the error."""
    tail = tail_norm(error, 2, weight.dtype) * frobenius_norm(weight)
    left, right = split(unfolding, tail=tail)
    rank = min(format.rounded_up(len(right)), *format.attainable_ranks())
    if rank == len(right):
        return left, right
    return split(unfolding, rank)


def _balanced(left: np.ndarray, right: np.ndarray):
    """The same product with the singular values on both sides alike.

    The columns of `left` are orthonormal, so that the rows of `right` have
    the singular values as norms.
    """
    right = right.astype(np.float64, copy=False)
    roots = np.sqrt(np.linalg.norm(right, axis=1))
    roots[roots == 0.0] = 1.0
    return left * roots, right / roots[:, None]
