"""Kronecker format: a weight as a sum of Kronecker products.

Van Loan and Pitsianis 1993, "Approximation with Kronecker Products"; in layers
Zhou and Wu 2015, "Compression of Fully-Connected Layer in Neural Network by
Kronecker Product" (arXiv 1507.05775).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tensornet_keras.formats.cp import BOND
from tensornet_keras.formats.modes import even_split
from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False)
class Kronecker(TensorizedFormat):
    r"""Sum of Kronecker products of small matrices.

    $$W = \sum_r A_r \otimes B_r, \qquad
    W[(i_1 i_2), (j_1 j_2)] = \sum_r A[r, i_1, j_1]\, B[r, i_2, j_2].$$

    A convolution kernel has the window on the first factor,
    `(*kernel_size, r, i1, j1)`. More than two modes a side make longer
    products, `A_r ⊗ B_r ⊗ C_r`; a single one is the weight itself.

    Args:
        rank: The number of products summed, the size of the one bond. An
            int is cut to what the factors can carry; a tuple has one int and
            is kept as written; a float in (0, 1] is the share of the dense
            parameters to spend, never exceeded. `None` leaves it to an
            `error=` of `decompose` or `convert`; a layer trained from
            scratch refuses it.
        input_modes: Rows of the factors. `None` chooses two, as even as can
            be.
        output_modes: Columns of the factors, as many. `None` chooses them.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.

    Raises:
        ValueError: If a rank is below 1, a share outside (0, 1], or the two
            sides have different numbers of modes.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> products = tk.formats.Kronecker(rank=4).bind((1024,), (512,))
    >>> products.core_shapes
    ((4, 32, 32), (4, 32, 16))
    >>> kernel = tk.formats.Kronecker(rank=4).bind((64,), (64,), (3, 3))
    >>> kernel.core_shapes
    ((3, 3, 4, 8, 8), (4, 8, 8))

    Reference:
        Van Loan and Pitsianis 1993, "Approximation with Kronecker
        Products", https://doi.org/10.1007/978-94-015-8196-7_17; Zhou and Wu
        2015, https://arxiv.org/abs/1507.05775.
    """

    name: ClassVar[str] = "kronecker"

    @property
    def num_bonds(self) -> int:
        return 1 if len(self.input_modes) > 1 else 0

    @cached_property
    def network(self) -> TensorNetwork:
        """The factors of a bound format, joined by one bond."""
        window = tuple(f"w{axis}" for axis in range(len(self.window)))
        legs = [
            Leg(label, size, "window")
            for label, size in zip(window, self.window, strict=True)
        ]
        bond = (BOND,) * self.num_bonds
        cores = []
        for k, (i, j) in enumerate(
            zip(self.input_modes, self.output_modes, strict=True), start=1
        ):
            legs += [Leg(f"i{k}", i, "in"), Leg(f"j{k}", j, "out")]
            leading = window if k == 1 else ()
            cores.append((*leading, *bond, f"i{k}", f"j{k}"))
        return TensorNetwork(
            cores=tuple(cores),
            legs=tuple(legs),
            bonds=((BOND, self.rank[0]),) if self.rank else (),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def _chosen_modes(self, input_dims, output_dims, window):
        del window
        return tuple(
            dims if len(dims) == 2 else even_split(math.prod(dims), 2)
            for dims in (input_dims, output_dims)
        )
