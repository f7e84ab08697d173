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

from tensornet_keras.network import TensorNetwork


class ShareTooSmall(ValueError):
    """No rank meets a share of the dense parameters."""


@dataclasses.dataclass(frozen=True, repr=False)
class Format(abc.ABC):
    """Shapes and ranks of the cores that stand for a dense weight.

    Subclasses are frozen dataclasses with a `name` for the catalog. Their
    own fields come first; the three fields below are filled in by `bind`.

    Args:
        input_dims: Dimensions of the weight's input side, for a dense layer
            `(input_size,)`. `None` while unbound.
        output_dims: Dimensions of its output side. `None` while unbound.
        window: Kernel size of a convolution, `()` for a matrix.
    """

    name: ClassVar[str]

    input_dims: tuple[int, ...] | None = dataclasses.field(
        default=None, kw_only=True
    )
    output_dims: tuple[int, ...] | None = dataclasses.field(
        default=None, kw_only=True
    )
    window: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)

    @abc.abstractmethod
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

    @property
    @abc.abstractmethod
    def network(self) -> TensorNetwork:
        """The network of a bound format."""

    @abc.abstractmethod
    def attainable_ranks(self) -> tuple[int, ...]:
        """The largest useful rank of every bond of a bound format."""

    @abc.abstractmethod
    def with_rank(self, rank: tuple[int, ...]) -> Self:
        """This bound format with other ranks, kept as written.

        Args:
            rank: One rank per bond.
        """

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
