"""CP by alternating least squares, and the sums of products that use it.

Kolda and Bader 2009, "Tensor Decompositions and Applications",
https://doi.org/10.1137/07070111X, section 3.4. Starts are tried on the tensor
compressed to the ranks that the terms can have (Bro and Andersson 1998), the
best one is refined on the tensor itself.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tensornet_keras.decomposition.cp_pass import Terms, refined_in_stages
from tensornet_keras.decomposition.cp_starts import (
    best_start,
    compressed,
    fiber_squares,
    in_bases,
    largest_fibers,
    of_rank,
)
from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.kronecker import (
    axes_by_core,
    cores_of,
    equal_norms,
    nearest_kronecker,
)
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import working_dtype
from tensornet_keras.formats import Format

# Above this rank the passes would take more than the matrices of fibers do.
MOST_ALS_RANK = 4096
# Ranks within this share of each other are not told apart.
FINEST_STEP = 512
# Aimed at a little below an error, as it is estimated before it is measured.
MARGIN = 1e-4


def sum_of_products(
    weight: np.ndarray, format: Format, target: Target
) -> Decomposition:
    """The sum of products of a format with one bond on all its cores.

    A single core is the weight, two cores are found by an SVD, more by
    alternating least squares.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound `CP` or `Kronecker`.
        target: The error, or `None` for the format's rank; tolerance, most
            passes and seed of the iteration.

    Returns:
        The bound format of the rank obtained, its cores in the weight's
        dtype with equal norms in all factors of a term, the relative error
        of these cores, and whether the iteration converged.
    """
    if len(format.network.cores) == 2:
        return nearest_kronecker(weight, format, target)
    axes = axes_by_core(format.network)
    tensor = leg_tensor(weight, format.network, working_dtype(weight.dtype))
    labels = format.network.weight_labels
    order = [labels.index(label) for core in axes for label in core]
    if len(axes) == 1:
        return finished(weight, format, [tensor.transpose(order)])
    sizes = [
        math.prod(format.network.sizes[label] for label in core)
        for core in axes
    ]
    tensor = tensor.transpose(order).reshape(sizes)
    if target.error is None:
        terms = cp_als(
            tensor,
            format.rank[0],
            tolerance=target.tolerance,
            max_iterations=target.max_iterations,
            seed=target.seed,
        )
    else:
        terms = _within(tensor, format, target, weight.dtype)
    format = format.with_rank((terms.rank,))
    factors = equal_norms(
        [terms.factors[0] * terms.weights, *terms.factors[1:]]
    )
    return finished(
        weight,
        format,
        cores_of(factors, format.network),
        iterations=terms.iterations,
        converged=terms.converged,
    )


def cp_als(
    tensor: np.ndarray,
    rank: int,
    *,
    tolerance: float = Target.tolerance,
    max_iterations: int = Target.max_iterations,
    seed: int = Target.seed,
    goal: float = 0.0,
    start: Terms | None = None,
) -> Terms:
    """A sum of rank-one tensors close to a tensor.

    Args:
        tensor: An array of float32 or float64 with two axes or more.
        rank: The number of terms. It is cut to the product of all sizes but
            the largest, with which the terms are exact.
        tolerance: The passes have converged once one lowers the error by
            less than this share of it.
        max_iterations: Most passes over the tensor, those of the starts aside.
        seed: Seed of the random starts.
        goal: Relative error at which to stop early.
        start: Terms to begin with, in place of several starts. Terms are
            cut, the smallest ones first, or random ones added.

    Returns:
        The terms, with weights in the units of the tensor.
    """
    limit = tensor.size // max(tensor.shape)
    norm = frobenius_norm(np.ascontiguousarray(tensor))
    if rank >= limit or norm == 0.0:
        return largest_fibers(tensor, min(rank, limit))
    generator = np.random.default_rng(seed)
    limits = (tolerance, max_iterations, goal)
    if start is None:
        terms = best_start(
            tensor / norm, rank, generator, tolerance, max_iterations
        )
    else:
        terms = dataclasses.replace(start, weights=start.weights / norm)
    terms = of_rank(terms, rank, generator)
    terms = refined_in_stages(tensor, terms, limits)
    return dataclasses.replace(terms, weights=terms.weights * norm)


def _within(tensor: np.ndarray, format: Format, target: Target, dtype) -> Terms:
    """The fewest terms found that keep an error.

    Ranks are doubled, then bisected, each from the terms of the run before.
    The fibers of the rotated tensor bound the search: how many of them keep
    the error is known beforehand.
    """
    limit = tensor.size // max(tensor.shape)
    if target.error == 0.0:
        return largest_fibers(tensor, limit)
    goal = tail_norm(target.error, 2, dtype) * (1.0 - MARGIN)
    best = _fibers_within(tensor, format, goal)
    multiple = format.rank_multiple

    def run(rank: int, start: Terms | None) -> Terms:
        return cp_als(
            tensor,
            rank,
            tolerance=target.tolerance,
            max_iterations=target.max_iterations,
            seed=target.seed,
            goal=goal,
            start=start,
        )

    low, rank, last = 0, multiple, None
    while rank < min(best.rank, MOST_ALS_RANK + 1):
        last = run(rank, last)
        if last.relative_error <= goal:
            best = last
            break
        low, rank = rank, 2 * rank
    while best.rank - low > max(multiple, best.rank // FINEST_STEP):
        rank = low + format.rounded_up((best.rank - low) // 2)
        if rank >= best.rank or rank > MOST_ALS_RANK:
            break
        found = run(rank, best)
        if found.relative_error <= goal:
            best = found
        else:
            low = rank
    return best


def _fibers_within(tensor: np.ndarray, format: Format, goal: float) -> Terms:
    """As many fibers of the rotated tensor as keep an error."""
    limit = tensor.size // max(tensor.shape)
    core, bases = compressed(tensor, tensor.shape)
    squares = np.sort(fiber_squares(core))
    tail = goal * frobenius_norm(np.ascontiguousarray(tensor))
    needed = int(np.count_nonzero(np.sqrt(np.cumsum(squares)) > tail))
    rank = min(format.rounded_up(max(1, needed)), limit)
    if rank == limit:
        return largest_fibers(tensor, limit)
    return in_bases(largest_fibers(core, rank), bases)
