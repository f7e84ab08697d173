"""Tensor train of a matrix and of a convolution kernel.

Novikov et al. 2015, "Tensorizing Neural Networks" (arXiv 1509.06569, section
3) for the matrix; Garipov et al. 2016, "Ultimate tensorization" (arXiv
1611.03214, section 4) for the convolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False)
class TensorTrain(TensorizedFormat):
    r"""Tensor train (TT, matrix product operator) of a weight.

    A matrix whose axes are split into modes is a product of `d` cores,

    $$W[(i_1 \dots i_d), (j_1 \dots j_d)] =
    G_1[i_1, j_1]\, G_2[i_2, j_2] \cdots G_d[i_d, j_d],$$

    with `G_k` of shape `(r[k-1], i[k], j[k], r[k])`; the first and the last
    core have no unit bond. A convolution kernel has one more core in front,
    of shape `(*kernel_size, r[0])`, that holds the window; then come the `d`
    channel cores. Modes are in row-major order, as in TensorNet-TF and t3f.

    Args:
        rank: Bond sizes. An int is used for every bond and cut to what each
            can carry; a tuple has one int per bond and is kept as written; a
            float in (0, 1] is the share of the dense parameters to spend
            with one rank for all bonds, never exceeded. `1` is a rank of
            one; `1.0` spends as much as the dense weight, which a train of
            full rank exceeds, so it still cuts (`error=0` does not). `None`
            leaves the ranks to an `error=` of `decompose` or `convert`,
            `"vbmf"` to the noise that they find; a layer trained from
            scratch refuses these two.
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
    >>> train = tk.formats.TensorTrain(rank=4).bind((1024,), (625,))
    >>> train.input_modes, train.output_modes, train.rank
    ((8, 8, 4, 4), (5, 5, 5, 5), (4, 4, 4))
    >>> train.num_params, train.dense_params
    (1200, 640000)

    Reference:
        Novikov et al. 2015, https://arxiv.org/abs/1509.06569, section 3;
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4.
    """

    name: ClassVar[str] = "tt"

    @property
    def num_bonds(self) -> int:
        return len(self.input_modes) - (0 if self.window else 1)

    @cached_property
    def network(self) -> TensorNetwork:
        """The chain of cores of a bound train."""
        order = len(self.input_modes)
        spatial = tuple(f"w{axis}" for axis in range(len(self.window)))
        legs = [
            Leg(label, size, "window")
            for label, size in zip(spatial, self.window, strict=True)
        ]
        cores = [(*spatial, "r0")] if spatial else []
        for k, (i, j) in enumerate(
            zip(self.input_modes, self.output_modes, strict=True), start=1
        ):
            legs += [Leg(f"i{k}", i, "in"), Leg(f"j{k}", j, "out")]
            left = (f"r{k - 1}",) if k > 1 or spatial else ()
            right = (f"r{k}",) if k < order else ()
            cores.append((*left, f"i{k}", f"j{k}", *right))
        first = 0 if spatial else 1
        return TensorNetwork(
            cores=tuple(cores),
            legs=tuple(legs),
            bonds=tuple(
                (f"r{k}", size) for k, size in enumerate(self.rank, first)
            ),
            input_size=self.input_size,
            output_size=self.output_size,
        )
