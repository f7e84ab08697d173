"""Details of converted layers, for a page: spectra, cuts and plans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensornet_keras import surgery
from tensornet_keras.conversion import rules
from tensornet_keras.conversion.selection import path_of
from tensornet_keras.decomposition.spectra import bond_spectra
from tensornet_keras.surgery import twins

# Kernels of more numbers are not decomposed once more for a picture.
MOST_NUMBERS = 4_000_000


@dataclass(frozen=True)
class Cut:
    """The singular values at a bond of a kernel, and where they are cut.

    Args:
        bond: Label of the bond.
        rank: How many of them the rank of the bond keeps.
        values: Singular values of the source's kernel over the largest one.
    """

    bond: str
    rank: int
    values: tuple[float, ...]


@dataclass(frozen=True)
class Details:
    """What a page shows of a converted layer.

    Args:
        cuts: One for each bond of each kernel; empty where a format has
            loops, or the kernel is very large.
        plan: The plan of the converted layer, as text.
    """

    cuts: tuple[Cut, ...]
    plan: str


def details_of(model, small) -> dict[str, Details]:
    """The details of every converted layer, by its path.

    Args:
        model: The source model.
        small: The converted model.
    """
    pairs = zip(
        surgery.leaf_layers(model), surgery.leaf_layers(small), strict=True
    )
    return {
        path_of(layer): Details(tuple(_cuts(layer, twin)), str(twin.plan()))
        for layer, twin in pairs
        if twins.is_factorized(twin) and not twins.is_factorized(layer)
    }


def _cuts(layer, twin):
    kernels = rules.kernels_of(layer)
    formats = [each.format for each in twins.factorized_kernels(twin)]
    for number, (kernel, format) in enumerate(
        zip(kernels, formats, strict=True)
    ):
        if kernel.array.size > MOST_NUMBERS:
            continue
        array = kernel.array.astype(np.float32).reshape(format.dense_shape)
        spectra = bond_spectra(array, format)
        bonds = [] if spectra is None else format.network.bonds
        for (bond, _), rank, stacked in zip(
            bonds, format.rank, spectra or (), strict=False
        ):
            squares = np.zeros(max(len(each.values) for each in stacked))
            for each in stacked:
                squares[: len(each.values)] += np.square(each.values)
            values = np.sqrt(squares / (squares.max() or 1.0))
            name = f"{bond}" if len(kernels) == 1 else f"{bond}, {number + 1}"
            yield Cut(name, rank, tuple(map(float, values)))
