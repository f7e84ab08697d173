"""Tensor train of a matrix and of a convolution kernel.

Novikov et al. 2015, "Tensorizing Neural Networks" (arXiv 1509.06569, section
3) for the matrix; Garipov et al. 2016, "Ultimate tensorization" (arXiv
1611.03214, section 4) for the convolution.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from tensornet_keras import validation
from tensornet_keras.formats.format import Format, ShareTooSmall
from tensornet_keras.formats.modes import check_modes, choose_modes
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False)
class TensorTrain(Format):
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
            leaves the ranks to an `error=` of `decompose` or
            `convert`; a layer trained from scratch refuses it.
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

    rank: int | float | tuple[int, ...] | None = None
    input_modes: tuple[int, ...] | None = None
    output_modes: tuple[int, ...] | None = None
    pad: bool = False

    def __post_init__(self):
        object.__setattr__(self, "rank", validation.rank(self.rank))
        for name in ("input_modes", "output_modes"):
            value = getattr(self, name)
            if value is not None:
                value = validation.integer_tuple(value, name)
                object.__setattr__(self, name, value)
        if not isinstance(self.pad, bool):
            raise TypeError(
                "`pad` must be True or False. "
                f"Received: pad={self.pad!r}. Pass pad=True to allow modes "
                "that multiply to more than the size."
            )
        if self.input_modes is not None and self.output_modes is not None:
            self._check_mode_counts()

    def bind(self, input_dims, output_dims, window=()) -> Self:
        self._refuse_other_sizes(input_dims, output_dims, window)
        if self.is_bound:
            return self
        dims = [
            validation.integer_tuple(value, name)
            for value, name in (
                (input_dims, "input_dims"),
                (output_dims, "output_dims"),
                (window, "window"),
            )
        ]
        if self.rank is None:
            raise ValueError(
                "A format needs a rank before it is bound to sizes. "
                "Received: rank=None. Pass rank= (an int, a tuple or a "
                "share), or leave it out and pass error= to "
                "`decompose` or `convert`."
            )
        modes = self._modes_for(math.prod(dims[0]), math.prod(dims[1]))
        shape = dataclasses.replace(
            self,
            rank=1,
            input_modes=modes[0],
            output_modes=modes[1],
            pad=self.pad or _padded(modes, dims),
            input_dims=dims[0],
            output_dims=dims[1],
            window=dims[2],
        )
        return shape.with_rank(shape._resolve(self.rank))

    def with_rank(self, rank) -> Self:
        rank = validation.integer_tuple(rank, "rank")
        bonds = len(self._leg_sizes) - 1
        if len(rank) != bonds:
            raise ValueError(
                "A tuple `rank` must have one entry per bond: "
                f"{bonds} for modes {self.input_modes} x {self.output_modes}"
                f"{f' and window {self.window}' if self.window else ''}. "
                f"Received: rank={rank}, {len(rank)} entries. "
                f"Pass {bonds} ints, or a single int for every bond."
            )
        return dataclasses.replace(self, rank=rank)

    def attainable_ranks(self) -> tuple[int, ...]:
        left = list(itertools.accumulate(self._leg_sizes, lambda a, b: a * b))
        return tuple(min(n, left[-1] // n) for n in left[:-1])

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

    def describe_modes(self) -> str:
        sides = (self.input_modes, self.output_modes)
        return " x ".join("·".join(map(str, side)) for side in sides)

    def __str__(self) -> str:
        if not self.is_bound:
            return f"tt(rank={self.rank})"
        return f"tt({self.describe_modes()}, ranks {self.rank})"

    @property
    def _leg_sizes(self) -> tuple[int, ...]:
        """Open entries of every core, without its bonds."""
        matrix = tuple(
            i * j
            for i, j in zip(self.input_modes, self.output_modes, strict=True)
        )
        return ((math.prod(self.window),) if self.window else ()) + matrix

    def _modes_for(self, input_size: int, output_size: int):
        if self.input_modes is None and self.output_modes is None:
            return choose_modes(input_size, output_size)
        if self.input_modes is None or self.output_modes is None:
            raise ValueError(
                "`input_modes` and `output_modes` must be given together. "
                f"Received: input_modes={self.input_modes}, "
                f"output_modes={self.output_modes}. Pass both or neither."
            )
        return (
            check_modes(self.input_modes, input_size, self.pad, "input_modes"),
            check_modes(
                self.output_modes, output_size, self.pad, "output_modes"
            ),
        )

    def _check_mode_counts(self) -> None:
        if len(self.input_modes) != len(self.output_modes):
            raise ValueError(
                "`input_modes` and `output_modes` must have one length. "
                f"Received: input_modes={self.input_modes}, "
                f"output_modes={self.output_modes}. "
                "Fill the shorter side with ones."
            )
        if not self.input_modes:
            raise ValueError(
                "A tensor train needs at least one mode a side. "
                "Received: input_modes=(), output_modes=(). "
                "Leave both out to have them chosen."
            )

    def _resolve(self, rank) -> tuple[int, ...]:
        """A rank as written by a user, as one int per bond."""
        if isinstance(rank, tuple):
            return rank
        limits = self.attainable_ranks()
        if isinstance(rank, float):
            rank = self._largest_within(rank)
        return tuple(min(rank, limit) for limit in limits)

    def _largest_within(self, share: float) -> int:
        """The largest common rank that spends at most the share."""
        budget = share * self.dense_params

        def spent(rank: int) -> int:
            return self.with_rank(self._resolve(rank)).num_params

        if spent(1) > budget:
            raise ShareTooSmall(
                "A share of the dense parameters must allow rank 1, which "
                f"takes {spent(1) / self.dense_params:.4g} of them here. "
                f"Received: rank={share}. Pass a larger share."
            )
        low, high = 1, max(self.attainable_ranks(), default=1)
        while low < high:
            middle = (low + high + 1) // 2
            if spent(middle) <= budget:
                low = middle
            else:
                high = middle - 1
        return low


def _padded(modes, dims) -> bool:
    return any(
        math.prod(side) > math.prod(size)
        for side, size in zip(modes, dims[:2], strict=True)
    )
