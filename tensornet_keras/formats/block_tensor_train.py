"""Block tensor train: a product of two block-sparse factors.

Qiu, Potapczynski, Finzi, Goldblum and Wilson 2024, "Compute Better Spent:
Replacing Dense Layers with Structured Matrices" (arXiv 2406.06248).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tensornet_keras.formats.modes import even_split
from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False)
class BlockTensorTrain(TensorizedFormat):
    r"""Block tensor train (BTT) of a matrix or of a convolution kernel.

    Both axes are split into exactly two modes. The weight is made of `i1 x
    j2` blocks of `i2 x j1` numbers, each a matrix of rank `r`:

    $$W[(i_1 i_2), (j_1 j_2)] = \sum_{s=1}^{r}
    R[i_1, i_2, j_2, s]\, L[j_2, i_1, s, j_1].$$

    Both cores have the modes `i1` and `j2`, so that a layer is two batched
    matrix products: it spends its multiply-adds on a matrix of high rank. The
    window of a convolution is in front of `R`.

    Args:
        rank: Size of the bond: an int or a tuple of one, of at most
            `min(i2, j1)` (of `min(window * i2, j1)` in a kernel); a float in
            (0, 1] is the share of the dense parameters to spend. `None`
            leaves it to an `error=` of `decompose` or `convert`.
        input_modes: The two factors of the input size. `None` chooses them.
        output_modes: The two factors of the output size. `None` chooses
            them.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.

    Raises:
        ValueError: If a rank is below 1, a share outside (0, 1], or a side
            has not two modes.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> train = tk.formats.BlockTensorTrain(rank=4).bind((1024,), (1024,))
    >>> train.input_modes, train.output_modes
    ((32, 32), (32, 32))
    >>> train.core_shapes, train.dense_params // train.num_params
    (((32, 32, 32, 4), (32, 32, 4, 32)), 4)

    Reference:
        Qiu et al. 2024, https://arxiv.org/abs/2406.06248.
    """

    name: ClassVar[str] = "btt"

    @property
    def num_bonds(self) -> int:
        return 1

    @cached_property
    def network(self) -> TensorNetwork:
        """Two cores that share a bond, an input mode and an output mode."""
        spatial = tuple(f"w{axis}" for axis in range(len(self.window)))
        labels = (*spatial, "i1", "i2", "j1", "j2")
        sizes = (*self.window, *self.input_modes, *self.output_modes)
        kinds = {"w": "window", "i": "in", "j": "out"}
        return TensorNetwork(
            cores=(
                (*spatial, "i1", "i2", "j2", "r1"),
                ("j2", "i1", "r1", "j1"),
            ),
            legs=tuple(
                Leg(label, size, kinds[label[0]])
                for label, size in zip(labels, sizes, strict=True)
            ),
            bonds=(("r1", self.rank[0]),),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def _chosen_modes(self, input_dims, output_dims, window):
        # Few blocks of many numbers: the smaller modes are the shared ones.
        inputs = even_split(math.prod(input_dims), 2)
        return inputs[::-1], even_split(math.prod(output_dims), 2)

    def _check_mode_counts(self) -> None:
        for name in ("input_modes", "output_modes"):
            modes = getattr(self, name)
            if len(modes) != 2:
                raise ValueError(
                    "A block tensor train has two modes a side. "
                    f"Received: {name}={modes}. "
                    "Pass two factors of the size, such as (32, 32)."
                )
