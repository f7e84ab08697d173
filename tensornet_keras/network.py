"""Tensor networks as labelled shapes: no numbers, no order of contraction.

A network is what a format stands for once its sizes are known, and all that
planning sees. Every core is a tuple of labels; a label that two cores share
is a bond, every other label is an open leg of one kind. A label may be on more
cores than that: a bond of a sum over products (CP) is on all of them, and a leg
on several cores picks the same entry of each (block-diagonal factors).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property

import opt_einsum

KINDS = ("in", "out", "batch", "window", "lookup")


@dataclass(frozen=True)
class Leg:
    """An open leg of a network.

    Args:
        label: Name of the leg, unique within the network.
        size: Extent of the leg.
        kind: `"in"` (contracted with the layer's input), `"out"` (part of
            its output), `"batch"` (kept as it is), `"window"` (kernel
            offsets, slid over the input) or `"lookup"` (indexed by ids).

    Raises:
        ValueError: If the kind is none of these, or the size below 1.
    """

    label: str
    size: int
    kind: str

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(
                f"The kind of a leg must be one of {KINDS}. "
                f"Received: kind={self.kind!r} for leg {self.label!r}. "
                "Name one of these kinds."
            )
        if self.size < 1:
            raise ValueError(
                "The size of a leg must be at least 1. "
                f"Received: size={self.size} for leg {self.label!r}. "
                "Pass a positive size."
            )


@dataclass(frozen=True)
class TensorNetwork:
    """Labelled shapes of cores whose contraction is a dense weight.

    The dense weight has the axes `(*window, input, output)`, where the input
    axis runs over the in (or lookup) legs in row-major order (the last varies
    fastest) and the output axis over the out legs. Sizes that are padded are
    cropped: the weight holds the leading `input_size` x `output_size` entries.

    Args:
        cores: Labels of each core, in the order of the core's axes.
        legs: The open legs. Their order within a kind is the row-major order
            of that axis.
        bonds: `(label, size)` of every label that two or more cores share
            and the weight has not.
        input_size: Length of the layer's input axis, or `None` where it is
            the product of the in legs.
        output_size: Length of the layer's output axis, or `None` likewise.
        settled: Whether the input is to meet the cores as they are, one
            after another: no plan merges or reorders them.

    Raises:
        ValueError: If a label is unknown or on too few cores, a core has a
            label twice, or a true size exceeds the product of its legs.
    """

    cores: tuple[tuple[str, ...], ...]
    legs: tuple[Leg, ...]
    bonds: tuple[tuple[str, int], ...] = ()
    input_size: int | None = None
    output_size: int | None = None
    settled: bool = False

    def __post_init__(self):
        for name, kind in (("input_size", "in"), ("output_size", "out")):
            total = math.prod(leg.size for leg in self._side(kind))
            if getattr(self, name) is None:
                object.__setattr__(self, name, total)
            elif getattr(self, name) > total:
                raise ValueError(
                    f"`{name}` must be at most the product of the {kind} "
                    f"legs, {total}. Received: {name}={getattr(self, name)}. "
                    "Use larger modes."
                )
        self._check_labels()

    def _check_labels(self):
        least = {label: 2 for label, _ in self.bonds}
        least.update({leg.label: 1 for leg in self.legs})
        found = dict.fromkeys(least, 0)
        for core in self.cores:
            for label in core:
                found[label] = found.get(label, 0) + 1
            if len(set(core)) < len(core):
                raise ValueError(
                    "A core must have each label once. "
                    f"Received: a core with the labels {core}. "
                    "Contract its diagonal first."
                )
        wrong = sorted(
            label
            for label, n in found.items()
            if label not in least or n < least[label]
        )
        if wrong:
            raise ValueError(
                "Every leg must be on a core and every bond on two or more. "
                f"Received: labels {wrong} on "
                f"{[found[label] for label in wrong]} cores. "
                "List each label once per core it joins."
            )

    def _side(self, kind: str) -> tuple[Leg, ...]:
        """The legs of the input or of the output axis."""
        if kind == "in":
            return self.legs_of("in") + self.legs_of("lookup")
        return self.legs_of(kind)

    def legs_of(self, kind: str) -> tuple[Leg, ...]:
        """The open legs of one kind, in row-major order."""
        return tuple(leg for leg in self.legs if leg.kind == kind)

    def labels_of(self, kind: str) -> tuple[str, ...]:
        """The labels of the open legs of one kind."""
        return tuple(leg.label for leg in self.legs_of(kind))

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Size of every label."""
        return {leg.label: leg.size for leg in self.legs} | dict(self.bonds)

    @cached_property
    def core_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every core."""
        return tuple(
            tuple(self.sizes[label] for label in core) for core in self.cores
        )

    @property
    def num_params(self) -> int:
        """Numbers held by the cores."""
        return sum(math.prod(shape) for shape in self.core_shapes)

    @property
    def weight_labels(self) -> tuple[str, ...]:
        """Open labels in the axis order of the dense weight."""
        inputs = tuple(leg.label for leg in self._side("in"))
        return self._leading + inputs + self.labels_of("out")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the dense weight, `(*window, input, output)`."""
        leading = tuple(self.sizes[label] for label in self._leading)
        return (*leading, self.input_size, self.output_size)

    @property
    def _leading(self) -> tuple[str, ...]:
        return self.labels_of("window") + self.labels_of("batch")

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """Shape of the weight before it is cropped to its true sizes."""
        sides = (
            math.prod(leg.size for leg in self._side(kind))
            for kind in ("in", "out")
        )
        return (*self.weight_shape[:-2], *sides)

    @property
    def equation(self) -> str:
        """Einsum string from the cores to the uncropped weight's legs."""
        symbol = {
            label: opt_einsum.get_symbol(number)
            for number, label in enumerate(self.sizes)
        }
        terms = [
            "".join(symbol[label] for label in core) for core in self.cores
        ]
        output = "".join(symbol[label] for label in self.weight_labels)
        return f"{','.join(terms)}->{output}"

    def with_kind(self, old: str, new: str) -> TensorNetwork:
        """The same network with all legs of one kind made another kind.

        Args:
            old: The kind that legs have.
            new: The kind that they get: a table of rows has `"lookup"` legs
                where a matrix has `"in"` legs, and a stack of matrices
                `"batch"` legs where a kernel has a `"window"`.
        """
        legs = tuple(
            dataclasses.replace(leg, kind=new) if leg.kind == old else leg
            for leg in self.legs
        )
        return dataclasses.replace(self, legs=legs)

    def transposed(self) -> TensorNetwork:
        """The network of the transposed weight: in and out legs swapped.

        What was settled for the one way is not for the other.
        """
        swapped = {"in": "out", "out": "in"}
        legs = tuple(
            dataclasses.replace(leg, kind=swapped.get(leg.kind, leg.kind))
            for leg in self.legs
        )
        return dataclasses.replace(
            self,
            legs=legs,
            input_size=self.output_size,
            output_size=self.input_size,
            settled=False,
        )

    def parts_without(self, bond: str) -> tuple[frozenset[str], ...]:
        """The legs of each part into which removing a bond cuts the network.

        A leg that is on several parts picks the same entry of each: it is
        left out of all of them.

        Args:
            bond: Label of the bond.

        Returns:
            One set of labels a part; a single one if the network stays in
            one piece.
        """
        open_labels = {leg.label for leg in self.legs}
        joining = {label for label, _ in self.bonds} - {bond}
        parts: list[set[str]] = []
        for core in self.cores:
            part = set(core)
            for other in [p for p in parts if p & part & joining]:
                parts.remove(other)
                part |= other
            parts.append(part)
        legs = [part & open_labels for part in parts if bond in part]
        return tuple(
            frozenset(
                label
                for label in part
                if not any(
                    label in other for other in legs if other is not part
                )
            )
            for part in legs
        )

    def attainable(self, bond: str) -> int:
        """The largest useful size of a bond that cuts the network.

        Args:
            bond: Label of the bond.

        Returns:
            The product of the sizes of all parts but the largest. With two
            parts this is the rank that their matrix may have.

        Raises:
            ValueError: If the network stays in one piece without the bond.
        """
        parts = self.parts_without(bond)
        if len(parts) < 2:
            raise ValueError(
                "Only a bond that cuts the network has a largest useful "
                f"size. Received: bond={bond!r}, which is part of a ring. "
                "Bound it by the format."
            )
        counts = [
            math.prod(self.sizes[label] for label in part) for part in parts
        ]
        return math.prod(counts) // max(counts)
