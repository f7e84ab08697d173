"""Latency: formats by the time that a whole model takes, measured.

What each option of a layer costs is predicted: the time of the dense layer,
measured here, times what the cost model says of the frozen twin over what it
says of the dense kernel. What all options together take is measured on a
frozen model of these formats, and the budget corrected until it is met.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import keras

from tensornet_keras import deployment, model_inputs, surgery
from tensornet_keras.conversion import choosing, rules
from tensornet_keras.conversion.budget import BudgetTooSmall
from tensornet_keras.conversion.costs import built_twin
from tensornet_keras.deployment.choosing import decide
from tensornet_keras.deployment.options import LATENCY, Wish
from tensornet_keras.formats import Format
from tensornet_keras.layers.initializers import without_drawing
from tensornet_keras.profiling import compare
from tensornet_keras.profiling.calls import recorded_inside
from tensornet_keras.profiling.profile import layer_seconds

# How often the budget is corrected, and by how much more than was missed.
ROUNDS = 5
CAUTION = 1.1
# The share of the time asked for that is not loosened any more.
NEAR = 0.85
# Options of a layer that are timed, and of a kind of formats at least.
OPTIONS = 12
FEWEST = 4


class Latency:
    """The time of a model and of its layers on some inputs.

    Args:
        model: A built model, which is run and timed.
        sample: Inputs as the model takes them, or `None` for one example
            that is drawn.
        fixed: The ids of layers that do not stay dense.
    """

    def __init__(self, model, sample=None, fixed: Collection[int] = ()):
        self._fixed = fixed
        specs = model_inputs.input_specs(model, sample)
        self._inputs = (
            model_inputs.random_inputs(specs, 1)
            if sample is None
            else model_inputs.sample_inputs(specs, sample)
        )
        self._model = model
        self._seconds, self._shapes = {}, {}
        for each in recorded_inside(model, self._inputs):
            if each.innermost and each.calls:
                seconds = layer_seconds(each.layer, each.calls) or 0.0
                self._seconds[id(each.layer)] = seconds
                self._shapes[id(each.layer)] = each.calls[0].input_shape
        self._known: dict[tuple, float] = {}

    def cost(self, layer, bound: tuple[Format, ...] | None) -> float:
        """Seconds of a layer, dense or with kernels of these formats.

        Args:
            layer: A layer that can be factorized.
            bound: The bound format of each kernel; `None` for dense ones.
        """
        dense = self._seconds.get(id(layer), 0.0)
        if bound is None or not dense:
            return dense
        shape = self._shapes[id(layer)]
        key = (type(layer), shape, bound)
        if key not in self._known:
            twin = built_twin(layer, bound, shape)
            found = decide(twin, shape[0], Wish(LATENCY, None, False, False))
            own, whole = (
                each.seconds_at(found.batch)
                for each in (found.option, found.dense)
            )
            self._known[key] = own / whole if whole else 1.0
        return dense * self._known[key]

    def chosen(
        self, layers: Sequence, options: Sequence, latency: float
    ) -> tuple[list, float]:
        """The formats with which the frozen model takes a share of the time.

        Args:
            layers: The layers that can be factorized.
            options: What each may become.
            latency: The share of the original's time.

        Returns:
            The formats of each layer, or `None` to keep it, and the share
            that was measured.

        Raises:
            ValueError: If nothing is as fast; it names the least share.
        """
        if latency >= 1.0 and not self._fixed:
            return [None] * len(layers), 1.0
        total = sum(self._seconds.values())
        own = sum(self.cost(layer, None) for layer in layers)
        if not own or not total:
            raise ValueError(
                "`latency` needs layers that take time. Received: none that "
                "can be factorized was called. Select others with filters=."
            )
        part = own / total
        options = [_few(each) for each in options]
        share, least, most = 1.0 - (1.0 - latency) / part, 0.0, 1.0
        best = None
        for _ in range(ROUNDS):
            try:
                found = self._within(layers, options, share)
            except BudgetTooSmall:
                break
            if best is not None and found == best[0]:
                break
            reached = self._measured(layers, found)
            if reached <= latency:
                least, best = max(least, share), (found, reached)
                if reached >= NEAR * latency:
                    break
                # Half of what is left, for the next may be too slow.
                step = 0.5 * (latency - reached) / part
                share = min(share + step, 0.5 * (share + most))
            else:
                most = min(share, 1.0)
                step = CAUTION * (reached - latency) / part
                share = max(most - step, 0.5 * (least + most) if best else 0.0)
        if best is not None:
            return best
        found = self._fastest(layers, options)
        reached = self._measured(layers, found)
        if reached <= latency:
            return found, reached
        raise ValueError(
            f"`latency` must be at least {reached:.2f}, the least that was "
            f"measured here. Received: latency={latency}. Raise it, select "
            "more layers, or allow other formats."
        )

    def _within(self, layers, options, share: float):
        if share <= 0.0:
            raise BudgetTooSmall(0.0)
        return choosing.allocated(
            layers, options, min(share, 1.0), self.cost, self._fixed
        )

    def _fastest(self, layers, options):
        found = []
        for layer, own in zip(layers, options, strict=True):
            bounds = [bound for _, bound in own]
            if not bounds or id(layer) not in self._fixed:
                # First, for what gains no time loses nothing either.
                bounds.insert(0, None)
            costs = [self.cost(layer, bound) for bound in bounds]
            found.append(bounds[costs.index(min(costs))])
        return found

    def _measured(self, layers, found) -> float:
        """The time of a frozen model of these formats over the original's."""
        formats = {
            id(layer): bound
            for layer, bound in zip(layers, found, strict=True)
            if bound is not None
        }

        def twin_of(layer):
            if id(layer) not in formats:
                return None
            return rules.twin(layer, formats[id(layer)])

        with without_drawing():
            made = surgery.copy_with(self._model, twin_of, _leave)
        batch = len(_first(self._inputs))
        frozen = deployment.freeze(made, batch)
        both = compare(
            {"original": self._model, "frozen": frozen}, sample=self._inputs
        )
        original, other = both.versions
        return other.seconds / original.seconds


def _leave(*_) -> None:
    """Leaves a twin as it is: zeros take the time of other numbers."""


def _few(options: list) -> list:
    """Some of many options of each kind, from the smallest to the largest."""
    kinds = choosing.by_kind(options)
    most = max(FEWEST, OPTIONS // max(1, len(kinds)))
    found = []
    for kind in kinds:
        step = max(1.0, (len(kind) - 1) / (most - 1))
        found += [kind[round(n * step)] for n in range(min(most, len(kind)))]
    return found


def _first(inputs):
    return keras.tree.flatten(inputs)[0]
