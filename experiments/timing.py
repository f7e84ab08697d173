"""Times several functions by turns, so that one machine's moods hit all."""

from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter


@dataclass(frozen=True)
class Timing:
    """Seconds of one function, one entry per round.

    Args:
        seconds: What every round took, in the order of the rounds.
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """Lower and upper quartile."""
        if len(self.seconds) < 2:
            return self.seconds[0], self.seconds[0]
        low, _, high = quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    def ratio_to(self, other) -> float:
        """Median over the rounds of this function's time over the other's."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return median(ours / theirs for ours, theirs in pairs)

    def to_dict(self) -> dict:
        low, high = self.spread
        return {
            "median": self.median,
            "quartiles": [low, high],
            "rounds": len(self.seconds),
        }


def interleave(calls, rounds=30, warmup=3, budget=10.0):
    """Times functions in turn, round after round.

    Every round calls each function once and starts with another one, so that
    a change of the machine's speed falls on all of them alike.

    Args:
        calls: Mapping from a name to a function without arguments that
            returns when its work is done.
        rounds: Most rounds to run; three are run whatever the budget.
        warmup: Untimed rounds before.
        budget: Seconds after which no further round is begun.

    Returns:
        A dict from the names to their `Timing`.
    """
    names = list(calls)
    for _ in range(warmup):
        for name in names:
            calls[name]()
    seconds = {name: [] for name in names}
    started = perf_counter()
    for turn in range(rounds):
        if turn >= 3 and perf_counter() - started > budget:
            break
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            before = perf_counter()
            calls[name]()
            seconds[name].append(perf_counter() - before)
    return {name: Timing(tuple(seconds[name])) for name in names}
