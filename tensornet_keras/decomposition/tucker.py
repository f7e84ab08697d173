"""Tucker decomposition: truncated HOSVD, then higher-order iteration (HOOI).

De Lathauwer, De Moor and Vandewalle 2000, "On the best rank-1 and
rank-(R1, ..., RN) approximation of higher-order tensors" (algorithm 4.2);
the start is that of Vannieuwenhoven, Vandebril and Meerbergen 2012, "A new
truncation strategy for the higher-order singular value decomposition".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.linalg

from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.passes import passed
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.svd import split
from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import Unfolding, working_dtype
from tensornet_keras.formats.tucker import Tucker

# What rounding leaves uncertain of a squared norm, in units of the dtype's.
ROUNDINGS = 8
# From this length on a factor is improved by orthogonal iteration.
LEAST_ITERATED_SIDE = 256
ORTHOGONAL_STEPS = 2


def tucker(weight: np.ndarray, format: Tucker, target: Target) -> Decomposition:
    """Tucker decomposition of a matrix or of a convolution kernel.

    A factor of full rank is an identity, so that a decomposition of full
    rank is exact. The window of a kernel is not compressed.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound format. Its ranks are the largest allowed.
        target: With an error, each factor in turn leaves out an equal part
            of what may still be missed; the ranks found so are kept and the
            factors improved. Its tolerance and limit are those of `hooi`.

    Returns:
        The bound format of the ranks obtained, its cores in the weight's
        dtype, the relative error of these cores, and how the iteration
        ended.
    """
    network = format.network
    tensor = leg_tensor(weight, network, working_dtype(weight.dtype))
    axes = range(len(format.window), tensor.ndim)
    limits = format.attainable_ranks()
    if target.error is None:
        start = sequential_hosvd(tensor, format.rank, axes)
    elif target.error == 0.0:
        start = sequential_hosvd(tensor, limits, axes)
    else:
        # All factors together may miss what `tail_norm` allows each of them.
        tail = tail_norm(target.error, len(axes) + 1, weight.dtype)
        allowed = tail * math.sqrt(len(axes)) * frobenius_norm(weight)
        start = _within(tensor, axes, allowed, format)
    core, factors, iterations, converged = _improved(
        tensor, *start, axes, target.tolerance, target.max_iterations
    )
    format = format.with_rank(tuple(factor.shape[1] for factor in factors))
    count = len(format.input_modes)
    cores = [
        *factors[:count],
        core,
        *(factor.T for factor in factors[count:]),
    ]
    return finished(
        weight, format, cores, iterations=iterations, converged=converged
    )


def hooi(
    tensor: np.ndarray,
    ranks: Sequence[int],
    axes: Sequence[int],
    tolerance: float = Target.tolerance,
    max_iterations: int = Target.max_iterations,
):
    """The best Tucker approximation that alternating over factors finds.

    Args:
        tensor: An array of float64, or of float32 for contractions in that.
        ranks: One rank for each of these axes, at most the axis' size.
        axes: Axes that get a factor, in ascending order; the others stay as
            they are.
        tolerance: It has converged once a pass lowers the relative error by
            less than this.
        max_iterations: Most passes over the factors.

    Returns:
        The core (with the ranks in the place of the axes), a list of factors
        with orthonormal columns, `(size, rank)` for each of the axes, how
        many passes were made, and whether the tolerance was met.

    Reference:
        De Lathauwer, De Moor and Vandewalle 2000,
        https://doi.org/10.1137/S0895479898346995, algorithm 4.2.
    """
    start = sequential_hosvd(tensor, ranks, axes)
    return _improved(tensor, *start, axes, tolerance, max_iterations)


def sequential_hosvd(
    tensor: np.ndarray, ranks: Sequence[int], axes: Sequence[int]
):
    """Truncated HOSVD, each factor found in what the others have left.

    Args:
        tensor: An array of float64 or float32.
        ranks: One rank for each of these axes, at most the axis' size.
        axes: Axes that get a factor.

    Returns:
        The core and a list of factors `(size, rank)`, as in `hooi`.

    Reference:
        Vannieuwenhoven, Vandebril and Meerbergen 2012,
        https://doi.org/10.1137/110836067, algorithm 2.
    """
    factors = [np.eye(tensor.shape[axis]) for axis in axes]
    core = tensor
    for k in _shortest_first(tensor, axes):
        if ranks[k] < tensor.shape[axes[k]]:
            factors[k], core = _truncated(core, axes[k], ranks[k])
    return core, factors


def _within(tensor: np.ndarray, axes, allowed: float, format: Tucker):
    """A sequential HOSVD that misses at most `allowed`.

    The squares of what the steps leave out add up. What a step had no use
    for goes to the next ones.
    """
    factors = [np.eye(tensor.shape[axis]) for axis in axes]
    limits = format.attainable_ranks()
    core, total = tensor, _square(tensor)
    unsure = ROUNDINGS * np.finfo(tensor.dtype).eps * total
    before, left = total, allowed**2
    for done, k in enumerate(_shortest_first(tensor, axes)):
        share = left / (len(axes) - done)
        basis, rest = _truncated(core, axes[k], None, math.sqrt(share))
        rank = min(format.rounded_up(basis.shape[1]), limits[k])
        if rank == tensor.shape[axes[k]]:
            continue
        if rank > basis.shape[1]:
            basis, rest = _truncated(core, axes[k], rank)
        factors[k], core = basis, rest
        after = _square(core)
        left -= min(share, max(0.0, before - after) + unsure)
        before = after
    return core, factors


def _shortest_first(tensor: np.ndarray, axes):
    """Places in `axes`: short axes have small Gram matrices."""
    return sorted(range(len(axes)), key=lambda k: tensor.shape[axes[k]])


def _truncated(tensor: np.ndarray, axis: int, rank, tail=None):
    """A factor of one axis, and the tensor projected on it."""
    unfolding = Unfolding(np.moveaxis(tensor, axis, 0))
    basis, rest = split(unfolding, rank, tail)
    missing = 0 if rank is None else rank - basis.shape[1]
    if missing > 0:
        # More than the rank of the unfolding: any directions will do.
        basis = np.hstack([basis, np.zeros((len(basis), missing))])
        basis = np.linalg.qr(basis)[0]
        rest = unfolding.left_times(basis.T)
    return basis, np.moveaxis(rest, 0, axis)


def _improved(tensor, core, factors, axes, tolerance, max_iterations):
    """Passes of HOOI from these factors, while they lower the error."""
    moving = [
        k
        for k, axis in enumerate(axes)
        if factors[k].shape[1] < tensor.shape[axis]
    ]
    total = _square(tensor)
    if len(moving) < 2 or total == 0.0:
        # The truncated SVD of a single unfolding is optimal as it is.
        return core, factors, 0, True
    unsure = ROUNDINGS * np.finfo(tensor.dtype).eps
    captured = _square(core) / total
    with threads_for(max(factors[k].shape[1] for k in moving)):
        for iteration in range(1, max_iterations + 1):
            new = list(factors)
            new_core = _pass(tensor, axes, new, moving)
            passed()
            before, captured = captured, _square(new_core) / total
            if captured <= before:
                return core, factors, iteration, True
            core, factors = new_core, new
            gain = _missed(before) - _missed(captured)
            if captured - before <= unsure or gain < tolerance:
                return core, factors, iteration, True
    return core, factors, max_iterations, False


def _square(array: np.ndarray) -> float:
    """Square of the Frobenius norm, in float64."""
    return frobenius_norm(np.ascontiguousarray(array)) ** 2


def _missed(captured: float) -> float:
    """Relative error where this share of the squared norm is kept."""
    return math.sqrt(max(0.0, 1.0 - captured))


def _pass(tensor: np.ndarray, axes, factors, moving) -> np.ndarray:
    """Improves every moving factor once, in place, and gives the core.

    Half of the axes are contracted before the other half is visited, so
    that the whole tensor is read twice a pass however many axes it has.
    """
    if len(moving) == 1:
        [k] = moving
        factors[k] = _better(tensor, axes[k], factors[k])
        return _times(tensor, axes[k], factors[k])
    middle = len(moving) // 2
    first, second = moving[:middle], moving[middle:]
    rest = tensor
    for k in reversed(second):
        rest = _times(rest, axes[k], factors[k])
    _pass(rest, axes, factors, first)
    for k in first:
        tensor = _times(tensor, axes[k], factors[k])
    return _pass(tensor, axes, factors, second)


def _times(tensor: np.ndarray, axis: int, factor: np.ndarray) -> np.ndarray:
    """The tensor with an axis contracted with a factor `(size, rank)`."""
    shape = tensor.shape
    factor = factor.astype(tensor.dtype, copy=False)
    left, right = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    if right == 1:
        product = tensor.reshape(left, -1) @ factor
    else:
        product = factor.T @ tensor.reshape(left, shape[axis], right)
    return product.reshape(*shape[:axis], factor.shape[1], *shape[axis + 1 :])


def _better(tensor: np.ndarray, axis: int, factor: np.ndarray):
    """Leading left singular vectors of an unfolding, which is projected.

    On a long axis eigenvectors would take most of the time of a pass: a few
    steps of orthogonal iteration from the last factor gain nearly as much.
    """
    rows, rank = factor.shape
    matrix = np.moveaxis(tensor, axis, 0).reshape(rows, -1)
    columns = matrix.shape[1]
    if rows >= LEAST_ITERATED_SIDE and 4 * rank <= rows and rank <= columns:
        for _ in range(ORTHOGONAL_STEPS):
            image = matrix.T @ factor.astype(matrix.dtype)
            # Scaled, for a small float32 squared would be lost.
            image = matrix @ (image / (np.abs(image).max() or 1.0))
            factor = np.linalg.qr(image.astype(np.float64))[0]
        return factor
    matrix = matrix.astype(np.float64, copy=False)
    if rank <= columns < rows:
        vectors = matrix @ _eigenvectors(matrix.T @ matrix, rank)
        return np.linalg.qr(vectors)[0]
    return _eigenvectors(matrix @ matrix.T, rank)


def _eigenvectors(gram: np.ndarray, count: int) -> np.ndarray:
    """Those of the largest eigenvalues, the largest first."""
    size = len(gram)
    _, vectors = scipy.linalg.eigh(
        gram,
        subset_by_index=(size - count, size - 1),
        overwrite_a=True,
        check_finite=False,
    )
    return vectors[:, ::-1]
