"""Alternating least squares for any network, from a tree that spans it.

A network without loops starts at its hierarchical SVD, which is exact at full
rank and close to the best below it. One with loops, or with bonds of three
cores and more, starts at the hierarchical SVD of a spanning tree, and small
ones at random cores too: the best end is kept.
"""

from __future__ import annotations

import bisect
import dataclasses
import math

import numpy as np

from tensornet_keras.decomposition.alternation import (
    TooLarge,
    alternate,
    widened,
)
from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.spanning import (
    spanning_cores,
    spanning_tree,
)
from tensornet_keras.decomposition.svd import SMALL_SIZE
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import working_dtype
from tensornet_keras.formats import Format
from tensornet_keras.network import TensorNetwork

# Random starts beside the spanning tree's, for weights of at most so many
# numbers; a larger one takes too long.
RESTARTS = 2
MOST_RESTARTED = 2**15
# A start that misses no more than this is left as it is.
EXACT = 1e-6
# Differences of norms tell errors above this apart, in float32 too.
CLOSE = 1e-3


def network_als(
    weight: np.ndarray, format: Format, target: Target
) -> Decomposition:
    """Cores of any network for a matrix or a convolution kernel.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound format. Its ranks are the largest allowed.
        target: With an error, a network without loops keeps the fewest
            singular values of every bond that leave at most
            `error / sqrt(bonds)` of the weight's norm. Any other network
            takes the least common rank whose passes meet the error, if that
            has fewer parameters than its spanning tree at that error.

    Returns:
        The bound format of the ranks obtained, which are lower than asked
        where these are exact, its cores in the weight's dtype and the
        relative error of these cores.
    """
    problem = _Problem(weight, format, target)
    if target.error is not None:
        return problem.within(target.error)
    return problem.at(format.rank)


class _Problem:
    """A weight that is to be decomposed, at one set of ranks or another."""

    def __init__(self, weight, format, target):
        self.weight, self.format, self.target = weight, format, target
        self.tensor = image(weight, format.network)
        self.norm = frobenius_norm(self.tensor)
        bonds = dict(format.network.bonds)
        limits = format.attainable_ranks()
        self.limits = dict(zip(bonds, limits, strict=True))
        self.tree = spanning_tree(format.network, self.limits)

    def at(self, rank, goal: float = 0.0) -> Decomposition:
        """The best cores found at these ranks."""
        wanted = self.format.with_rank(rank)
        links = self.tree.links_within(dict(wanted.network.bonds))
        cores, used, kept = spanning_cores(self.tensor, self.tree, links)
        if missed(self.norm, kept) <= max(CLOSE, goal):
            start = self._finished(used, cores)
            if start.relative_error <= max(EXACT, goal):
                return start
        seed = self.target.seed
        best = self._improved(
            wanted, widened(cores, wanted.network, seed), goal
        )
        if not _is_tree(wanted.network) and self.tensor.size <= MOST_RESTARTED:
            generator = np.random.default_rng(seed)
            for _ in range(RESTARTS):
                if best.relative_error <= goal:
                    break
                random = map(
                    generator.standard_normal, wanted.network.core_shapes
                )
                again = self._improved(wanted, list(random), goal)
                best = min(best, again, key=lambda d: d.relative_error)
        return best

    def within(self, error: float) -> Decomposition:
        """The fewest parameters found that keep a relative error."""
        best = self._tree_within(error)
        if error == 0.0 or _is_tree(self.format.network):
            return best
        best = self._least_common_rank(error, best) or best
        # Not every network can hold every weight.
        met = best.relative_error <= max(error, CLOSE)
        return dataclasses.replace(best, converged=met)

    def _tree_within(self, error: float) -> Decomposition:
        """The spanning tree alone: every split drops its share."""
        count = max(1, len(self.tree.steps))
        tail = tail_norm(error, count + 1, self.weight.dtype) * self.norm
        links = self.tree.links_within(self.limits)
        cores, used, _ = spanning_cores(
            self.tensor, self.tree, links, tail if error else None
        )
        rounded = {
            bond: min(self.format.rounded_up(used[bond]), limit)
            for bond, limit in self.limits.items()
        }
        if rounded == used or not error:
            return self._finished(used, cores)
        wider = self.format.with_rank(tuple(rounded.values()))
        links = self.tree.links_within(rounded)
        cores, _, _ = spanning_cores(self.tensor, self.tree, links)
        cores = widened(cores, wider.network, self.target.seed)
        return finished(self.weight, wider, cores)

    def _finished(self, bonds: dict[str, int], cores) -> Decomposition:
        found = self.format.with_rank(tuple(bonds.values()))
        return finished(self.weight, found, cores)

    def _least_common_rank(self, error: float, bound: Decomposition):
        """The decomposition of least common rank below a size, if any."""
        step = self.format.rank_multiple
        most = bound.format.num_params

        def ranks(steps: int) -> tuple[int, ...]:
            return self.format.resolved(steps * step)

        top = bisect.bisect_left(
            range(1, max(self.limits.values(), default=1) // step + 2),
            most,
            key=lambda steps: self.format.with_rank(ranks(steps)).num_params,
        )
        low, high, met = 0, 0, None
        while met is None and low < top:
            high = min(2 * low or 1, top)
            found = self.at(ranks(high), error)
            met = found if found.relative_error <= error else None
            low = low if met else high
        while met and high - low > 1:
            middle = (low + high) // 2
            found = self.at(ranks(middle), error)
            if found.relative_error <= error:
                met, high = found, middle
            else:
                low = middle
        return met

    def _improved(self, wanted: Format, cores, goal: float) -> Decomposition:
        try:
            cores, _, passes, converged = alternate(
                self.tensor, wanted.network, cores, self.target, goal
            )
        except TooLarge:
            # The start of a tree is within a root of its bonds of the best.
            passes, converged = 0, _is_tree(wanted.network)
        return finished(
            self.weight,
            wanted,
            cores,
            iterations=passes,
            converged=converged,
        )


def missed(norm: float, kept: float) -> float:
    """Relative error of orthonormal cores, up to rounding.

    Args:
        norm: Norm of the weight.
        kept: Norm of the only core that is not orthonormal.
    """
    return math.sqrt(max(0.0, 1.0 - (kept / norm) ** 2)) if norm else 0.0


def image(weight: np.ndarray, network: TensorNetwork) -> np.ndarray:
    """The weight with one axis per leg: small ones in float64.

    Args:
        weight: An array of the shape `network.weight_shape`.
        network: The network that is to stand for it.
    """
    small = weight.size <= SMALL_SIZE
    dtype = np.float64 if small else working_dtype(weight.dtype)
    return leg_tensor(weight, network, dtype)


def _is_tree(network: TensorNetwork) -> bool:
    """Whether no bond is part of a loop or on three cores, no leg on two."""
    count = sum(map(len, network.cores))
    legs = len(network.legs)
    return (
        count == legs + 2 * len(network.bonds)
        and len(network.bonds) == len(network.cores) - 1
    )
