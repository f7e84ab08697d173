"""Tucker: a core with one factor for every mode of a weight.

Tucker 1966, "Some mathematical notes on three-mode factor analysis"; Kim et
al. 2016 (arXiv 1511.06530, section 3.1) for the channels of a convolution
kernel; Su et al. 2018 (arXiv 1805.10352) for channels split into modes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tensornet_keras.formats.modes import (
    LEAST_MEAN_MODE,
    even_split,
)
from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False)
class Tucker(TensorizedFormat):
    r"""Tucker decomposition of a weight: one core, a factor per mode.

    A matrix whose sides are split into `n` and `m` modes is

    $$W[(i_1 \dots i_n), (j_1 \dots j_m)] = \sum_{a, b}
    U_1[i_1, a_1] \cdots U_n[i_n, a_n] \; G[a_1 \dots a_n, b_1 \dots b_m] \;
    V_1[b_1, j_1] \cdots V_m[b_m, j_m].$$

    A convolution kernel has one mode a side unless modes are given, and the
    core keeps the window whole, `(*kernel_size, a1, b1)`: a pointwise
    convolution to few channels, the window, and a pointwise one back
    (Tucker-2). The cores come in this order: the factors of the input, the
    core, the factors of the output.

    Args:
        rank: Bond sizes, first those of the input factors, then those of the
            output factors; else as in `Format`.
        input_modes: Factors of the input size. `None` chooses at most two
            of a matrix (the dimensions of a side that has several) and one
            of a kernel.
        output_modes: Factors of the output size, of any number. `None`
            chooses them likewise.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.

    Raises:
        ValueError: If a rank is below 1 or a share outside (0, 1].
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> matrix = tk.formats.Tucker(rank=8).bind((1024,), (625,))
    >>> matrix.input_modes, matrix.output_modes, matrix.rank
    ((32, 32), (25, 25), (8, 8, 8, 8))
    >>> kernel = tk.formats.Tucker(rank=(16, 32)).bind((64,), (128,), (3, 3))
    >>> kernel.core_shapes
    ((64, 16), (3, 3, 16, 32), (32, 128))

    Reference:
        Tucker 1966, https://doi.org/10.1007/BF02289464;
        Kim et al. 2016, https://arxiv.org/abs/1511.06530, section 3.1;
        Su et al. 2018, https://arxiv.org/abs/1805.10352.
    """

    name: ClassVar[str] = "tucker"
    pairs_modes: ClassVar[bool] = False

    @property
    def num_bonds(self) -> int:
        return len(self.input_modes) + len(self.output_modes)

    @cached_property
    def network(self) -> TensorNetwork:
        """The star of a core and its factors."""
        spatial = tuple(f"w{axis}" for axis in range(len(self.window)))
        inputs = range(1, len(self.input_modes) + 1)
        outputs = range(1, len(self.output_modes) + 1)
        legs = [
            Leg(f"{prefix}{k}", size, kind)
            for prefix, first, sizes, kind in (
                ("w", 0, self.window, "window"),
                ("i", 1, self.input_modes, "in"),
                ("j", 1, self.output_modes, "out"),
            )
            for k, size in enumerate(sizes, first)
        ]
        bonds = (*(f"a{k}" for k in inputs), *(f"b{k}" for k in outputs))
        return TensorNetwork(
            cores=(
                *((f"i{k}", f"a{k}") for k in inputs),
                (*spatial, *bonds),
                *((f"b{k}", f"j{k}") for k in outputs),
            ),
            legs=tuple(legs),
            bonds=tuple(zip(bonds, self.rank, strict=True)),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def _chosen_modes(self, input_dims, output_dims, window):
        """Two modes a side of a matrix, the whole channels of a kernel."""
        sides = (input_dims, output_dims)
        if window:
            return tuple((math.prod(dims),) for dims in sides)
        return tuple(
            dims if len(dims) > 1 else _at_most_two_modes(*dims)
            for dims in sides
        )


def _at_most_two_modes(size: int) -> tuple[int, ...]:
    """The most even split of the size, padded where it has no even one."""
    if size < LEAST_MEAN_MODE**2:
        return (size,)
    return even_split(size, 2)
