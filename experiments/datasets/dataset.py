"""A labelled image data set as one value that knows where it came from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels with their origin.

    Args:
        name: Which data set this is, `"mnist"` or `"cifar10"`.
        x_train: Training images, uint8, `(n, height, width[, 3])`.
        y_train: Training labels, int64, `(n,)`.
        x_test: Test images, as `x_train`.
        y_test: Test labels, as `y_train`.
        source: Where the arrays came from, in words.
        complete: Whether this is the whole published data set, so that a
            test accuracy can be held against a published one.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    source: str
    complete: bool

    def head(self, train: int, test: int) -> Dataset:
        """The first images of either part, for a run that takes seconds.

        Args:
            train: How many training images to keep.
            test: How many test images to keep.

        Returns:
            A smaller data set; its source says how much was kept.
        """
        return dataclasses.replace(
            self,
            x_train=self.x_train[:train],
            y_train=self.y_train[:train],
            x_test=self.x_test[:test],
            y_test=self.y_test[:test],
            source=f"{self.source}; the first {train} and {test} of it",
            complete=False,
        )

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.x_train):,} training and "
            f"{len(self.x_test):,} test images from {self.source}"
        )

    def __repr__(self) -> str:
        return f"<Dataset {self}>"
