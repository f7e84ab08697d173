"""What a decomposition is: a bound format, its cores, and what they miss."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import opt_einsum

from tensornet_keras.decomposition.unfolding import working_dtype
from tensornet_keras.formats import Format


@dataclass(frozen=True)
class Target:
    """What an algorithm is to reach, and how long it may try.

    Args:
        error: Relative error to stay within, in [0, 1), or `None`: then the
            ranks of the format are used as they are.
        tolerance: An iterative algorithm has converged once a pass lowers
            the relative error by less than this.
        max_iterations: Most passes of an iterative algorithm.
        seed: Seed of what is drawn at random.
    """

    error: float | None = None
    tolerance: float = 1e-4
    max_iterations: int = 100
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Decomposition:
    """A dense weight as a format and the cores that stand for it.

    Args:
        format: The bound format, with the ranks obtained.
        cores: One array a core, in the shapes of `format.core_shapes`.
        relative_error: Frobenius norm of the difference from what was
            decomposed, over the norm of that.
        iterations: How many passes an iterative algorithm made; 0 for the
            others.
        converged: Whether an iterative algorithm met its tolerance before
            its limit of iterations; `True` for the others.

    Raises:
        ValueError: If the format is unbound or the shapes of the cores are
            not the format's.
    """

    format: Format
    cores: tuple[np.ndarray, ...] = field(repr=False)
    relative_error: float
    iterations: int = 0
    converged: bool = True

    def __post_init__(self):
        if not self.format.is_bound:
            raise ValueError(
                "A decomposition needs a format that is bound to sizes. "
                f"Received: format={self.format!r}. "
                "Pass the format of a built layer, or format.bind(...)."
            )
        object.__setattr__(self, "cores", tuple(map(np.asarray, self.cores)))
        shapes = tuple(core.shape for core in self.cores)
        if shapes != self.format.core_shapes:
            raise ValueError(
                "Cores must have the shapes of their format, "
                f"{self.format.core_shapes}. Received: cores of shapes "
                f"{shapes}. Pass the cores that belong to the format."
            )

    def to_dense(self) -> np.ndarray:
        """The weight that the cores stand for.

        Returns:
            An array of the shape `format.dense_shape`, in the dtype of the
            cores.
        """
        network = self.format.network
        dtype = self.cores[0].dtype
        cores = [core.astype(working_dtype(dtype)) for core in self.cores]
        dense = opt_einsum.contract(network.equation, *cores)
        *_, rows, columns = network.weight_shape
        dense = dense.reshape(network.padded_shape)[..., :rows, :columns]
        return np.ascontiguousarray(dense, dtype)
