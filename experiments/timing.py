"""Times several functions by turns, so that one machine's moods hit all."""

from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

# Seconds of a call beside which what the one before has left is little.
LONG = 0.2


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

    def ratio_spread(self, other) -> tuple[float, float]:
        """Lower and upper quartile of the ratios of the rounds."""
        pairs = zip(self.seconds, other.seconds, strict=True)
        return Timing(tuple(ours / theirs for ours, theirs in pairs)).spread

    def to_dict(self) -> dict:
        low, high = self.spread
        return {
            "median": self.median,
            "quartiles": [low, high],
            "rounds": len(self.seconds),
        }


def interleave(
    calls, rounds=30, warmup=3, budget=10.0, *, slice_seconds=0.0, least=3
):
    """Times functions in turn, round after round.

    Every round calls each function once and starts with another one; once
    each was the first, the rounds run backwards, and so on: a change of the
    machine's speed falls on all of them alike, and none always follows the
    same other. With slices, a
    function is called untimed before, so that the caches are its own and the
    threads of another library are at rest, and then as often as fills the
    slice; what counts is the mean.

    Args:
        calls: Mapping from a name to a function without arguments that
            returns when its work is done.
        rounds: Most rounds to run.
        warmup: Untimed rounds before.
        budget: Seconds after which no further round is begun.
        slice_seconds: How long a function runs when its turn comes; 0 calls
            it once, and nothing before it. A call of seconds has none before
            it either.
        least: Fewest rounds, whatever the budget.

    Returns:
        A dict from the names to their `Timing`.
    """
    names = list(calls)
    for _ in range(warmup):
        for name in names:
            calls[name]()
    counts = {name: _counts(calls[name], slice_seconds) for name in names}
    seconds = {name: [] for name in names}
    started = perf_counter()
    for turn in range(rounds):
        if turn >= least and perf_counter() - started > budget:
            break
        swaps, first = divmod(turn, len(names))
        order = names[first:] + names[:first]
        for name in reversed(order) if swaps % 2 else order:
            call, (untimed, count) = calls[name], counts[name]
            for _ in range(untimed):
                call()
            before = perf_counter()
            for _ in range(count):
                call()
            seconds[name].append((perf_counter() - before) / count)
    return {name: Timing(tuple(seconds[name])) for name in names}


def _counts(call, slice_seconds):
    """How often to call a function untimed, and how often a slice has it."""
    if not slice_seconds:
        return 0, 1
    before = perf_counter()
    call()
    once = max(perf_counter() - before, 1e-6)
    return int(once < LONG), min(1000, max(1, round(slice_seconds / once)))
