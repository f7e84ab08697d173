"""Where the cores of a chain start in the norm that a layer's inputs see.

The moments of the rows are taken for a Kronecker product of one factor for
each leg of the rows, their means over all other legs. With the factors' roots
the legs are whitened, each on its own, so that every unfolding of the chain
is cut in about the right norm; the roots are then taken back out of the cores.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import scipy.linalg

from tensornet_keras.decomposition.decompose import decompose
from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.decomposition.legs import leg_tensor
from tensornet_keras.formats import Format, LowRank, TensorTrain, Tucker
from tensornet_keras.network import TensorNetwork

# Formats whose algorithms cut one singular value decomposition after another.
CHAINS = (LowRank, TensorTrain, Tucker)
# Share of the mean of a factor's diagonal that is added to all of it.
RIDGE = 1e-6


def whitened_start(
    weight: np.ndarray, format: Format, moments: np.ndarray, seed: int
) -> Decomposition | None:
    """A decomposition that is good in about the norm of the inputs.

    Args:
        weight: What is decomposed, of the shape `format.dense_shape`.
        format: A bound format.
        moments: The moments of its rows, a matrix or its diagonal.
        seed: As in `decompose`.

    Returns:
        The decomposition, whose error is that of the whitened weight; `None`
        for a format that is no chain.
    """
    if not isinstance(format, CHAINS):
        return None
    roots = _roots(format.network, moments)
    whitened = _whitened(weight, format.network, roots)
    found = decompose(whitened, format, seed=seed)
    cores = [core.astype(np.float64) for core in found.cores]
    for number, labels in enumerate(found.format.network.cores):
        for axis, label in enumerate(labels):
            if label in roots:
                cores[number] = _along(
                    _solved, roots[label], cores[number], axis
                )
    return dataclasses.replace(found, cores=tuple(cores))


def _roots(network: TensorNetwork, moments: np.ndarray) -> dict:
    """An upper triangular matrix, or a diagonal, for each leg of the rows.

    Legs that several cores share have none.
    """
    *window, rows, _ = network.weight_shape
    *_, whole, _ = network.padded_shape
    outputs = network.labels_of("out")
    labels = [x for x in network.weight_labels if x not in outputs]
    sizes = [network.sizes[label] for label in labels]
    sides = moments.ndim
    padding = [(0, 0), (0, whole - rows)] * sides
    moments = moments.reshape([math.prod(window), rows] * sides)
    moments = np.pad(moments, padding).reshape(sizes * sides)
    found = {}
    for axis, label in enumerate(labels):
        if sum(label in core for core in network.cores) > 1:
            continue
        factor = _factor(moments, axis, len(sizes))
        if factor.ndim == 1:
            found[label] = np.sqrt(factor + RIDGE * factor.mean())
            continue
        mean = np.trace(factor) / len(factor)
        ridge = RIDGE * mean * np.eye(len(factor))
        found[label] = scipy.linalg.cholesky(factor + ridge)
    return found


def _factor(moments: np.ndarray, axis: int, legs: int) -> np.ndarray:
    """The moments of one leg, summed over all places of the others."""
    own = list(range(legs))
    if moments.ndim == legs:
        return np.einsum(moments, own, [axis])
    other = [legs if x == axis else x for x in own]
    return np.einsum(moments, own + other, [axis, legs])


def _whitened(weight: np.ndarray, network: TensorNetwork, roots: dict):
    """The weight with every leg of the rows multiplied by its root.

    Padding stays zero, for what an upper triangular matrix puts in a place
    comes from this and later ones.
    """
    tensor = leg_tensor(weight, network)
    for axis, label in enumerate(network.weight_labels):
        if label in roots:
            tensor = _along(_times, roots[label], tensor, axis)
    *_, rows, columns = network.weight_shape
    tensor = tensor.reshape(network.padded_shape)[..., :rows, :columns]
    return np.ascontiguousarray(tensor.reshape(weight.shape), weight.dtype)


def _times(root: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return root @ rows if root.ndim == 2 else root[:, None] * rows


def _solved(root: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if root.ndim == 2:
        return scipy.linalg.solve_triangular(root, rows)
    return rows / root[:, None]


def _along(product, matrix: np.ndarray, tensor: np.ndarray, axis: int):
    """A product with a matrix along one axis of a tensor."""
    front = np.moveaxis(tensor, axis, 0)
    found = product(matrix, front.reshape(len(front), -1))
    return np.moveaxis(found.reshape(front.shape), 0, axis)
