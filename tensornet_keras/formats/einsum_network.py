"""Any tensor network, written as an equation.

Hamreras, Singh and Orús 2025, "Tensorization is a powerful but underexplored
tool for compression and interpretability of neural networks" (arXiv 2505.20132)
name layers of generic networks beside those of trains, rings, Tucker and CP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

from tensornet_keras import validation
from tensornet_keras.formats.equation import Equation, connected
from tensornet_keras.formats.modes import even_split
from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork


@dataclass(frozen=True, repr=False, init=False)
class EinsumNetwork(TensorizedFormat):
    r"""Any network of cores, as an einsum over words.

    Trees, grids, Tucker networks with a core of one's own, and whatever else
    contracts to a weight. The equation has one term a core; terms are
    separated by commas, labels by blanks:

    - `i1`, `i2`, ... are the modes of the input, `j1`, `j2`, ... those of
      the output, in row-major order (the last varies fastest);
    - `w0`, `w1`, ... are the axes of a convolution's window, and `w` is all
      of them, however many there are: none in a matrix;
    - every other word is a bond.

    A bond may be on more than two cores (a sum over products of all of them),
    and a leg on several (each picks the same entry).

    Args:
        equation: Labels of the cores, for example `"i1 a, a i2 j1 b, b j2"`.
            An arrow with the open legs may follow.
        rank: Bond sizes in the order in which the bonds first appear. An int
            is used for every bond and cut to what each can carry; a tuple
            has one int per bond and is kept as written; a float in (0, 1] is
            the share of the dense parameters to spend with one rank for all
            bonds, never exceeded. `None` leaves the ranks to an `error=` of
            `decompose` or `convert`, `"vbmf"` to the noise that they find; a
            layer trained from scratch refuses these two.
        input_modes: Sizes of `i1`, `i2`, ... `None` chooses even ones, and
            pads where the input size does not factor.
        output_modes: Sizes of `j1`, `j2`, ..., likewise.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.
        rank_multiple: As in `Format`.
        input_dims: As in `Format`.
        output_dims: As in `Format`.
        window: As in `Format`.

    Raises:
        ValueError: If the equation stands for no weight (a bond on one core,
            no input or output legs, a gap in their numbers, a reserved word,
            an arrow with other legs, parts that nothing connects), or the
            modes are not as many as its legs.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> network = tk.formats.EinsumNetwork(
    ...     "i1 a, a i2 j1 b, b j2 -> i1 i2 j1 j2", rank=4
    ... ).bind((64,), (36,))
    >>> network.input_modes, network.output_modes, network.rank
    ((8, 8), (6, 6), (4, 4))
    >>> network.core_shapes
    ((8, 4), (4, 8, 6, 4), (4, 6))

    Reference:
        Hamreras et al. 2025, https://arxiv.org/abs/2505.20132.
    """

    name: ClassVar[str] = "einsum"
    pairs_modes: ClassVar[bool] = False

    equation: str = ""

    def __init__(
        self,
        equation: str,
        rank: int | float | str | tuple[int, ...] | None = None,
        input_modes: tuple[int, ...] | None = None,
        output_modes: tuple[int, ...] | None = None,
        pad: bool = False,
        *,
        rank_multiple: int = 1,
        input_dims: tuple[int, ...] | None = None,
        output_dims: tuple[int, ...] | None = None,
        window: tuple[int, ...] = (),
    ):
        # Written out because the equation comes first; a dataclass would
        # put it after the fields of its base.
        fields = {
            "equation": str(Equation.parsed(equation)),
            "rank": rank,
            "input_modes": input_modes,
            "output_modes": output_modes,
            "pad": pad,
            "rank_multiple": rank_multiple,
            "input_dims": input_dims,
            "output_dims": output_dims,
            "window": window,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    def __post_init__(self):
        super().__post_init__()
        for letter, name in (("i", "input_modes"), ("j", "output_modes")):
            modes = getattr(self, name)
            legs = self._parsed.legs(letter)
            if modes is not None and len(modes) != len(legs):
                raise ValueError(
                    f"`{name}` must have one size for each of the legs "
                    f"{', '.join(legs)}. Received: {name}={modes}, "
                    f"{len(modes)} sizes for equation={self.equation!r}. "
                    f"Pass {len(legs)}, or leave them out."
                )

    @classmethod
    def tree(cls, modes: int, rank=None, **arguments) -> Self:
        """A binary tree: modes join two by two, up to one core.

        Args:
            modes: Number of modes a side. Leaf `k` holds `i<k>` and `j<k>`,
                the root a window.
            rank: As in the class.
            **arguments: The other arguments of the class.

        Example:

        >>> from tensornet_keras.formats import EinsumNetwork
        >>> EinsumNetwork.tree(3, rank=4).equation
        'i1 j1 t1, i2 j2 t2, i3 j3 t3, t1 t2 t4, w t4 t3'
        """
        modes = validation.positive_integer(modes, "modes")
        if modes == 1:
            return cls("w i1 j1", rank, **arguments)
        cores = [f"i{k} j{k} t{k}" for k in range(1, modes + 1)]
        level = [f"t{k}" for k in range(1, modes + 1)]
        while len(level) > 2:
            above = []
            for left, right in zip(level[::2], level[1::2], strict=False):
                above.append(f"t{len(cores) + 1}")
                cores.append(f"{left} {right} {above[-1]}")
            level = above + (level[-1:] if len(level) % 2 else [])
        cores.append(f"w {' '.join(level)}")
        return cls(", ".join(cores), rank, **arguments)

    @classmethod
    def grid(cls, rows: int, columns: int, rank=None, **arguments) -> Self:
        """A grid with a bond between neighbours (PEPS).

        Args:
            rows: Number of rows.
            columns: Number of columns. Core `k`, counted row by row, holds
                `i<k>` and `j<k>`; the first one holds a window too.
            rank: As in the class.
            **arguments: The other arguments of the class.

        Example:

        >>> from tensornet_keras.formats import EinsumNetwork
        >>> EinsumNetwork.grid(2, 2, rank=3).equation
        'w i1 j1 h1 v1, h1 i2 j2 v2, v1 i3 j3 h3, h3 v2 i4 j4'
        """
        rows = validation.positive_integer(rows, "rows")
        columns = validation.positive_integer(columns, "columns")
        cores = []
        for k in range(1, rows * columns + 1):
            row, column = divmod(k - 1, columns)
            core = ["w"] if k == 1 else []
            core += [f"h{k - 1}"] if column else []
            core += [f"v{k - columns}"] if row else []
            core += [f"i{k}", f"j{k}"]
            core += [f"h{k}"] if column + 1 < columns else []
            core += [f"v{k}"] if row + 1 < rows else []
            cores.append(" ".join(core))
        return cls(", ".join(cores), rank, **arguments)

    @cached_property
    def _parsed(self) -> Equation:
        return Equation.parsed(self.equation)

    def _shaped(self, input_dims, output_dims, window) -> Self:
        self._parsed.for_window(len(window))
        return super()._shaped(input_dims, output_dims, window)

    def _chosen_modes(self, input_dims, output_dims, window):
        del window
        return tuple(
            even_split(math.prod(dims), len(self._parsed.legs(letter)))
            for dims, letter in ((input_dims, "i"), (output_dims, "j"))
        )

    @property
    def num_bonds(self) -> int:
        return len(self._parsed.bonds)

    @cached_property
    def network(self) -> TensorNetwork:
        """The network of a bound format, its cores as in the equation."""
        equation = self._parsed.for_window(len(self.window))
        sides = (
            ("w", "window", self.window),
            ("i", "in", self.input_modes),
            ("j", "out", self.output_modes),
        )
        return TensorNetwork(
            cores=equation.cores,
            legs=tuple(
                Leg(label, size, kind)
                for letter, kind, sizes in sides
                for label, size in zip(
                    equation.legs(letter), sizes, strict=True
                )
            ),
            bonds=tuple(zip(equation.bonds, self.rank, strict=True)),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def attainable_ranks(self) -> tuple[int, ...]:
        """The largest rank of every bond that is of use.

        A bond that cuts the network carries the numbers of all its parts
        but the largest. A bond of a loop does not; it carries what it would
        in a tree, with the other cores on whichever side lets it have most.
        A leg that is on all cores of a bond is the same for each of its
        entries and does not count.
        """
        return tuple(self._attainable(bond) for bond, _ in self.network.bonds)

    def _attainable(self, bond: str) -> int:
        cores = self.network.cores
        ends = [k for k, core in enumerate(cores) if bond in core]
        common = set.intersection(*(set(cores[k]) for k in ends))
        open_legs = {leg.label for leg in self.network.legs} - common

        def numbers(part) -> int:
            labels = open_legs.intersection(*[set().union(*part)])
            return math.prod(self.network.sizes[label] for label in labels)

        others = {label for label, _ in self.network.bonds} - {bond}
        parts = [
            numbers(cores[k] for k in part)
            for part in connected(cores, others)
            if not part.isdisjoint(ends)
        ]
        if len(parts) == len(ends):
            return math.prod(parts) // max(parts)
        weights = [numbers([core]) for core in cores]
        if len(ends) > 2:
            return max(1, math.prod(weights) // max(weights))
        return _best_cut(weights, *ends)


def _best_cut(weights: list[int], first: int, second: int) -> int:
    """The most that two cores may share, the others on either side."""
    total = math.prod(weights)
    sides = {weights[first]}
    for number, weight in enumerate(weights):
        if number not in (first, second):
            sides |= {side * weight for side in sides}
    return max(min(side, total // side) for side in sides)
