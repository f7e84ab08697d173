"""The candidate plans of a layer, timed: what a better choice would gain."""

import dataclasses
from dataclasses import dataclass

import keras
from keras import ops

from tensornet_keras import contraction
from tensornet_keras.contraction import execute
from tensornet_keras.contraction.measure import UNLIKELY

from ..timing import Timing, interleave
from .layers import SLICE, layer_call

# How many candidates are timed, those predicted to be the fastest, and how
# many of them are timed at length.
TRIED, FINALISTS = 10, 3


class Planned(keras.layers.Layer):
    """A factorized layer that keeps to one plan.

    Args:
        layer: A built factorized layer without a bias, which it shares.
        plan: The plan.
    """

    def __init__(self, layer, plan):
        super().__init__()
        self.layer = layer
        self._plan = plan
        self.built = True

    def call(self, inputs, training=None):
        cores = [ops.convert_to_tensor(core) for core in self.layer.cores]
        window = self.layer.format.window
        same = window and execute.Convolution(
            (1,) * len(window), "same", (1,) * len(window)
        )
        return execute.execute(self._plan, inputs, cores, same or None)


@dataclass(frozen=True)
class Found:
    """Candidates timed.

    Args:
        timings: From the names of the chosen plans, and `"candidate n"`, to
            their `Timing`, by turns.
        titles: From these names to the plans' titles.
        trial: From the titles of all candidates to seconds, in a short trial.
    """

    timings: dict[str, Timing]
    titles: dict[str, str]
    trial: dict[str, float]

    def regret(self, name):
        """The time of a plan over that of the best one timed, 1 at least.

        Args:
            name: The name of a chosen plan.

        Returns:
            A number.
        """
        mine = self.timings[name]
        return max(mine.ratio_to(other) for other in self.timings.values())


def timed(layer, x, chosen, smoke):
    """Times the plans chosen and the best of the others by turns.

    Args:
        layer: A built factorized layer without a bias.
        x: Its input.
        chosen: From a name to a plan.
        smoke: Whether a few rounds of three candidates will do.

    Returns:
        What was `Found`.
    """
    plans = several(x.shape, chosen, 3 if smoke else TRIED)
    # One way to compile for all, that in which `autotune` has timed them.
    calls = {
        number: layer_call(Planned(layer, plan), x)
        for number, plan in enumerate(plans)
    }
    trial = interleave(
        calls,
        rounds=3 if smoke else 9,
        budget=2.0,
        slice_seconds=0.0 if smoke else SLICE,
    )
    ranked = sorted(trial, key=lambda number: trial[number].median)
    places = {_key(plan): number for number, plan in enumerate(plans)}
    names = {name: places[_key(plan)] for name, plan in chosen.items()}
    finalists = [n for n in ranked[:FINALISTS] if n not in names.values()]
    names |= {f"candidate {number}": number for number in finalists}
    distinct = dict.fromkeys(names.values())
    timings = interleave(
        {number: calls[number] for number in distinct},
        rounds=3 if smoke else 30,
        budget=2.0,
        slice_seconds=0.0 if smoke else SLICE,
    )
    return Found(
        {name: timings[number] for name, number in names.items()},
        {name: plans[number].title for name, number in names.items()},
        {f"{n}: {plans[n].title}": trial[n].median for n in ranked},
    )


def several(shape, chosen, most):
    """The chosen plans and those predicted to be the fastest, all distinct.

    Args:
        shape: Shape of the layer's input.
        chosen: From a name to a plan.
        most: How many of the fastest, besides the rebuilt kernel.

    Returns:
        A list of plans, the chosen ones first.
    """
    batch = int(shape[0])
    first = next(iter(chosen.values()))
    others = [
        dataclasses.replace(
            plan, batch=batch, mode=first.mode, machine=first.machine
        )
        for plan in contraction.candidates(first.network, first.positions)
    ]
    # What is far slower by prediction may need more memory than there is.
    times = {plan: plan.seconds_at(batch) for plan in others}
    limit = UNLIKELY * min(times.values(), default=0.0)
    others = sorted(
        (plan for plan in others if times[plan] <= limit), key=times.__getitem__
    )
    rebuilt = [plan for plan in others if plan.rebuilds]
    found = {}
    for plan in [*chosen.values(), *rebuilt[:1], *others[:most]]:
        found.setdefault(_key(plan), plan)
    return list(found.values())


def _key(plan):
    """What a plan does, whatever it was chosen over."""
    return plan.steps, plan.tiles
