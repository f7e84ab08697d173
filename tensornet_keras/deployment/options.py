"""What freezing is to reach, what it may choose, and what it chose."""

from __future__ import annotations

from dataclasses import dataclass

from tensornet_keras.deployment.merging import Candidate

LATENCY, SIZE, MEMORY = OBJECTIVES = ("latency", "size", "memory")


@dataclass(frozen=True)
class Wish:
    """What freezing is to reach.

    Args:
        objective: `"latency"`, `"size"` or `"memory"`.
        max_memory: Most bytes of a layer's weights and intermediates, `None`
            for no limit.
        measure: Whether candidates are timed.
        xla: Whether they are timed compiled by XLA, as the model will be.
    """

    objective: str
    max_memory: int | None
    measure: bool
    xla: bool


@dataclass(frozen=True, eq=False)
class Option:
    """What all kernels of a layer become together.

    Args:
        kernels: One candidate per kernel.
    """

    kernels: tuple[Candidate, ...]

    @property
    def is_dense(self) -> bool:
        """Whether every kernel is dense."""
        return all(each.is_dense for each in self.kernels)

    @property
    def is_source(self) -> bool:
        """Whether all cores stay as they are."""
        return all(each.is_source for each in self.kernels)

    @property
    def numbers(self) -> int:
        """How many numbers are stored."""
        return sum(each.numbers for each in self.kernels)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the stored numbers."""
        return sum(each.weight_bytes for each in self.kernels)

    @property
    def memory(self) -> int:
        """Bytes held while the layer runs, beyond input and output.

        One kernel is met after the other: the intermediates of one count.
        """
        return self.weight_bytes + max(each.peak for each in self.kernels)

    @property
    def least_memory(self) -> int:
        """The memory by the plans that take the least."""
        peak = max(each.least_peak for each in self.kernels)
        return self.weight_bytes + peak

    def within(self, memory: int) -> Option | None:
        """The same by plans that keep to a memory, `None` if none do.

        Args:
            memory: Most bytes of weights and intermediates.
        """
        left = memory - self.weight_bytes
        kernels = [each.within(left) for each in self.kernels]
        return None if None in kernels else Option(tuple(kernels))

    def padded(self) -> Option | None:
        """The same with padded bonds, `None` if none is, or fits."""
        try:
            kernels = tuple(each.padded() for each in self.kernels)
        except ValueError:
            return None
        if all(
            own.format == other.format
            for own, other in zip(self.kernels, kernels, strict=True)
        ):
            return None
        return Option(kernels)

    def seconds_at(self, batch: int) -> float:
        """Predicted time of a forward pass.

        Args:
            batch: The batch size.
        """
        return sum(each.seconds_at(batch) for each in self.kernels)


@dataclass(frozen=True, eq=False)
class Decision:
    """What a layer becomes, and what it was chosen over.

    Args:
        option: What its kernels become.
        dense: The dense kernels, for comparison.
        batch: The batch size that times are for.
        seconds: Measured time of the option, `None` if not measured.
        dense_seconds: Measured time of the dense kernels, likewise.
    """

    option: Option
    dense: Option
    batch: int
    seconds: float | None = None
    dense_seconds: float | None = None
