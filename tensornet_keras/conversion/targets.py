"""Targets: what a conversion is to reach, one thing at a time."""

from __future__ import annotations

from dataclasses import dataclass

from tensornet_keras import validation

BUDGETS = ("ratio", "flops", "latency")


@dataclass(frozen=True)
class Target:
    """What the formats and ranks of a conversion are chosen for.

    Args:
        error: Relative error that each kernel may reach, in [0, 1).
        ratio: Kernel parameters of the selected layers, after over before,
            in (0, 1].
        flops: Their multiply-adds, likewise.
        latency: Time of the whole model, frozen, over that of the original.

    Raises:
        ValueError: If several are given, or one is out of range.
        TypeError: If one is no number.
    """

    error: float | None = None
    ratio: float | None = None
    flops: float | None = None
    latency: float | None = None

    def __post_init__(self):
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) > 1:
            text = ", ".join(f"{k}={v}" for k, v in given.items())
            raise ValueError(
                "At most one target may be given. "
                f"Received: {text}. Choose one of them."
            )
        if self.error is not None:
            validation.relative_error(self.error)
        for name in BUDGETS:
            share = getattr(self, name)
            if share is not None:
                value = validation.share_of_all(share, name)
                object.__setattr__(self, name, value)

    def check(self, evaluate, sample) -> None:
        """Refuses arguments that this target does not hear of.

        Args:
            evaluate: A function from a model to its score, or `None`.
            sample: Inputs to time or to count on, or `None`.

        Raises:
            TypeError: If `evaluate` is no function.
            ValueError: If one of them has nothing to do.
        """
        if sample is not None and self.latency is None and self.flops is None:
            raise ValueError(
                "`sample` is for a budget of time or multiply-adds. Received: "
                f"a sample, and {self}. Pass latency= or flops= too, or leave "
                "it out."
            )
        if evaluate is None:
            return
        if not callable(evaluate):
            raise TypeError(
                "`evaluate` must be a function from a model to its score. "
                f"Received: evaluate={evaluate!r}."
            )
        if self.budget is None:
            raise ValueError(
                "`evaluate` weighs the layers of a budget. "
                f"Received: {self}. Pass ratio=, flops= or latency= too."
            )

    @property
    def budget(self) -> tuple[str, float] | None:
        """Name and share of the budget over all layers, if there is one."""
        for name in BUDGETS:
            if getattr(self, name) is not None:
                return name, getattr(self, name)
        return None

    @property
    def is_open(self) -> bool:
        """Whether nothing is given, so that the format names a rank."""
        return all(value is None for value in vars(self).values())

    def __str__(self) -> str:
        given = [f"{k}={v}" for k, v in vars(self).items() if v is not None]
        return ", ".join(given) or "error=None"
