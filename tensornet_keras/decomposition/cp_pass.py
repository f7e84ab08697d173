"""Passes of alternating least squares over the factors of a CP.

Two products with the tensor serve all modes of a pass (Phan, Tichavsky and
Cichocki 2013, "Fast alternating LS algorithms for high order CANDECOMP/PARAFAC
tensor factorizations", https://doi.org/10.1109/TSP.2013.2269903). Passes are
extrapolated, and taken back where that fails (Ang, Cohen, Hien and Gillis 2020,
https://doi.org/10.1109/ICASSP40776.2020.9053849).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dposv

from tensornet_keras.decomposition.passes import passed
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.threads import products_for, threads_for

# Up to this rank least squares are solved by Cholesky, above by a few steps
# of conjugate gradients from the factor of the pass before.
MOST_CHOLESKY_RANK = 512
GRADIENT_STEPS = 4
# The squared norms of the terms count as error, times this and the error's
# square. Terms that cancel each other are a hundredfold the tensor's norm.
RIDGE = 1e-3
LEAST_RIDGE = 1e-12
# Extrapolation: the first step, its growth, and its largest.
FIRST_STEP, GROWTH, LARGEST_STEP = 0.5, 1.1, 1.0
# So many passes in a row must gain little: one alone may be a bad step.
SLOW_PASSES = 2
# Tensors of more entries are multiplied in float32 while the error is large:
# it is found as a difference of squares, which float32 blurs at 1e-7.
LARGE_SIZE = 2**16
LEAST_FLOAT32_ERROR = 0.1
# Squared errors below are rounding in float64.
LEAST_SQUARE = 1e-15


@dataclass(frozen=True, eq=False)
class Terms:
    """A sum of rank-one tensors that stands for a tensor.

    Args:
        factors: A matrix for every mode, of shape `(size, rank)`, whose
            columns have norm 1.
        weights: The norm of every term.
        relative_error: Frobenius norm of the difference from the tensor,
            over that of the tensor.
        iterations: How many passes were made.
        converged: Whether the last pass gained less than the tolerance, or
            reached the error wanted.
    """

    factors: tuple[np.ndarray, ...]
    weights: np.ndarray
    relative_error: float
    iterations: int = 0
    converged: bool = True

    @property
    def rank(self) -> int:
        """Number of terms."""
        return len(self.weights)


class Folding:
    """A tensor of norm 1 as a matrix: the leading modes by the others.

    Args:
        tensor: An array of float32 or float64, of two axes and more.
    """

    def __init__(self, tensor: np.ndarray):
        norm = frobenius_norm(np.ascontiguousarray(tensor))
        self.shape = tensor.shape
        order = tensor.ndim
        # Where the Khatri-Rao products of the two sides are shortest.
        cut = min(
            range(1, order),
            key=lambda k: math.prod(self.shape[:k]) + math.prod(self.shape[k:]),
        )
        self.sides = (tuple(range(cut)), tuple(range(cut, order)))
        rows = math.prod(self.shape[:cut])
        self.matrix = (tensor / (norm or 1.0)).reshape(rows, -1)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the products with the tensor."""
        return self.matrix.dtype

    def image(self, side: int, factors, multiply=np.matmul) -> np.ndarray:
        """The tensor contracted with the terms' factors of the other side.

        Args:
            side: 0 for the leading modes, 1 for the others.
            factors: The factors of all modes.
            multiply: The product of two matrices.

        Returns:
            An array of the side's sizes and, last, the rank.
        """
        other = [
            factors[mode].astype(self.dtype, copy=False)
            for mode in self.sides[1 - side]
        ]
        product = functools.reduce(_khatri_rao, other)
        matrix = self.matrix.T if side else self.matrix
        sizes = [self.shape[mode] for mode in self.sides[side]]
        return multiply(matrix, product).reshape(*sizes, -1)


def refined(
    folding: Folding,
    start: Terms,
    tolerance: float,
    max_passes: int,
    goal: float = 0.0,
) -> Terms:
    """Passes until the error hardly falls, or reaches a goal.

    Args:
        folding: The tensor.
        start: Terms to start from; a weight may be 0.
        tolerance: The relative decrease of the error at which to stop.
        max_passes: Most passes, at least 1.
        goal: The error to stop at.

    Returns:
        The terms after the last pass that lowered the error.
    """
    rank = start.rank
    many = rank > MOST_CHOLESKY_RANK
    dtype = folding.dtype if many else np.float64
    current = [np.asarray(factor, dtype) for factor in start.factors]
    weights = np.asarray(start.weights, dtype)
    before, square, step, largest = None, math.inf, FIRST_STEP, LARGEST_STEP
    ridge, converged, passes, slow = RIDGE, False, 0, 0
    with products_for(rank) as multiply:
        while passes < max_passes and not converged:
            passes += 1
            trial = current
            if before is not None:
                trial = [
                    _extrapolated(new, old, step)
                    for new, old in zip(current, before, strict=True)
                ]
            found = _swept(folding, trial, weights, ridge, multiply)
            passed()
            if found[2] > square and before is not None:
                before, largest = None, max(step, 0.1)
                step /= 2
                continue
            error, last = math.sqrt(found[2]), math.sqrt(square)
            slow = slow + 1 if last - error <= tolerance * error else 0
            converged = (
                slow == SLOW_PASSES or error <= goal or found[2] <= LEAST_SQUARE
            )
            if found[2] <= square:
                before = current
                current, weights, square = found
                step = min(step * GROWTH, largest)
                ridge = max(RIDGE * square, LEAST_RIDGE)
    return Terms(tuple(current), weights, math.sqrt(square), passes, converged)


def refined_in_stages(tensor: np.ndarray, terms: Terms, limits) -> Terms:
    """Passes over a tensor, in float32 while that is enough.

    Args:
        tensor: An array of float32 or float64 with two axes or more.
        terms: Terms to start from, with the number of passes made so far.
        limits: The tolerance, the most passes and the error to stop at.

    Returns:
        The terms, with weights for a tensor of norm 1.
    """
    tolerance, max_passes, goal = limits
    large = tensor.size > LARGE_SIZE
    for dtype in (np.float32, np.float64) if large else (np.float64,):
        floor = LEAST_FLOAT32_ERROR if dtype == np.float32 else 0.0
        done = terms.iterations
        if done == max_passes:
            break
        terms = refined(
            Folding(tensor.astype(dtype, copy=False)),
            terms,
            tolerance,
            max_passes - done,
            max(goal, floor),
        )
        terms = dataclasses.replace(terms, iterations=terms.iterations + done)
        if terms.relative_error > floor or terms.relative_error <= goal:
            break
    return terms


def _swept(folding: Folding, factors, weights, ridge: float, multiply):
    """One pass over all modes: factors, weights and squared error."""
    factors = list(factors)
    # Small ranks are at one thread already; asking again would cost more.
    many = len(weights) > MOST_CHOLESKY_RANK
    with threads_for(1) if many else contextlib.nullcontext():
        grams = [factor.T @ factor for factor in factors]
    for side in (0, 1):
        image = folding.image(side, factors, multiply)
        with threads_for(1) if many else contextlib.nullcontext():
            weights, square = _updated(
                folding.sides, side, image, factors, grams, weights, ridge
            )
    return factors, weights, square


def _updated(sides, side, image, factors, grams, weights, ridge):
    """Updates the factors of a side, in place: weights and squared error."""
    modes = sides[side]
    others = _hadamard([grams[mode] for mode in sides[1 - side]])
    for place, mode in enumerate(modes):
        later = modes[place + 1 :]
        wanted = image
        for other in reversed(later):
            wanted = _contracted(wanted, factors[other], -2)
        wanted = wanted.astype(weights.dtype, copy=False)
        gram = _hadamard([others, *(grams[m] for m in modes if m != mode)])
        update = _solved(gram, ridge, wanted, factors[mode] * weights)
        weights = np.linalg.norm(update, axis=0)
        factors[mode] = np.where(
            weights > 0, update / _nonzero(weights), factors[mode]
        )
        grams[mode] = factors[mode].T @ factors[mode]
        if later:
            image = _contracted(image, factors[mode], 0)
    inner = float(np.sum(wanted * update, dtype=np.float64))
    norm = float(np.sum((update @ gram) * update, dtype=np.float64))
    return weights, max(1.0 - 2.0 * inner + norm, 0.0)


def _solved(gram, ridge: float, wanted, start) -> np.ndarray:
    """The rows `x` with `x (gram + ridge) = wanted`."""
    rank = len(gram)
    if rank <= MOST_CHOLESKY_RANK:
        gram = gram.copy()
        gram.flat[:: rank + 1] += ridge
        _, transposed, failed = dposv(gram, wanted.T)
        if not failed:
            return transposed.T
    return _conjugate_gradients(gram, ridge, wanted, start)


def _conjugate_gradients(gram, ridge: float, wanted, solution) -> np.ndarray:
    """A few steps for all rows at once; each lowers the error."""
    residual = wanted - solution @ gram - ridge * solution
    direction = residual
    square = np.einsum("nr,nr->n", residual, residual)
    for _ in range(GRADIENT_STEPS):
        image = direction @ gram + ridge * direction
        curvature = np.einsum("nr,nr->n", direction, image)
        length = (square / _nonzero(curvature))[:, None]
        solution = solution + length * direction
        residual = residual - length * image
        last, square = square, np.einsum("nr,nr->n", residual, residual)
        turn = (square / _nonzero(last))[:, None]
        direction = residual + turn * direction
    return solution


def _contracted(image, factor, axis: int) -> np.ndarray:
    """An image contracted with a factor over one axis, term by term."""
    equation = "...nr,nr->...r" if axis else "n...r,nr->...r"
    return np.einsum(equation, image, factor.astype(image.dtype, copy=False))


def _hadamard(matrices) -> np.ndarray:
    """The entrywise product; of one matrix it is that matrix."""
    if len(matrices) == 1:
        return matrices[0]
    product = matrices[0] * matrices[1]
    for matrix in matrices[2:]:
        product *= matrix
    return product


def _khatri_rao(left, right) -> np.ndarray:
    return (left[:, None] * right).reshape(-1, left.shape[1])


def _extrapolated(current, before, step: float) -> np.ndarray:
    return normalized(current + step * (current - before))[0]


def normalized(factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A factor with columns of norm 1, or 0 where they are 0, and the norms.

    Args:
        factor: Shape `(size, rank)`.
    """
    norms = np.linalg.norm(factor, axis=0)
    return factor / _nonzero(norms), norms


def _nonzero(values: np.ndarray) -> np.ndarray:
    """The values with ones in place of zeros."""
    return np.where(values > 0, values, np.ones_like(values))
