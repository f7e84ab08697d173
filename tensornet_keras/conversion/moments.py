"""Moments: what is known of the inputs that kernels are multiplied by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tensornet_keras.decomposition.weighted import InputNorm

# Share of the mean square of the inputs by which a kernel is drawn to its
# source's.
RIDGE = 1e-3
# What sums of the same float32 numbers may differ by.
ROUNDING = 1e-6


@dataclass(eq=False)
class Moments:
    """Sums over all rows that a kernel was multiplied by.

    Args:
        features: Length of a row.
    """

    features: int
    count: int = 0
    own: np.ndarray = field(init=False)
    source: np.ndarray = field(init=False)
    cross: np.ndarray = field(init=False)
    own_sum: np.ndarray = field(init=False)
    source_sum: np.ndarray = field(init=False)

    def __post_init__(self):
        for name in ("own", "source", "cross"):
            setattr(self, name, np.zeros((self.features, self.features)))
        self.own_sum = np.zeros(self.features)
        self.source_sum = np.zeros(self.features)

    def add(self, own: np.ndarray, source: np.ndarray, first: int = 0) -> None:
        """Adds rows.

        Args:
            own: Rows that the layer gets.
            source: The same rows as the source layer gets them.
            first: The feature that they begin with; all others are zero.
        """
        here = slice(first, first + own.shape[-1])
        self.count += len(own)
        self.own[here, here] += own.T @ own
        self.own_sum[here] += own.sum(0)
        if source is not own:
            self.source[here, here] += source.T @ source
            self.cross[here, here] += own.T @ source
            self.source_sum[here] += source.sum(0)

    def same(self) -> Moments:
        """These moments where the layer gets what its source gets."""
        self.source, self.cross = self.own, self.own
        self.source_sum = self.own_sum
        return self

    @property
    def is_same(self) -> bool:
        """Whether the layer gets what its source gets, but for rounding."""
        size = float(np.linalg.norm(self.own))
        return all(
            float(np.linalg.norm(self.own - other)) <= ROUNDING * size
            for other in (self.source, self.cross)
        )

    def centered(self) -> Moments:
        """The moments about the means, for a layer with a bias."""
        found = Moments(self.features, self.count)
        count = max(1, self.count)
        own, source = self.own_sum / count, self.source_sum / count
        found.own = self.own - np.outer(self.own_sum, own)
        found.source = self.source - np.outer(self.source_sum, source)
        found.cross = self.cross - np.outer(self.own_sum, source)
        return found

    def closest(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel closest to the source's outputs.

        Args:
            kernel: The source's, `(features, outputs)`.
        """
        mean = np.trace(self.own) / self.features
        if not mean:
            return kernel
        ridge = RIDGE * mean * np.eye(self.features)
        wanted = (self.cross + ridge) @ kernel
        return np.linalg.solve(self.own + ridge, wanted)

    def norm(self) -> InputNorm:
        """The norm of kernels that inputs like the layer's see.

        Few rows say little of others: what they say is drawn to the same in
        all directions.
        """
        share = shrinkage(self.own, self.count)
        drawn = (1.0 - share) * self.own
        mean = np.trace(self.own) / self.features
        drawn[np.diag_indices(self.features)] += share * mean
        return InputNorm.of(drawn, self.features)

    def share_of_varying(self, kernel: np.ndarray, bias: np.ndarray) -> float:
        """How much of the outputs of a layer is not their mean.

        Args:
            kernel: The source's kernel.
            bias: What is added to each of its outputs.

        Returns:
            The share of the squares, 0 to 1; 1 for a single row, which tells
            nothing of others.
        """
        if self.count < 2:
            return 1.0
        # Rows vary less about their own mean than about that of all.
        varying = self.centered().square(kernel) * self.count / (self.count - 1)
        mean = self.source_sum / self.count @ kernel + np.ravel(bias)
        whole = varying + self.count * float(mean @ mean)
        return varying / whole if whole else 1.0

    def square(self, kernel: np.ndarray) -> float:
        """The squared norm of the outputs, without a bias.

        Args:
            kernel: The source's kernel.
        """
        return max(0.0, float((kernel * (self.source @ kernel)).sum()))

    def squares(
        self, kernel: np.ndarray, other: np.ndarray
    ) -> tuple[float, float]:
        """Squared norms: what another kernel misses, and of the outputs.

        Args:
            kernel: The source's kernel.
            other: That of the layer.
        """
        whole = self.square(kernel)
        both = float((other * (self.cross @ kernel)).sum())
        own = float((other * (self.own @ other)).sum())
        return max(0.0, whole - 2 * both + own), whole


def shrinkage(moments: np.ndarray, count: int) -> float:
    """How far to draw moments to their mean to come closest to the true ones.

    The oracle approximating shrinkage of Chen, Wiesel, Eldar and Hero 2010,
    "Shrinkage Algorithms for MMSE Covariance Estimation", equation 23
    (https://arxiv.org/abs/0907.4698), for rows that are independent and normal.

    Args:
        moments: Sums over rows, a symmetric matrix.
        count: The rows.

    Returns:
        The share of the way, 0 to 1.
    """
    size = len(moments)
    whole, squared = np.trace(moments) ** 2, float(np.vdot(moments, moments))
    spread = squared - whole / size
    if spread <= ROUNDING * squared:
        # All directions are alike already.
        return 0.0
    rest = 1.0 - 2.0 / size
    share = (rest * squared + whole) / ((count + rest) * spread)
    return float(min(1.0, share))


class Counts:
    """How often each row of a table was looked up, and once more.

    Rows that no example has are not free: each counts as if it had been seen
    one more time (Laplace's rule of succession).

    Args:
        features: Rows of the table.
    """

    def __init__(self, features: int):
        self.features, self.count = features, 0
        self.own = np.ones(features)

    def add(self, own: np.ndarray, source: np.ndarray, first: int = 0) -> None:
        """Adds look-ups; what is no row of the table does not count.

        Args:
            own: Numbers of rows.
            source: Those of the source, which are not counted.
            first: Zero.
        """
        inside = own[(own >= 0) & (own < self.features)]
        self.count += len(inside)
        self.own += np.bincount(inside, minlength=self.features)

    def same(self) -> Counts:
        """These counts."""
        return self

    @property
    def is_same(self) -> bool:
        """Numbers of rows are what they are."""
        return True

    def closest(self, kernel: np.ndarray) -> np.ndarray:
        """The source's own kernel.

        Args:
            kernel: The source's, `(features, outputs)`.
        """
        return kernel

    def norm(self) -> InputNorm:
        """The norm of tables that the look-ups see."""
        return InputNorm.of(self.own, self.features)

    def squares(
        self, kernel: np.ndarray, other: np.ndarray
    ) -> tuple[float, float]:
        """Squared norms: what another table misses, and of the outputs.

        Args:
            kernel: The source's table.
            other: That of the layer.
        """
        return self.square(kernel - other), self.square(kernel)

    def square(self, kernel: np.ndarray) -> float:
        """The squared norm of what is looked up.

        Args:
            kernel: The source's table.
        """
        return float((self.own[:, None] * kernel**2).sum())
