"""Re-orthogonalization of a tensor train, without changing what it stands for.

Oseledets 2011, "Tensor-Train Decomposition" (SIAM J. Sci. Comput. 33(5),
section 3).
"""

from __future__ import annotations

from tensornet_keras import validation
from tensornet_keras.decomposition import chain as chains
from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.formats import TensorTrain


def orthogonalize(
    decomposition: Decomposition, center: int = 0
) -> Decomposition:
    """The same train with orthonormal cores on both sides of one.

    Every core before the center has orthonormal columns when it is read as a
    matrix from its left bond and modes to its right bond, every core after it
    orthonormal rows. The norm of the weight (uncropped) is that of the center.
    Bonds larger than what they can carry shrink, without error. Cores of equal
    norms, as `decompose` returns them, train better: this gauge is for looking
    at bonds, and for algebra.

    Args:
        decomposition: A tensor train of a matrix or of a convolution kernel.
        center: Number of the core that carries the norm.

    Returns:
        A train of the same modes. Its `relative_error` is that of the train
        given: the weight does not change.

    Raises:
        TypeError: If `decomposition` is no decomposition.
        ValueError: If it is not of a tensor train, or has no such core.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> weight = np.random.default_rng(0).standard_normal((64, 64))
    >>> train = tk.decompose(weight, tk.formats.TensorTrain(rank=8))
    >>> first, *_ = tk.decomposition.orthogonalize(train, center=2).cores
    >>> matrix = first.reshape(-1, first.shape[-1])
    >>> bool(np.allclose(matrix.T @ matrix, np.eye(8)))
    True

    Reference:
        Oseledets 2011, https://doi.org/10.1137/090752286, section 3.
    """
    if not isinstance(decomposition, Decomposition):
        raise TypeError(
            "Only a decomposition can be orthogonalized. "
            f"Received: decomposition={type(decomposition).__name__}. "
            "Pass what `decompose` returned, or "
            "Decomposition(layer.format, layer.cores, 0.0)."
        )
    format, cores = decomposition.format, decomposition.cores
    if not isinstance(format, TensorTrain):
        raise ValueError(
            "Orthogonalization is for tensor trains. "
            f"Received: format={format!r}. Pass a tensor train."
        )
    if not validation.is_integer(center) or not 0 <= center < len(cores):
        raise ValueError(
            f"`center` must be the number of a core, 0 to {len(cores) - 1}. "
            f"Received: center={center!r}. Count from the first core."
        )
    chain = chains.from_cores(format, cores)
    chain = chains.left_orthogonal(chains.right_orthogonal(chain), center)
    format, cores = chains.to_cores(
        chain, format, cores[0].dtype, balanced=False
    )
    return Decomposition(format, cores, decomposition.relative_error)
