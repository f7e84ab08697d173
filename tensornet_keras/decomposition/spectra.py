"""Spectra: the singular values of a weight at the bonds of a format.

Removing a bond cuts a network without loops into two parts. The singular
values of the weight, read as a matrix between the legs of the parts, say what
any rank of that bond leaves out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from tensornet_keras.decomposition.legs import leg_tensor
from tensornet_keras.decomposition.svd import left_svd
from tensornet_keras.decomposition.unfolding import Unfolding
from tensornet_keras.formats import Format
from tensornet_keras.network import TensorNetwork


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The singular values of a matrix.

    Args:
        values: All `min(rows, columns)` of them, the largest first.
        rows: Number of rows.
        columns: Number of columns.
    """

    values: np.ndarray
    rows: int
    columns: int


def bond_spectra(
    weight: np.ndarray, format: Format
) -> tuple[tuple[Spectrum, ...], ...] | None:
    """The spectra of a weight at every bond of a format.

    Args:
        weight: An array of the shape `format.dense_shape`.
        format: The bound format, of any ranks.

    Returns:
        For every bond, in the order of the ranks, one spectrum for each
        entry of the legs that both sides of the bond share, which is a
        single one where they share none. `None` if a bond does not cut the
        network into two parts: it has a loop, or bonds of many cores.
    """
    network = format.network
    parts = [network.parts_without(bond) for bond, _ in network.bonds]
    if any(len(sides) != 2 for sides in parts):
        return None
    tensor = leg_tensor(weight, network, weight.dtype)
    found: dict[frozenset[str], tuple[Spectrum, ...]] = {}
    for first, _ in parts:
        if first not in found:
            found[first] = spectra_around(tensor, network, first)
    return tuple(found[first] for first, _ in parts)


def spectra_around(
    tensor: np.ndarray, network: TensorNetwork, legs: frozenset[str]
) -> tuple[Spectrum, ...]:
    """The spectra of the matrices between some legs and all others.

    Args:
        tensor: The weight with an axis per leg, `network.weight_labels`.
        network: The network that is to stand for it.
        legs: The legs that are rows.

    Returns:
        One spectrum for each entry of the legs that are on several cores and
        not among the rows.
    """
    labels = network.weight_labels
    shared = _shared_legs(network)
    rows = [k for k, label in enumerate(labels) if label in legs]
    stacked = [
        k
        for k, label in enumerate(labels)
        if label in shared and label not in legs
    ]
    columns = [k for k in range(len(labels)) if k not in (*rows, *stacked)]
    stack = tensor.transpose(*stacked, *rows, *columns)
    entries = itertools.product(*(range(tensor.shape[k]) for k in stacked))
    return tuple(
        _spectrum(Unfolding(stack[entry], row_axes=len(rows)))
        for entry in entries
    )


def _shared_legs(network: TensorNetwork) -> set[str]:
    """Legs that pick the same entry of several cores."""
    return {
        leg.label
        for leg in network.legs
        if sum(leg.label in core for core in network.cores) > 1
    }


def _spectrum(unfolding: Unfolding) -> Spectrum:
    if unfolding.rows > unfolding.columns:
        unfolding = unfolding.transposed
    _, values = left_svd(unfolding)
    return Spectrum(values, unfolding.rows, unfolding.columns)
