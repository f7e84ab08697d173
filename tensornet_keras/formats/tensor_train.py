"""Tensor train of a matrix and of a convolution kernel.

Novikov et al. 2015, "Tensorizing Neural Networks" (arXiv 1509.06569, section
3) for the matrix; Garipov et al. 2016, "Ultimate tensorization" (arXiv
1611.03214, section 4) for the convolution, and Su et al. 2018, "Tensorized
Spectrum Preserving Compression" (arXiv 1805.10352) for its other two orders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tensornet_keras import validation
from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork

CONV_ORDERS = ("spatial_first", "channels_outside", "spatial_last")


@dataclass(frozen=True, repr=False)
class TensorTrain(TensorizedFormat):
    r"""Tensor train (TT, matrix product operator) of a weight.

    A matrix whose axes are split into modes is a product of `d` cores,

    $$W[(i_1 \dots i_d), (j_1 \dots j_d)] =
    G_1[i_1, j_1]\, G_2[i_2, j_2] \cdots G_d[i_d, j_d],$$

    with `G_k` of shape `(r[k-1], i[k], j[k], r[k])`; the first and the last
    core have no unit bond. Modes are in row-major order, as in TensorNet-TF
    and t3f.

    A convolution kernel is a train in one of three orders; a matrix is the
    same in all of them. `"spatial_first"` (Garipov et al.) has one more core
    in front, of shape `(*kernel_size, r[0])`, that holds the window; then
    come the `d` channel cores. `"spatial_last"` has that core at the end, of
    shape `(*kernel_size, r[d])`. `"channels_outside"` has one core for each
    input mode, `(r, i[k], r')`, one for each window axis, `(size, r, r')`,
    and one for each output mode, `(r, j[k], r')`: it takes the channels to
    fewer before it slides over the window, and is the one that is fast.

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
        output_modes: Factors of the output size, as many (with
            `"channels_outside"` a convolution may have another number).
            `None` chooses them.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.
        conv_order: Where a convolution's window stands in the chain:
            `"spatial_first"`, `"channels_outside"` or `"spatial_last"`.

    Raises:
        ValueError: If a rank is below 1, a share outside (0, 1], the order
            unknown, or the two sides have different numbers of modes.
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
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4;
        Su et al. 2018, https://arxiv.org/abs/1805.10352.
    """

    name: ClassVar[str] = "tt"

    conv_order: str = "spatial_first"

    def __post_init__(self):
        validation.one_of(self.conv_order, CONV_ORDERS, "conv_order")
        super().__post_init__()

    @property
    def num_bonds(self) -> int:
        return len(self.sites) - 1

    @property
    def sites(self) -> tuple[tuple[str, ...], ...]:
        """The legs of every core of a bound train, in the chain's order."""
        spatial = tuple(f"w{axis}" for axis in range(len(self.window)))
        inputs = [f"i{k}" for k, _ in enumerate(self.input_modes, 1)]
        outputs = [f"j{k}" for k, _ in enumerate(self.output_modes, 1)]
        if self.window and self.conv_order == "channels_outside":
            return tuple((leg,) for leg in (*inputs, *spatial, *outputs))
        pairs = tuple(zip(inputs, outputs, strict=True))
        if not self.window:
            return pairs
        if self.conv_order == "spatial_last":
            return (*pairs, spatial)
        return (spatial, *pairs)

    @cached_property
    def network(self) -> TensorNetwork:
        """The chain of cores of a bound train."""
        sites = self.sites
        # The first of Garipov's bonds is r0, so that r1 is after mode 1.
        first = 0 if sites[0][0] == "w0" else 1
        labels = [f"r{k}" for k in range(first, first + len(sites) - 1)]
        cores = []
        for site, left, right in zip(
            sites, [(), *zip(labels)], [*zip(labels), ()], strict=True
        ):
            # A window comes first, as in every kernel of Keras.
            spatial = site[0].startswith("w")
            cores.append(
                (*site, *left, *right) if spatial else (*left, *site, *right)
            )
        return TensorNetwork(
            cores=tuple(cores),
            legs=self._legs(),
            bonds=tuple(zip(labels, self.rank, strict=True)),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def _legs(self) -> tuple[Leg, ...]:
        sizes = {
            "window": ("w", 0, self.window),
            "in": ("i", 1, self.input_modes),
            "out": ("j", 1, self.output_modes),
        }
        return tuple(
            Leg(f"{letter}{k}", size, kind)
            for kind, (letter, start, modes) in sizes.items()
            for k, size in enumerate(modes, start)
        )

    def describe_modes(self) -> str:
        modes = super().describe_modes()
        if not self.window or self.conv_order == "spatial_first":
            return modes
        return f"{modes} {self.conv_order.replace('_', ' ')}"

    def _chosen_modes(self, input_dims, output_dims, window):
        if window and self.conv_order == "channels_outside":
            return (math.prod(input_dims),), (math.prod(output_dims),)
        return super()._chosen_modes(input_dims, output_dims, window)

    def _check_mode_counts(self) -> None:
        # Unbound, the train may become a kernel's or a matrix'.
        matrix = self.is_bound and not self.window
        if self.conv_order != "channels_outside" or matrix:
            super()._check_mode_counts()
