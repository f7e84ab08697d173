"""Nearest sum of Kronecker products: the SVD of the rearranged weight.

Van Loan and Pitsianis 1993, "Approximation with Kronecker Products": with the
entries of a block as one row, a Kronecker product is a matrix of rank one. The
same holds for every network of two cores on one bond.
"""

from __future__ import annotations

import numpy as np

from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.svd import split
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import Unfolding
from tensornet_keras.formats import Format
from tensornet_keras.network import TensorNetwork


def nearest_kronecker(
    weight: np.ndarray, format: Format, target: Target
) -> Decomposition:
    """The best sum of products of two factors, for a given rank or error.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound format of two cores on one bond.
        target: With an error, as few products as keep within it; 0 keeps
            all.

    Returns:
        The bound format of the rank obtained, its cores in the weight's
        dtype, and the relative error of these cores.
    """
    (limit,) = format.attainable_ranks()
    unfolding = _rearranged(weight, format.network)
    if not target.error:
        rank = limit if target.error == 0.0 else format.rank[0]
        left, right = split(unfolding, rank)
    else:
        tail = tail_norm(target.error, 2, weight.dtype)
        tail *= frobenius_norm(weight)
        left, right = split(unfolding, tail=tail)
        rank = min(format.rounded_up(len(right)), limit)
        if rank != len(right):
            left, right = split(unfolding, rank)
    factors = equal_norms([left, right.reshape(len(right), -1).T])
    format = format.with_rank((len(right),))
    return finished(weight, format, cores_of(factors, format.network))


def axes_by_core(network: TensorNetwork) -> list[list[str]]:
    """The legs of every core, in the order of its axes.

    Args:
        network: A network of which every leg is on one core.
    """
    bonds = {label for label, _ in network.bonds}
    return [
        [label for label in core if label not in bonds]
        for core in network.cores
    ]


def cores_of(factors, network: TensorNetwork) -> list[np.ndarray]:
    """The cores of a network with one bond that joins them all.

    Args:
        factors: A matrix for every core, of shape `(legs, rank)`, with the
            core's legs in the order of its axes.
        network: The network, with the bond's size in it.
    """
    ((bond, rank),) = network.bonds
    cores = []
    for factor, core in zip(factors, network.cores, strict=True):
        sizes = [network.sizes[label] for label in core if label != bond]
        array = np.reshape(factor, (*sizes, rank))
        cores.append(np.moveaxis(array, -1, core.index(bond)))
    return cores


def equal_norms(factors) -> list[np.ndarray]:
    """The same sum, every term with equal norms in all its factors.

    Terms that are zero keep the factors that are not.

    Args:
        factors: Matrices of shape `(legs, rank)`, a column a term.
    """
    factors = [np.asarray(factor, np.float64) for factor in factors]
    norms = np.stack([np.linalg.norm(factor, axis=0) for factor in factors])
    whole = (norms > 0).all(axis=0)
    safe = np.where(whole, norms, 1.0)
    common = np.exp(np.log(safe).mean(axis=0))
    return [
        factor * (common / norm)
        for factor, norm in zip(factors, safe, strict=True)
    ]


def _rearranged(weight: np.ndarray, network: TensorNetwork) -> Unfolding:
    """The weight with a row for every entry of the first core's legs."""
    first, second = axes_by_core(network)
    labels = network.weight_labels
    tensor = leg_tensor(weight, network, weight.dtype)
    axes = [labels.index(label) for label in (*first, *second)]
    return Unfolding(tensor.transpose(axes), row_axes=len(first))
