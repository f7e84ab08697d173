"""The abstract format: which network of cores stands for a dense weight.

What a user writes is unbound (`TensorTrain(rank=8)`); a layer or a
decomposition binds it to its sizes, which fills in modes and ranks. A format
holds shapes and ranks, never numbers, and knows nothing of contraction.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import ClassVar, Self

from tensornet_keras import validation
from tensornet_keras.network import TensorNetwork


class ShareTooSmall(ValueError):
    """No rank meets a share of the dense parameters."""


@dataclasses.dataclass(frozen=True, repr=False)
class Format(abc.ABC):
    """Shapes and ranks of the cores that stand for a dense weight.

    Subclasses are frozen dataclasses with a `name` for the catalog. The rank
    comes first, then their own fields; `bind` fills in the last three below.

    Args:
        rank: Bond sizes. An int is used for every bond and cut to what each
            can carry; a tuple has one int per bond and is kept as written; a
            float in (0, 1] is the share of the dense parameters to spend
            with one rank for all bonds, never exceeded; `"vbmf"` lets
            `decompose` and `convert` find the rank that stands out of the
            noise; `None` leaves the ranks to their `error=`. A layer trained
            from scratch refuses the last two.
        rank_multiple: Ranks are made multiples of this, as far as the bonds
            carry it: rounded up, and down for a share. A tuple is kept.
        input_dims: Dimensions of the weight's input side, for a dense layer
            `(input_size,)`. `None` while unbound.
        output_dims: Dimensions of its output side. `None` while unbound.
        window: Kernel size of a convolution, `()` for a matrix.

    Raises:
        ValueError: If a rank is below 1 or a share outside (0, 1].
        TypeError: If an argument is of another type.
    """

    name: ClassVar[str]

    rank: int | float | str | tuple[int, ...] | None = None
    rank_multiple: int = dataclasses.field(default=1, kw_only=True)
    input_dims: tuple[int, ...] | None = dataclasses.field(
        default=None, kw_only=True
    )
    output_dims: tuple[int, ...] | None = dataclasses.field(
        default=None, kw_only=True
    )
    window: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)

    def __post_init__(self):
        object.__setattr__(self, "rank", validation.rank(self.rank))
        multiple = validation.positive_integer(
            self.rank_multiple, "rank_multiple"
        )
        object.__setattr__(self, "rank_multiple", multiple)

    def bind(
        self,
        input_dims: tuple[int, ...],
        output_dims: tuple[int, ...],
        window: tuple[int, ...] = (),
    ) -> Self:
        """This format with modes and ranks filled in for these sizes.

        Args:
            input_dims: Dimensions of the input side, `(input_size,)` for a
                matrix. Their product is the length of the input axis.
            output_dims: Dimensions of the output side.
            window: Kernel size of a convolution, `()` for a matrix.

        Returns:
            A bound format of the same class.

        Raises:
            ValueError: If the modes do not fit the sizes, the ranks are of
                the wrong count, or the format is bound to other sizes.
        """
        self._refuse_other_sizes(input_dims, output_dims, window)
        if self.is_bound:
            return self
        if self.rank is None or isinstance(self.rank, str):
            raise ValueError(
                "A format needs a rank before it is bound to sizes. "
                f"Received: rank={self.rank!r}. Pass rank= (an int, a tuple "
                "or a share), or leave it out and pass error= to `decompose` "
                "or `convert`, which take rank='vbmf' too."
            )
        shape = self.shaped(input_dims, output_dims, window)
        return shape.with_rank(shape.resolved(self.rank))

    def shaped(
        self,
        input_dims: tuple[int, ...],
        output_dims: tuple[int, ...],
        window: tuple[int, ...] = (),
    ) -> Self:
        """This format bound to these sizes with every rank 1.

        Args:
            input_dims: As in `bind`.
            output_dims: As in `bind`.
            window: As in `bind`.
        """
        self._refuse_other_sizes(input_dims, output_dims, window)
        shape = self._shaped(
            validation.integer_tuple(input_dims, "input_dims"),
            validation.integer_tuple(output_dims, "output_dims"),
            validation.integer_tuple(window, "window"),
        )
        return dataclasses.replace(shape, rank=(1,) * shape.num_bonds)

    @abc.abstractmethod
    def _shaped(self, input_dims, output_dims, window) -> Self:
        """This format with these sizes and its modes filled in.

        The rank is left as it is: `shaped` replaces it.
        """

    @property
    @abc.abstractmethod
    def num_bonds(self) -> int:
        """How many ranks a bound format has."""

    @property
    @abc.abstractmethod
    def network(self) -> TensorNetwork:
        """The network of a bound format; its bonds are in rank order."""

    def attainable_ranks(self) -> tuple[int, ...]:
        """The largest useful rank of every bond of a bound format."""
        network = self.network
        return tuple(network.attainable(label) for label, _ in network.bonds)

    def with_rank(self, rank: tuple[int, ...]) -> Self:
        """This bound format with other ranks, kept as written.

        Args:
            rank: One rank per bond.

        Raises:
            ValueError: If the count is not the number of bonds.
        """
        rank = validation.integer_tuple(rank, "rank")
        if len(rank) != self.num_bonds:
            where = f" and window {self.window}" if self.window else ""
            raise ValueError(
                "A tuple `rank` must have one entry per bond: "
                f"{self.num_bonds} for modes {self.describe_modes()}{where}. "
                f"Received: rank={rank}, {len(rank)} entries. "
                f"Pass {self.num_bonds} ints, or a single int for every bond."
            )
        return dataclasses.replace(self, rank=rank)

    def resolved(self, rank) -> tuple[int, ...]:
        """A rank as a user writes it, as one int per bond.

        Args:
            rank: An int, a tuple or a share.

        Returns:
            One int per bond: a tuple as it is, else multiples of
            `rank_multiple`, cut to the attainable ranks.

        Raises:
            ShareTooSmall: If not even rank 1 keeps within a share.
        """
        if isinstance(rank, tuple):
            return rank
        if isinstance(rank, float):
            return self._largest_within(rank)
        return self._common(self.rounded_up(rank))

    def rounded_up(self, rank: int) -> int:
        """The next multiple of `rank_multiple`.

        Args:
            rank: A rank.
        """
        return -(-rank // self.rank_multiple) * self.rank_multiple

    def with_rounded_up(self, ranks: tuple[int, ...]) -> tuple[int, ...]:
        """Ranks made multiples of `rank_multiple`, as far as bonds carry it.

        Args:
            ranks: One rank per bond of this bound format.
        """
        limits = self.attainable_ranks()
        return tuple(
            max(rank, min(self.rounded_up(rank), limit))
            for rank, limit in zip(ranks, limits, strict=True)
        )

    def _common(self, rank: int) -> tuple[int, ...]:
        """One rank for all bonds, cut to what each can carry."""
        return tuple(min(rank, limit) for limit in self.attainable_ranks())

    def _largest_within(self, share: float) -> tuple[int, ...]:
        """The largest common rank that spends at most the share."""
        budget = share * self.dense_params
        step = self.rank_multiple

        def spent(steps: int) -> int:
            return self.with_rank(self._common(steps * step)).num_params

        if spent(1) > budget:
            raise ShareTooSmall(
                "A share of the dense parameters must allow rank "
                f"{step}, which takes {spent(1) / self.dense_params:.4g} of "
                f"them here. Received: rank={share}. Pass a larger share."
            )
        low, high = 1, -(-max(self.attainable_ranks(), default=1) // step)
        while low < high:
            middle = (low + high + 1) // 2
            if spent(middle) <= budget:
                low = middle
            else:
                high = middle - 1
        return self._common(low * step)

    def cut(self) -> Self:
        """This bound format with ranks cut to the attainable ones."""
        limits = self.attainable_ranks()
        return self.with_rank(
            tuple(
                min(r, limit)
                for r, limit in zip(self.rank, limits, strict=True)
            )
        )

    @property
    def is_bound(self) -> bool:
        """Whether modes and ranks are filled in."""
        return self.input_dims is not None

    @property
    def input_size(self) -> int:
        """Length of the weight's input axis."""
        return math.prod(self.input_dims)

    @property
    def output_size(self) -> int:
        """Length of the weight's output axis."""
        return math.prod(self.output_dims)

    @property
    def dense_shape(self) -> tuple[int, ...]:
        """Shape of the dense weight, `(*window, input, output)`."""
        return (*self.window, self.input_size, self.output_size)

    @property
    def dense_params(self) -> int:
        """Numbers in the dense weight."""
        return math.prod(self.dense_shape)

    @property
    def core_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of every core of a bound format."""
        return self.network.core_shapes

    @property
    def num_params(self) -> int:
        """Numbers in the cores of a bound format."""
        return self.network.num_params

    @abc.abstractmethod
    def describe_modes(self) -> str:
        """The modes of a bound format on one short line."""

    def __str__(self) -> str:
        if not self.is_bound:
            return f"{self.name}(rank={self.rank})"
        return f"{self.name}({self.describe_modes()}, ranks {self.rank})"

    def to_config(self) -> dict:
        """This format as plain data, for a layer's config."""
        return {"name": self.name} | {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in self._written().items()
        }

    @classmethod
    def from_config(cls, config: dict) -> Self:
        """The format of a plain-data dict; lists come back as tuples.

        Args:
            config: What `to_config` returned, possibly after JSON.

        Raises:
            ValueError: If the dict names an argument the format has not.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        arguments = {k: v for k, v in config.items() if k != "name"}
        unknown = sorted(set(arguments) - known)
        if unknown:
            raise ValueError(
                f"The format {cls.name!r} has the arguments {sorted(known)}. "
                f"Received: {unknown}. Remove or rename them."
            )
        return cls(
            **{
                key: tuple(value) if isinstance(value, list) else value
                for key, value in arguments.items()
            }
        )

    def __repr__(self) -> str:
        arguments = (f"{k}={v!r}" for k, v in self._written().items())
        return f"{type(self).__name__}({', '.join(arguments)})"

    def _written(self) -> dict:
        """The fields that differ from their defaults."""
        values = {
            field.name: (getattr(self, field.name), field.default)
            for field in dataclasses.fields(self)
        }
        return {k: v for k, (v, default) in values.items() if v != default}

    def _refuse_other_sizes(self, input_dims, output_dims, window) -> None:
        """Raises when bound to sizes other than these."""
        bound = (self.input_dims, self.output_dims, self.window)
        asked = (tuple(input_dims), tuple(output_dims), tuple(window))
        if self.is_bound and bound != asked:
            raise ValueError(
                "A bound format fits only the sizes it is bound to, "
                f"{_sizes(*bound)}. Received: {_sizes(*asked)}. "
                "Pass an unbound format, such as "
                f"{type(self).__name__}(rank=8)."
            )


def _sizes(input_dims, output_dims, window) -> str:
    text = f"input {input_dims} x output {output_dims}"
    return f"{text}, window {window}" if window else text
