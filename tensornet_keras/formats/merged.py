"""Cores that were merged for one order of contraction.

What is left of a network of any format when all that can be done among its
weights is done: see `tensornet_keras.freeze`.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from tensornet_keras.formats.format import Format
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False)
class Merged(Format):
    """A network of cores that the input meets as they are, in their order.

    It is always bound: `Merged.of` makes one of the network of another
    format, `Merged.dense` one of a single core, the dense weight itself.
    A layer in this format merges and transposes nothing. There is no
    decomposition into it.

    Args:
        rank: Sizes of the bonds that are left.
        cores: Labels of each core, in the order in which the input meets
            them; of each in the order of its axes.
        legs: `(label, size, kind)` of the open legs, in row-major order.
        bonds: Labels of the bonds.
        rank_multiple: As in `Format`, and of no effect.
        input_dims: As in `Format`.
        output_dims: As in `Format`.
        window: As in `Format`.

    Raises:
        ValueError: If it is not bound, or the labels make no network.

    Example:

    >>> from tensornet_keras.formats import LowRank, Merged
    >>> dense = Merged.dense(LowRank(rank=4).bind((64,), (10,)))
    >>> dense.core_shapes, dense.num_params
    (((64, 10),), 640)
    """

    name: ClassVar[str] = "merged"

    rank: tuple[int, ...] = ()
    cores: tuple[tuple[str, ...], ...] = ()
    legs: tuple[tuple[str, int, str], ...] = ()
    bonds: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.input_dims is None or self.output_dims is None:
            raise ValueError(
                "Merged cores belong to sizes. Received: "
                f"input_dims={self.input_dims}, "
                f"output_dims={self.output_dims}. "
                "Use `Merged.of` or `Merged.dense`."
            )
        # Wrong labels are refused here and not when they are first used.
        _ = self.network

    @classmethod
    def of(cls, format: Format, cores: tuple[tuple[str, ...], ...]) -> Self:
        """The format of cores that a bound format's cores were merged into.

        Args:
            format: A bound format.
            cores: Labels of each core, of legs and bonds of the format.
        """
        network = format.network
        met = {label for core in cores for label in core}
        bonds = [(label, n) for label, n in network.bonds if label in met]
        return cls(
            rank=tuple(size for _, size in bonds),
            cores=cores,
            legs=tuple((x.label, x.size, x.kind) for x in network.legs),
            bonds=tuple(label for label, _ in bonds),
            input_dims=format.input_dims,
            output_dims=format.output_dims,
            window=format.window,
        )

    @classmethod
    def dense(cls, format: Format) -> Self:
        """The format of one core: the dense weight of a bound format.

        Args:
            format: A bound format.
        """
        window = format.network.legs_of("window")
        legs = (
            *window,
            Leg("i", format.input_size, "in"),
            Leg("j", format.output_size, "out"),
        )
        return cls(
            cores=(tuple(leg.label for leg in legs),),
            legs=tuple((leg.label, leg.size, leg.kind) for leg in legs),
            input_dims=format.input_dims,
            output_dims=format.output_dims,
            window=format.window,
        )

    def padded(self, multiple: int, most: float) -> Self:
        """The format with bonds that are multiples of a number, if near.

        Zeros at the end of the cores' axes change no output.

        Args:
            multiple: What the sizes of bonds should be multiples of.
            most: By what share of itself a bond may grow at most; bonds that
                would grow by more stay as they are.
        """
        sizes = [-(-size // multiple) * multiple for size in self.rank]
        rank = tuple(
            large if large <= (1 + most) * size else size
            for size, large in zip(self.rank, sizes, strict=True)
        )
        return dataclasses.replace(self, rank=rank)

    @property
    def num_bonds(self) -> int:
        return len(self.bonds)

    @cached_property
    def network(self) -> TensorNetwork:
        """The network, settled: no plan changes the order of its cores."""
        return TensorNetwork(
            cores=self.cores,
            legs=tuple(Leg(*leg) for leg in self.legs),
            bonds=tuple(zip(self.bonds, self.rank, strict=True)),
            input_size=math.prod(self.input_dims),
            output_size=math.prod(self.output_dims),
            settled=True,
        )

    def attainable_ranks(self) -> tuple[int, ...]:
        """The ranks as they are: what was merged is not cut."""
        return self.rank

    def describe_modes(self) -> str:
        sides = (
            (size for _, size, kind in self.legs if kind == side)
            for side in ("in", "out")
        )
        modes = " x ".join("·".join(map(str, sizes)) for sizes in sides)
        count = len(self.cores)
        return f"{modes}, {count} core{'s' if count > 1 else ''}"

    def to_config(self) -> dict:
        config = super().to_config()
        for name in ("cores", "legs"):
            config[name] = [list(entry) for entry in getattr(self, name)]
        return config

    @classmethod
    def from_config(cls, config: dict) -> Self:
        nested = {
            name: tuple(map(tuple, config[name]))
            for name in ("cores", "legs")
            if name in config
        }
        return super().from_config(config | nested)

    def _shaped(self, input_dims, output_dims, window) -> Self:
        # Bound to these sizes already: `shaped` has seen to that.
        del input_dims, output_dims, window
        return dataclasses.replace(self)
