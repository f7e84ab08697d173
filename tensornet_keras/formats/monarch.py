"""Monarch matrices: two block-diagonal products with a permutation between.

Dao et al. 2022, "Monarch: Expressive Structured Matrices for Efficient and
Accurate Training" (arXiv 2204.00595, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from tensornet_keras.formats.block_tensor_train import BlockTensorTrain


@dataclass(frozen=True, repr=False)
class Monarch(BlockTensorTrain):
    r"""Monarch matrix: a block tensor train of rank 1.

    $$W[(i_1 i_2), (j_1 j_2)] = R[i_1, i_2, j_2]\, L[j_2, i_1, j_1].$$

    With `i1` fixed, `R` is one dense block from `i2` to `j2`; with `j2`
    fixed, `L` is one from `i1` to `j1`. Between these two block-diagonal
    products the axes are permuted. The number of blocks decides on the
    parameters, so that there is no rank to choose: more are those of
    `BlockTensorTrain(rank)`.

    Args:
        input_modes: The two factors of the input size. `None` chooses them.
        output_modes: The two factors of the output size. `None` chooses
            them.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.
        rank: 1, the rank of every block.

    Raises:
        ValueError: If the rank is not 1, or a side has not two modes.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> monarch = tk.formats.Monarch().bind((1024,), (1024,))
    >>> monarch.core_shapes
    ((32, 32, 32, 1), (32, 32, 1, 32))
    >>> monarch.dense_params // monarch.num_params
    16

    Reference:
        Dao et al. 2022, https://arxiv.org/abs/2204.00595, section 3.
    """

    name: ClassVar[str] = "monarch"

    rank: int | tuple[int, ...] = field(default=1, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if self.rank not in (1, (1,)) or isinstance(self.rank, float):
            raise ValueError(
                "The rank of a Monarch matrix is 1. "
                f"Received: rank={self.rank!r}. Leave rank out and choose "
                "modes, or use BlockTensorTrain for other ranks and errors."
            )

    def attainable_ranks(self) -> tuple[int, ...]:
        return (1,)
