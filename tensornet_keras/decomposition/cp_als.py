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

from tensornet_keras.decomposition.cp_pass import (
    Folding,
    Terms,
    normalized,
    refined,
)
from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.kronecker import (
    axes_by_core,
    cores_of,
    equal_norms,
    nearest_kronecker,
)
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.svd import split
from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import Unfolding, working_dtype
from tensornet_keras.formats import Format

# Products of at most so many entries with so many terms are cheap enough for
# several starts.
CHEAP_PRODUCT = 2**28
RANDOM_STARTS = 2
TRIAL_PASSES = 3
# Tensors of more entries are multiplied in float32 while the error is large:
# it is found as a difference of squares, which float32 blurs at 1e-7.
LARGE_SIZE = 2**18
LEAST_FLOAT32_ERROR = 0.1
# Above this rank the passes would take more than the matrices of fibers do.
MOST_ALS_RANK = 4096
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
        max_iterations: Most passes over the tensor.
        seed: Seed of the random starts.
        goal: Relative error at which to stop early.
        start: Terms to begin with, in place of several starts. Terms are
            cut, the smallest ones first, or random ones added.

    Returns:
        The terms, with weights in the units of the tensor.
    """
    limit = tensor.size // max(tensor.shape)
    norm = float(np.linalg.norm(tensor))
    if rank >= limit or norm == 0.0:
        return _largest_fibers(tensor, min(rank, limit))
    generator = np.random.default_rng(seed)
    terms = start
    if start is None:
        terms = _best_start(
            tensor / norm, rank, generator, (tolerance, max_iterations, goal)
        )
    terms = _of_rank(terms, rank, generator)
    terms = _on_the_whole(tensor, terms, (tolerance, max_iterations, goal))
    return dataclasses.replace(terms, weights=terms.weights * norm)


def _on_the_whole(tensor: np.ndarray, terms: Terms, limits) -> Terms:
    """Passes over the tensor itself, in float32 while that is enough."""
    tolerance, max_iterations, goal = limits
    large = tensor.size > LARGE_SIZE
    for dtype in (np.float32, np.float64) if large else (np.float64,):
        floor = LEAST_FLOAT32_ERROR if dtype == np.float32 else 0.0
        done = terms.iterations
        if done == max_iterations:
            break
        terms = refined(
            Folding(tensor.astype(dtype, copy=False)),
            terms,
            tolerance,
            max_iterations - done,
            max(goal, floor),
        )
        terms = dataclasses.replace(terms, iterations=terms.iterations + done)
        if terms.relative_error > floor or terms.relative_error <= goal:
            break
    return terms


def _best_start(
    tensor: np.ndarray, rank: int, generator: np.random.Generator, limits
) -> Terms:
    """The best of several starts, found on the compressed tensor.

    The fibers of largest norm are orthogonal terms, the nearer to the best
    the more of them there are; random terms do better where they are few.
    """
    tolerance, max_iterations, goal = limits
    core, bases = _compressed(
        tensor.astype(np.float32), [min(n, rank) for n in tensor.shape]
    )
    fibers = _largest_fibers(core, rank)
    if core.size * rank > CHEAP_PRODUCT:
        terms = _random_terms(core.shape, rank, generator)
        passes = min(TRIAL_PASSES, max_iterations)
        terms = refined(Folding(core), terms, tolerance, passes)
        best = min(terms, fibers, key=lambda terms: terms.relative_error)
        return _in_bases(best, bases)
    # Passes over so small a core hardly count.
    folding = Folding(core.astype(np.float64))
    starts = [_of_rank(fibers, rank, generator)]
    for _ in range(RANDOM_STARTS):
        starts.append(_random_terms(core.shape, rank, generator))
    found = []
    for terms in starts:
        terms = refined(folding, terms, tolerance, max_iterations)
        terms = _in_bases(terms, bases)
        if core.size < tensor.size:
            trial = (tolerance, min(TRIAL_PASSES, max_iterations), goal)
            terms = _on_the_whole(tensor, terms, trial)
        found.append(terms)
    return min(found, key=lambda terms: terms.relative_error)


def _compressed(tensor: np.ndarray, sizes):
    """The tensor projected on the leading subspaces of its modes.

    Args:
        tensor: The tensor.
        sizes: The most dimensions to keep of each mode.

    Returns:
        The core and a matrix with orthonormal columns for every mode (the
        sequentially truncated HOSVD of Vannieuwenhoven, Vandebril and
        Meerbergen 2012, https://doi.org/10.1137/110836067).
    """
    bases = []
    with threads_for(max(sizes)):
        for mode, size in enumerate(sizes):
            unfolding = Unfolding(np.moveaxis(tensor, mode, 0))
            basis, rest = split(unfolding, size)
            bases.append(basis)
            tensor = np.moveaxis(rest, 0, mode)
    return np.ascontiguousarray(tensor), bases


def _in_bases(terms: Terms, bases) -> Terms:
    """Terms of a compressed tensor as terms of the tensor."""
    factors = tuple(
        basis @ factor
        for basis, factor in zip(bases, terms.factors, strict=True)
    )
    # Of the tensor itself there has been no pass yet.
    return dataclasses.replace(terms, factors=factors, iterations=0)


def _largest_fibers(tensor: np.ndarray, rank: int) -> Terms:
    """The largest fibers along the longest mode, each as one term.

    They are orthogonal to each other, and all of them are the tensor.

    Args:
        tensor: The tensor.
        rank: How many. There may be fewer.
    """
    longest = int(np.argmax(tensor.shape))
    rows, sizes, squares = _fibers(tensor)
    order = np.argsort(-squares, kind="stable")
    missed = math.fsum(squares[order[rank:]])
    total = math.fsum(squares)
    order = order[:rank]
    factors = []
    for size, entries in zip(
        sizes, np.unravel_index(order, sizes), strict=True
    ):
        factor = np.zeros((size, len(order)))
        factor[entries, np.arange(len(order))] = 1.0
        factors.append(factor)
    fibers, weights = normalized(rows[order].T.astype(np.float64))
    factors.insert(longest, fibers)
    error = math.sqrt(missed / total) if total else 0.0
    return Terms(tuple(factors), weights, error)


def _fibers(tensor: np.ndarray):
    """The fibers along the longest mode as rows, and their squared norms."""
    rows = np.moveaxis(tensor, int(np.argmax(tensor.shape)), -1)
    sizes = rows.shape[:-1]
    rows = rows.reshape(-1, rows.shape[-1])
    squares = np.einsum("fn,fn->f", rows, rows, dtype=np.float64)
    return rows, sizes, squares


def _random_terms(
    shape: tuple[int, ...], rank: int, generator: np.random.Generator
) -> Terms:
    """Terms of random directions and without weight."""
    factors = tuple(
        normalized(generator.standard_normal((size, rank)))[0] for size in shape
    )
    return Terms(factors, np.zeros(rank), math.inf)


def _of_rank(terms: Terms, rank: int, generator: np.random.Generator) -> Terms:
    """The largest of the terms, and random ones where they are too few."""
    order = np.argsort(-terms.weights, kind="stable")[:rank]
    shape = tuple(len(factor) for factor in terms.factors)
    more = _random_terms(shape, rank - len(order), generator)
    factors = tuple(
        np.hstack([factor[:, order], new])
        for factor, new in zip(terms.factors, more.factors, strict=True)
    )
    weights = np.concatenate([terms.weights[order], more.weights])
    return Terms(factors, weights, math.inf)


def _within(tensor: np.ndarray, format: Format, target: Target, dtype) -> Terms:
    """The fewest terms found that keep an error.

    Ranks are doubled, then bisected, each from the terms of the run before.
    The fibers of the rotated tensor bound the search: how many of them keep
    the error is known beforehand.
    """
    limit = tensor.size // max(tensor.shape)
    if target.error == 0.0:
        return _largest_fibers(tensor, limit)
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
    while best.rank - low > multiple and low < MOST_ALS_RANK:
        rank = low + format.rounded_up((best.rank - low) // 2)
        if rank >= best.rank:
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
    core, bases = _compressed(tensor, tensor.shape)
    squares = np.sort(_fibers(core)[2])
    tail = goal * np.linalg.norm(tensor)
    needed = int(np.count_nonzero(np.sqrt(np.cumsum(squares)) > tail))
    rank = min(format.rounded_up(max(1, needed)), limit)
    if rank == limit:
        return _largest_fibers(tensor, limit)
    return _in_bases(_largest_fibers(core, rank), bases)
