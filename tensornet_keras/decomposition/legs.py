"""A weight as a tensor with one axis per leg, and back: for any network.

The algorithms of all formats but the tensor train see the weight so, in
float64. What every one of them ends with is here too: cores of equal norms in
the weight's dtype, and the relative error measured on them.
"""

from __future__ import annotations

import math

import numpy as np
import opt_einsum

from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.decomposition.residual import (
    frobenius_norm,
    sum_of_squares,
)
from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.decomposition.unfolding import (
    BLOCK_SIZE,
    tiles,
    working_dtype,
)
from tensornet_keras.formats import Format
from tensornet_keras.network import TensorNetwork


def leg_tensor(
    weight: np.ndarray, network: TensorNetwork, dtype=np.float64
) -> np.ndarray:
    """The weight with one axis per open leg, padded with zeros.

    Args:
        weight: An array of the shape `network.weight_shape`.
        network: The network that is to stand for it.
        dtype: Dtype of the tensor.

    Returns:
        An array whose axes are `network.weight_labels`.
    """
    padding = [
        (0, whole - true)
        for whole, true in zip(
            network.padded_shape, network.weight_shape, strict=True
        )
    ]
    if any(after for _, after in padding):
        weight = np.pad(weight.reshape(network.weight_shape), padding)
    legs = [network.sizes[label] for label in network.weight_labels]
    return weight.astype(dtype, copy=False).reshape(legs)


def unfolded(tensor: np.ndarray, labels, rows) -> np.ndarray:
    """A tensor as a matrix whose rows are some of its axes.

    Args:
        tensor: An array.
        labels: Names of its axes.
        rows: Names of the axes that are rows, in the order wanted. The other
            axes are columns, in their own order.

    Returns:
        A matrix.
    """
    labels = tuple(labels)
    columns = [label for label in labels if label not in rows]
    axes = [labels.index(label) for label in (*rows, *columns)]
    count = math.prod(tensor.shape[axis] for axis in axes[: len(rows)])
    return tensor.transpose(axes).reshape(count, -1)


def finished(
    weight: np.ndarray,
    format: Format,
    cores,
    *,
    iterations: int = 0,
    converged: bool = True,
) -> Decomposition:
    """The decomposition of these cores: balanced, cast and measured.

    Args:
        weight: What was decomposed, of the shape `format.dense_shape`.
        format: The bound format with the ranks obtained.
        cores: Its cores in float64, in the shapes of `format.core_shapes`.
        iterations: How many passes were made.
        converged: Whether the tolerance was met.
    """
    cores = tuple(
        np.ascontiguousarray(core).astype(weight.dtype)
        for core in balanced(cores)
    )
    error = relative_error(weight, format.network, cores)
    return Decomposition(format, cores, error, iterations, converged)


def balanced(cores) -> list[np.ndarray]:
    """The same network with cores of equal Frobenius norm.

    Of a network of zeros only the last core that is zero stays so: were
    several of them, no gradient would ever reach one.

    Args:
        cores: The cores, in float64.
    """
    cores = [np.asarray(core, np.float64) for core in cores]
    norms = [float(np.linalg.norm(core)) for core in cores]
    if 0.0 in norms:
        last = len(norms) - 1 - norms[::-1].index(0.0)
        return [
            np.full_like(core, core.size**-0.5)
            if norm == 0.0 and number != last
            else core
            for number, (core, norm) in enumerate(
                zip(cores, norms, strict=True)
            )
        ]
    common = math.exp(math.fsum(map(math.log, norms)) / len(norms))
    return [
        core * (common / size) for core, size in zip(cores, norms, strict=True)
    ]


def relative_error(weight: np.ndarray, network: TensorNetwork, cores) -> float:
    """Frobenius norm of the weight less the network's, over the weight's.

    The residual itself is summed, block by block: a difference of norms has
    a floor near 1e-4 in float32.

    Args:
        weight: An array of the shape `network.weight_shape`.
        network: The network that the cores belong to.
        cores: One array per core.

    Returns:
        The relative error; 0 for a zero weight met exactly, infinity for one
        that is not.
    """
    dtype = working_dtype(weight.dtype)
    cores = [np.asarray(core).astype(dtype, copy=False) for core in cores]
    target = leg_tensor(weight, network, weight.dtype)
    inside = _inside(network)
    missed = 0.0
    widest = max((size for _, size in network.bonds), default=1)
    with threads_for(widest):
        for where in tiles(target.shape, BLOCK_SIZE):
            picked = dict(zip(network.weight_labels, where, strict=True))
            parts = [
                core[tuple(picked.get(label, slice(None)) for label in labels)]
                for core, labels in zip(cores, network.cores, strict=True)
            ]
            block = opt_einsum.contract(network.equation, *parts)
            difference = np.subtract(block, target[where], dtype=np.float64)
            if inside is not None:
                difference *= inside[where]
            missed += sum_of_squares(difference)
    total = frobenius_norm(np.ascontiguousarray(weight))
    if total == 0.0:
        return math.inf if missed else 0.0
    return math.sqrt(missed) / total


def _inside(network: TensorNetwork) -> np.ndarray | None:
    """Where the padded weight is the true one; `None` if it all is."""
    if network.padded_shape == network.weight_shape:
        return None
    return leg_tensor(np.ones(network.weight_shape, bool), network, bool)
