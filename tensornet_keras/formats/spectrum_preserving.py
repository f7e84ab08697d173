"""The seven methods of Su et al. 2018, with their ranks from a rate.

Su, Li, Bhattacharjee and Huang 2018, "Tensorized Spectrum Preserving
Compression for Neural Networks" (arXiv 1805.10352): `svd`, `cp`, `tk`, `tt`
and, with channels split into modes, `rcp`, `rtk`, `rtt`. The rules are those
of the authors' code, which rounds ranks up.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from dataclasses import dataclass
from typing import ClassVar

from tensornet_keras import validation
from tensornet_keras.formats.cp import CP
from tensornet_keras.formats.format import Format
from tensornet_keras.formats.low_rank import LowRank
from tensornet_keras.formats.tensor_train import TensorTrain
from tensornet_keras.formats.tucker import Tucker


@dataclass(frozen=True, repr=False)
class PaperMethod(Format):
    r"""A method of Su et al. 2018, whose rank follows from a rate.

    Bound to a layer's sizes it becomes a `LowRank`, `CP`, `Tucker` or
    `TensorTrain` with the modes and the ranks of the paper: the smallest that
    spend the rate $\rho$ of the dense parameters, or a little more, as ranks
    are rounded up. A 1x1 kernel, or a matrix, falls back to `svd` for `cp`,
    `tk` and `tt`. The ranks are kept as the rules give them, even where they
    exceed the attainable; `decompose` and `convert` cut them.

    Args:
        method: `"svd"` (the window split between two factors), `"cp"`,
            `"tk"` (Tucker of the channels), `"tt"` (channels outside), or
            `"rcp"`, `"rtk"`, `"rtt"`, with channels split into modes.
        rate: The share of the dense parameters to spend, in (0, 1].
        corrected: Whether `rcp` counts its parameters rightly. `False` is
            the published code, which spends three times the rate.
        rank_multiple: Must be 1: the rules round in their own way.
        input_dims: `None`: the bound format is of another class.
        output_dims: `None` likewise.
        window: `()` likewise.

    Raises:
        ValueError: If the method is unknown, the rate outside (0, 1], or
            `corrected` is `False` for a method with one rule only.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> method = tk.formats.get("rtt", rate=0.1)
    >>> train = method.bind((64,), (64,), window=(3, 3))
    >>> train.conv_order, train.rank
    ('spatial_last', (11, 11, 9))

    Reference:
        Su et al. 2018, https://arxiv.org/abs/1805.10352, section 3.
    """

    name: ClassVar[str] = "su2018"

    rank: float | None = dataclasses.field(default=None, init=False)
    method: str
    rate: float | None = None
    corrected: bool = True

    def __post_init__(self):
        super().__post_init__()
        validation.one_of(self.method, METHODS, "method")
        validation.boolean(self.corrected, "corrected")
        if not self.corrected and self.method != "rcp":
            raise ValueError(
                "Only `rcp` has a rule to correct. "
                f"Received: method={self.method!r}, corrected=False. "
                "Leave corrected out."
            )
        if self.rank_multiple != 1:
            raise ValueError(
                "The methods of Su et al. round ranks in their own way. "
                f"Received: rank_multiple={self.rank_multiple}. Leave it out."
            )
        object.__setattr__(self, "rate", _checked_rate(self.rate))
        # What a rank is for other formats: the share to spend.
        object.__setattr__(self, "rank", self.rate)

    def bind(
        self,
        input_dims: tuple[int, ...],
        output_dims: tuple[int, ...],
        window: tuple[int, ...] = (),
    ) -> Format:
        """The format that the method is for these sizes.

        Args:
            input_dims: As in `Format.bind`.
            output_dims: As in `Format.bind`.
            window: As in `Format.bind`.

        Returns:
            A bound `LowRank`, `CP`, `Tucker` or `TensorTrain`.
        """
        sizes = (
            validation.integer_tuple(input_dims, "input_dims"),
            validation.integer_tuple(output_dims, "output_dims"),
            validation.integer_tuple(window, "window"),
        )
        kernel = _Kernel(
            self.rate, math.prod(sizes[0]), math.prod(sizes[1]), sizes[2]
        )
        if self.method == "rcp":
            return _rcp(kernel, self.corrected).bind(*sizes)
        if kernel.area == 1 and self.method in ("cp", "tk", "tt"):
            return _svd(kernel).bind(*sizes)
        return METHODS[self.method](kernel).bind(*sizes)

    def _shaped(self, input_dims, output_dims, window) -> Format:
        return self.bind(input_dims, output_dims, window)

    @property
    def num_bonds(self) -> int:
        return self._bound_first("num_bonds")

    @property
    def network(self):
        return self._bound_first("network")

    def describe_modes(self) -> str:
        return self._bound_first("describe_modes")

    def _bound_first(self, name: str):
        raise AttributeError(
            "A method of Su et al. has its cores once it is bound to sizes. "
            f"Received: {name} of {self!r}. Call bind(...) first."
        )

    def __str__(self) -> str:
        return f"{self.method}(rate={self.rate})"

    def _written(self) -> dict:
        written = super()._written()
        del written["rank"]
        return written


@dataclass(frozen=True)
class _Kernel:
    """The sizes `S`, `T` of a kernel, its window, and what to spend on it."""

    rate: float
    inputs: int
    outputs: int
    window: tuple[int, ...]

    @property
    def area(self) -> int:
        return math.prod(self.window)

    @property
    def budget(self) -> float:
        return self.rate * self.area * self.inputs * self.outputs

    def affordable(self, format: Format) -> int:
        """Rank of a format whose parameters are proportional to it."""
        return math.ceil(self.budget / self.params(format))

    def params(self, format: Format) -> int:
        """Parameters of an unbound format; a 1x1 window takes none."""
        window = self.window if self.area > 1 else ()
        return format.bind((self.inputs,), (self.outputs,), window).num_params

    def modes(self, number: int):
        """Modes of the two sides."""
        return _dealt(self.inputs, number), _dealt(self.outputs, number)


def _svd(kernel: _Kernel) -> LowRank:
    rank = kernel.affordable(LowRank((1,), conv_split="spatial"))
    rank = min(rank, kernel.inputs, kernel.outputs)
    return LowRank((rank,), conv_split="spatial")


def _cp(kernel: _Kernel) -> CP:
    sides = (kernel.inputs,), (kernel.outputs,)
    rank = kernel.affordable(CP((1,), *sides, pair_modes=False))
    return CP((rank,), *sides, pair_modes=False)


def _tk(kernel: _Kernel) -> Tucker:
    ends = kernel.inputs + kernel.outputs
    rank = math.ceil(_root(kernel.area, ends, kernel.budget))
    return Tucker((rank, rank), (kernel.inputs,), (kernel.outputs,))


def _tt(kernel: _Kernel) -> TensorTrain:
    ends = kernel.inputs + kernel.outputs
    rank = math.ceil(_root(sum(kernel.window), ends, kernel.budget))
    rank = min(rank, kernel.inputs, kernel.outputs)
    return TensorTrain(
        (rank,) * (len(kernel.window) + 1),
        (kernel.inputs,),
        (kernel.outputs,),
        conv_order="channels_outside",
    )


def _rcp(kernel: _Kernel, corrected: bool = True) -> CP:
    modes = kernel.modes(2)
    if corrected:
        rank = kernel.affordable(CP((1,), *modes, pair_modes=True))
    else:
        # The published code: sums of the modes in place of their products.
        window = sum(kernel.window) if kernel.area > 1 else 0
        rank = math.ceil(kernel.budget / (window + sum(map(sum, modes))))
    return CP((rank,), *modes, pair_modes=True)


def _rtk(kernel: _Kernel) -> Tucker:
    """Ranks grow one after another until they spend the budget."""
    modes = kernel.modes(2)
    limits = modes[0] + modes[1]
    start = (kernel.rate * kernel.inputs * kernel.outputs) ** (1 / len(limits))
    ranks = [max(1, math.floor(start))] * len(limits)
    turn = 0
    while True:
        format = Tucker(tuple(ranks), *modes)
        full = all(r >= limit for r, limit in zip(ranks, limits, strict=True))
        if full or kernel.params(format) >= kernel.budget:
            return format
        if ranks[turn] < limits[turn]:
            ranks[turn] += 1
        turn = (turn + 1) % len(limits)


def _rtt(kernel: _Kernel) -> TensorTrain:
    """One rank for all bonds, or full ones at the ends of the train."""
    inputs, outputs = kernel.modes(3)
    outputs = outputs[::-1]
    first, middle, last = (i * j for i, j in zip(inputs, outputs, strict=True))
    area, budget = kernel.area, kernel.budget
    rank = math.ceil(_root(middle + last, first + area, budget))
    ranks = (rank, rank, rank)
    if rank > min(area, first):
        rest = budget - area**2
        rank = math.ceil(_root(middle, first + last * area, rest))
        ranks = (rank, rank, area)
    if rank > first:
        # As published: a root, though the cores grow in proportion to it.
        rank = math.ceil(math.sqrt(max(0.0, rest - first**2) / middle))
        ranks = (first, rank, area)
    ranks = tuple(max(1, rank) for rank in ranks)
    if not kernel.window:
        ranks = ranks[:2]
    return TensorTrain(ranks, inputs, outputs, conv_order="spatial_last")


METHODS = {
    "svd": _svd,
    "cp": _cp,
    "tk": _tk,
    "tt": _tt,
    "rcp": _rcp,
    "rtk": _rtk,
    "rtt": _rtt,
}


def _root(square: float, linear: float, budget: float) -> float:
    """The positive `R` with `square R^2 + linear R = budget`."""
    budget = max(0.0, budget)
    return (math.sqrt(linear**2 + 4 * square * budget) - linear) / (2 * square)


def _dealt(size: int, number: int) -> tuple[int, ...]:
    """The prime factors of a size dealt to modes in turn.

    The authors know powers of two only; of other sizes the largest factors
    are dealt first, so that 96 gives 12·8 or 6·4·4.
    """
    factors, rest, factor = [], size, 2
    while factor * factor <= rest:
        while rest % factor == 0:
            factors.append(factor)
            rest //= factor
        factor += 1
    if rest > 1:
        factors.append(rest)
    factors = factors[::-1]
    return tuple(math.prod(factors[k::number]) for k in range(number))


def _checked_rate(rate) -> float:
    if not isinstance(rate, numbers.Real) or isinstance(rate, bool):
        raise TypeError(
            "A method of Su et al. needs a rate. "
            f"Received: rate={rate!r}. Pass the share of the dense "
            "parameters to spend, such as rate=0.1."
        )
    if not 0.0 < rate <= 1.0:
        raise ValueError(
            "`rate` is a share of the dense parameters and must lie in "
            f"(0, 1]. Received: rate={rate}. Pass for example rate=0.1."
        )
    return float(rate)
