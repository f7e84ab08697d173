"""Tensor ring of a matrix and of a convolution kernel.

Zhao et al. 2016, "Tensor Ring Decomposition" (arXiv 1606.05535, section 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False)
class TensorRing(TensorizedFormat):
    r"""Tensor ring (TR, matrix product operator on a circle) of a weight.

    A tensor train whose last core is joined to its first by one more bond.
    A matrix whose axes are split into modes is the trace of a product of `d`
    cores,

    $$W[(i_1 \dots i_d), (j_1 \dots j_d)] = \operatorname{tr}\left(
    G_1[i_1, j_1]\, G_2[i_2, j_2] \cdots G_d[i_d, j_d]\right),$$

    with `G_k` of shape `(r[k-1], i[k], j[k], r[k])` and `r[0] = r[d]`. A
    convolution kernel has one more core in front, of shape
    `(r[d], *kernel_size, r[0])`, that holds the window. A single core has no
    bond. Modes are in row-major order, as in a tensor train.

    Args:
        rank: Bond sizes, from the first core to the last; the bond that
            closes the ring comes last: `(r1, ..., rd)` for a matrix,
            `(r0, r1, ..., rd)` for a kernel. An int is used for every bond
            and cut to what each can carry; a tuple has one int per bond and
            is kept as written; a float in (0, 1] is the share of the dense
            parameters to spend with one rank for all bonds, never exceeded.
            `None` leaves the ranks to an `error=` of `decompose` or
            `convert`, `"vbmf"` to the noise that they find; a layer trained
            from scratch refuses these two.
        input_modes: Factors of the input size. `None` chooses them.
        output_modes: Factors of the output size, as many. `None` chooses
            them.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.

    Raises:
        ValueError: If a rank is below 1, a share outside (0, 1], or the two
            sides have different numbers of modes.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> ring = tk.formats.TensorRing(rank=4).bind((1024,), (625,))
    >>> ring.rank, ring.core_shapes[0]
    ((4, 4, 4, 4), (4, 8, 5, 4))
    >>> ring.num_params, ring.dense_params
    (1920, 640000)

    Reference:
        Zhao et al. 2016, https://arxiv.org/abs/1606.05535, section 2.
    """

    name: ClassVar[str] = "tr"

    @property
    def sites(self) -> tuple[tuple[str, ...], ...]:
        """The legs of every core of a bound ring, the window's first."""
        spatial = tuple(f"w{axis}" for axis in range(len(self.window)))
        pairs = tuple(
            (f"i{k}", f"j{k}") for k in range(1, len(self.input_modes) + 1)
        )
        return (spatial, *pairs) if spatial else pairs

    @property
    def num_bonds(self) -> int:
        cores = len(self.input_modes) + bool(self.window)
        return cores if cores > 1 else 0

    def attainable_ranks(self) -> tuple[int, ...]:
        """The largest rank of every bond that is of use.

        No bond of a ring cuts it, so none has a limit of its own. These are
        a train's, which is a ring closed by a bond of 1; the closing bond
        gets the numbers of the smaller of the two cores that it joins.
        """
        if not self.num_bonds:
            return ()
        pairs = zip(self.input_modes, self.output_modes, strict=True)
        sizes = [math.prod(self.window)] if self.window else []
        sizes += [i * j for i, j in pairs]
        train = (
            min(math.prod(sizes[:k]), math.prod(sizes[k:]))
            for k in range(1, len(sizes))
        )
        return (*train, min(sizes[0], sizes[-1]))

    @cached_property
    def network(self) -> TensorNetwork:
        """The closed chain of cores of a bound ring."""
        last = len(self.input_modes)
        labels = [f"r{k}" for k in range(last + 1 - self.num_bonds, last + 1)]
        cores = self.sites
        if labels:
            # The bond that closes the ring is the first core's left one.
            left = (labels[-1], *labels[:-1])
            cores = tuple(
                (before, *site, after)
                for before, site, after in zip(
                    left, self.sites, labels, strict=True
                )
            )
        return TensorNetwork(
            cores=cores,
            legs=self._legs(),
            bonds=tuple(zip(labels, self.rank, strict=True)),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def _legs(self) -> tuple[Leg, ...]:
        sides = (
            ("window", "w", 0, self.window),
            ("in", "i", 1, self.input_modes),
            ("out", "j", 1, self.output_modes),
        )
        return tuple(
            Leg(f"{letter}{k}", size, kind)
            for kind, letter, first, sizes in sides
            for k, size in enumerate(sizes, first)
        )
