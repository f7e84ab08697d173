"""Starts of CP by alternating least squares, on the compressed tensor.

A tensor whose terms are few is compressed to as many dimensions a mode before
anything is tried on it (Bro and Andersson 1998, "Improving the speed of
multiway algorithms. Part II: Compression",
https://doi.org/10.1016/S0169-7439(98)00011-2).
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
    refined_in_stages,
)
from tensornet_keras.decomposition.svd import split
from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.decomposition.unfolding import Unfolding

# Products of at most so many entries with so many terms are cheap enough for
# several starts.
CHEAP_PRODUCT = 2**28
DEAR_PASSES = 3
# Every start may take so many multiply-adds, and these passes at least.
TRIAL_WORK = 2**26
LEAST_TRIAL_PASSES = 8
# A start need not converge as far: the tensor itself has the last word.
START_TOLERANCE = 5.0


def best_start(
    tensor: np.ndarray,
    rank: int,
    generator: np.random.Generator,
    tolerance: float,
    max_iterations: int,
) -> Terms:
    """The best of several starts, found on the compressed tensor.

    The fibers of largest norm are orthogonal terms, the nearer to the best
    the more of them there are; leading directions, or random ones, often do
    better where they are few.

    Args:
        tensor: A tensor of norm 1.
        rank: The number of terms; there may be fewer.
        generator: Source of the random starts.
        tolerance: The relative decrease of the error at which the
            iteration on the tensor itself will stop.
        max_iterations: The most passes of one start.
    """
    core, bases = compressed(
        tensor.astype(np.float32), [min(n, rank) for n in tensor.shape]
    )
    fibers = largest_fibers(core, rank)
    if core.size * rank > CHEAP_PRODUCT:
        terms = _random_terms(core.shape, rank, generator)
        passes = min(DEAR_PASSES, max_iterations)
        terms = refined(Folding(core), terms, tolerance, passes)
        best = min(terms, fibers, key=lambda terms: terms.relative_error)
        return in_bases(best, bases)
    starts = [
        of_rank(fibers, rank, generator),
        of_rank(_diagonal_terms(core.shape), rank, generator),
        _random_terms(core.shape, rank, generator),
    ]
    passes = max(LEAST_TRIAL_PASSES, TRIAL_WORK // (core.size * rank))
    passes = min(passes, max_iterations)
    tolerance *= START_TOLERANCE
    tried = [
        refined_in_stages(core, terms, (tolerance, passes, 0.0))
        for terms in starts
    ]
    best = min(tried, key=lambda terms: terms.relative_error)
    best = refined_in_stages(core, best, (tolerance, max_iterations, 0.0))
    return in_bases(best, bases)


def compressed(tensor: np.ndarray, sizes):
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


def in_bases(terms: Terms, bases) -> Terms:
    """Terms of a compressed tensor as terms of the tensor.

    Args:
        terms: Terms of the core.
        bases: What `compressed` returned with it.
    """
    factors = tuple(
        basis @ factor
        for basis, factor in zip(bases, terms.factors, strict=True)
    )
    # Of the tensor itself there has been no pass yet.
    return dataclasses.replace(terms, factors=factors, iterations=0)


def largest_fibers(tensor: np.ndarray, rank: int) -> Terms:
    """The largest fibers along the longest mode, each as one term.

    They are orthogonal to each other, and all of them are the tensor.

    Args:
        tensor: The tensor.
        rank: How many. There may be fewer.
    """
    longest = int(np.argmax(tensor.shape))
    *sizes, length = _fibers(tensor).shape
    rows = _fibers(tensor).reshape(-1, length)
    squares = fiber_squares(tensor)
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


def fiber_squares(tensor: np.ndarray) -> np.ndarray:
    """The squared norms of the fibers along the longest mode.

    Args:
        tensor: The tensor.
    """
    rows = _fibers(tensor)
    rows = rows.reshape(-1, rows.shape[-1])
    return np.einsum("fn,fn->f", rows, rows, dtype=np.float64)


def _fibers(tensor: np.ndarray) -> np.ndarray:
    """The tensor with its longest mode last."""
    return np.moveaxis(tensor, int(np.argmax(tensor.shape)), -1)


def _diagonal_terms(shape: tuple[int, ...]) -> Terms:
    """The leading directions of all modes, one with one."""
    rank = min(shape)
    factors = tuple(np.eye(size, rank) for size in shape)
    return Terms(factors, np.zeros(rank), math.inf)


def _random_terms(
    shape: tuple[int, ...], rank: int, generator: np.random.Generator
) -> Terms:
    """Terms of random directions and without weight."""
    factors = tuple(
        normalized(generator.standard_normal((size, rank)))[0] for size in shape
    )
    return Terms(factors, np.zeros(rank), math.inf)


def of_rank(terms: Terms, rank: int, generator: np.random.Generator) -> Terms:
    """The largest of the terms, and random ones where they are too few.

    Args:
        terms: Any number of terms.
        rank: How many are wanted.
        generator: Source of the random ones.
    """
    order = np.argsort(-terms.weights, kind="stable")[:rank]
    shape = tuple(len(factor) for factor in terms.factors)
    more = _random_terms(shape, rank - len(order), generator)
    factors = tuple(
        np.hstack([factor[:, order], new])
        for factor, new in zip(terms.factors, more.factors, strict=True)
    )
    weights = np.concatenate([terms.weights[order], more.weights])
    return Terms(factors, weights, math.inf)
