"""Low rank: a weight as the product of two factors.

For a convolution kernel one of two splits: the plain matrix rank, or the
window split between the factors as in Su et al. 2018, "Tensorial Neural
Networks" (arXiv 1805.10352, method "svd").
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from tensornet_keras import validation
from tensornet_keras.formats.format import Format
from tensornet_keras.network import Leg, TensorNetwork

CONV_SPLITS = ("matrix", "spatial", "spatial_transposed")


@dataclass(frozen=True, repr=False)
class LowRank(Format):
    r"""Two factors (a truncated SVD) of a weight.

    $$W = U V, \qquad U \in R^{N \times r}, \; V \in R^{r \times M}.$$

    A convolution kernel is first read as a matrix. With
    `conv_split="matrix"` its rows are the window and the input channels: a
    convolution to `r` channels, then a pointwise one. With `"spatial"` the
    first window axis goes with the input and the others with the output: for
    a 3x3 kernel a 3x1 convolution, then a 1x3 one. `"spatial_transposed"`
    exchanges the two: 1x3, then 3x1. A kernel with one window axis gives a
    convolution and a pointwise one with `"matrix"` and `"spatial"`, and the
    other way around with `"spatial_transposed"`.

    Args:
        rank: The rank `r`, as in `Format`: an int, a tuple of one int, a
            share of the dense parameters, `"vbmf"` or `None`.
        conv_split: Which window axes each factor of a kernel has:
            `"matrix"`, `"spatial"` or `"spatial_transposed"`. A matrix has
            none.

    Raises:
        ValueError: If a rank is below 1, a share outside (0, 1] or the
            split unknown.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> factors = tk.formats.LowRank(rank=16).bind((1024,), (625,))
    >>> factors.core_shapes
    ((1024, 16), (16, 625))
    >>> split = tk.formats.LowRank(rank=16, conv_split="spatial")
    >>> split.bind((64,), (128,), window=(3, 5)).core_shapes
    ((3, 64, 16), (16, 5, 128))

    Reference:
        Eckart and Young 1936, https://doi.org/10.1007/BF02288367;
        Su et al. 2018, https://arxiv.org/abs/1805.10352.
    """

    name: ClassVar[str] = "low_rank"

    conv_split: str = "matrix"

    def __post_init__(self):
        super().__post_init__()
        validation.one_of(self.conv_split, CONV_SPLITS, "conv_split")

    def _shaped(self, input_dims, output_dims, window) -> Self:
        return dataclasses.replace(
            self,
            input_dims=input_dims,
            output_dims=output_dims,
            window=window,
        )

    @property
    def num_bonds(self) -> int:
        return 1

    @cached_property
    def network(self) -> TensorNetwork:
        """The two cores of a bound format."""
        spatial = tuple(f"w{axis}" for axis in range(len(self.window)))
        legs = [
            Leg(label, size, "window")
            for label, size in zip(spatial, self.window, strict=True)
        ]
        legs += [
            Leg("i1", self.input_size, "in"),
            Leg("j1", self.output_size, "out"),
        ]
        first, second = {
            "matrix": (spatial, ()),
            "spatial": (spatial[:1], spatial[1:]),
            "spatial_transposed": (spatial[1:], spatial[:1]),
        }[self.conv_split]
        return TensorNetwork(
            cores=((*first, "i1", "r1"), ("r1", *second, "j1")),
            legs=tuple(legs),
            bonds=(("r1", self.rank[0]),),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def describe_modes(self) -> str:
        sizes = f"{self.input_size} x {self.output_size}"
        split = self.window and self.conv_split != "matrix"
        return f"{sizes} {self.conv_split}" if split else sizes
