"""Statistics of batch normalizations: estimated anew where that helps.

Kernels that miss their source change the means and variances that a batch
normalization behind them was trained to. Layers fitted front to back mostly
keep them, so that an estimate from few examples may do harm: both are tried on
examples that nothing was fitted to.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from tensornet_keras import backend
from tensornet_keras.layer_calls import holds_numbers, wrapped_call

# One of so many examples is held back, if these are enough to judge on.
HELD_BACK = 8
LEAST = 8


@dataclass(frozen=True)
class Statistics:
    """What both kinds of statistics miss of the source's outputs.

    Args:
        source: Relative error of the model's outputs on held-back data with
            the statistics of the source.
        estimated: The same with those that were estimated anew.
    """

    source: float
    estimated: float

    @property
    def changed(self) -> bool:
        """Whether those that were estimated anew are better, and taken."""
        return self.estimated < self.source

    def __str__(self):
        taken = "estimated anew" if self.changed else "the source's"
        return (
            f"batch-norm statistics: {taken} (outputs on held-back data miss "
            f"{self.source:.3g} with the source's, {self.estimated:.3g} with "
            "new ones)"
        )


def is_estimable(layer) -> bool:
    """Whether a layer has statistics that may be estimated anew.

    Args:
        layer: A layer. What is frozen stays as it is.
    """
    kind = keras.layers.BatchNormalization
    return isinstance(layer, kind) and layer.built and layer.trainable


def split(batches: Sequence, fixed: bool) -> tuple[list, list]:
    """Examples to fit to, and the last eighth to judge on.

    Args:
        batches: Calibration data.
        fixed: Whether the model takes batches of one size only.

    Returns:
        Batches of both; of the latter none where there are too few examples.
    """
    kept, held_back = list(batches), []
    lengths = [len(keras.tree.flatten(batch)[0]) for batch in kept]
    left = sum(lengths) // HELD_BACK
    if left < LEAST:
        return kept, []
    while left >= len(keras.tree.flatten(kept[-1])[0]):
        held_back.insert(0, kept.pop())
        left -= len(keras.tree.flatten(held_back[0])[0])
    if left and not fixed:
        whole, at = kept.pop(), -left
        kept.append(keras.tree.map_structure(lambda x: x[:at], whole))
        held_back.insert(0, keras.tree.map_structure(lambda x: x[at:], whole))
    return kept, held_back


def settled(source, copy, layers, batches, held_back) -> Statistics | None:
    """Gives a copy the statistics with which it misses less of its source.

    Args:
        source: The source model.
        copy: A copy with other kernels.
        layers: Layers of the copy that may be estimated.
        batches: Inputs to estimate on.
        held_back: Inputs to judge on.

    Returns:
        What was found, or `None` where there is nothing to settle.
    """
    if not layers or not held_back:
        return None
    wanted = [_outputs(source, batch) for batch in held_back]
    before = [_numbers(layer) for layer in layers]
    first = _missed(copy, held_back, wanted)
    estimate(copy, layers, batches)
    found = Statistics(first, _missed(copy, held_back, wanted))
    if not found.changed:
        for layer, numbers in zip(layers, before, strict=True):
            _assign(layer, *numbers)
    return found


def estimate(model, layers, batches) -> None:
    """Gives batch normalizations the statistics of their inputs.

    Each normalizes a batch by the batch's own, as in training, so that one
    pass does for all of them.

    Args:
        model: The model.
        layers: Its batch normalizations.
        batches: Inputs of the model.
    """
    sums = {id(layer): _Sums() for layer in layers}
    before = [_numbers(layer) for layer in layers]
    with contextlib.ExitStack() as stack:
        for layer in layers:
            stack.enter_context(_by_the_batch(layer, sums[id(layer)]))
        for batch in batches:
            model(batch, training=False)
    for layer, numbers in zip(layers, before, strict=True):
        _assign(layer, *(sums[id(layer)].moments() or numbers))


def take_over(copy, model_layers, layers) -> None:
    """Gives the layers of a model the statistics of those of a copy.

    Args:
        copy: The layers of the copy.
        model_layers: The layers of the model, in the same order.
        layers: Those of the copy that count.
    """
    ids = {id(layer) for layer in layers}
    for theirs, ours in zip(copy, model_layers, strict=True):
        if id(theirs) in ids:
            _assign(ours, *_numbers(theirs))


class _Sums:
    """Sums over the inputs of a layer, by channel."""

    def __init__(self):
        self.count, self.first, self.second = 0, 0.0, 0.0
        self.usable = True

    def spoil(self):
        """Says that not all inputs could be seen."""
        self.usable = False

    def add(self, count, mean, variance):
        self.count += count
        self.first = self.first + count * mean
        self.second = self.second + count * (variance + mean**2)

    def moments(self):
        if not self.count or not self.usable:
            return None
        mean = self.first / self.count
        return mean, np.maximum(self.second / self.count - mean**2, 0.0)


def _by_the_batch(layer, sums: _Sums) -> contextlib.AbstractContextManager:
    """Context in which a layer normalizes by the statistics of its input."""

    def normalizing(call):
        def normalizing_call(inputs, *args, **kwargs):
            masked = kwargs.get("mask") is not None
            if masked or not holds_numbers(inputs):
                # Its statistics stay those of the source.
                sums.spoil()
                return call(inputs, *args, **kwargs)
            axis = layer.axis % len(inputs.shape)
            axes = [n for n in range(len(inputs.shape)) if n != axis]
            numbers = ops.convert_to_numpy(ops.cast(inputs, "float32"))
            numbers = numbers.astype(np.float64)
            mean, variance = numbers.mean(tuple(axes)), numbers.var(tuple(axes))
            sums.add(math.prod(numbers.shape[n] for n in axes), mean, variance)
            _assign(layer, mean, variance)
            return call(inputs, *args, **kwargs)

        return normalizing_call

    return wrapped_call(layer, normalizing)


def _numbers(layer) -> tuple[np.ndarray, np.ndarray]:
    moments = layer.moving_mean, layer.moving_variance
    mean, variance = (np.array(backend.numbers_of(each)) for each in moments)
    return mean, variance


def _assign(layer, mean, variance) -> None:
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)


def _outputs(model, batch) -> list[np.ndarray]:
    found = keras.tree.flatten(model(batch, training=False))
    return [ops.convert_to_numpy(each).astype(np.float64) for each in found]


def _missed(model, batches, wanted) -> float:
    """The relative error of all outputs together."""
    missed = whole = 0.0
    for batch, theirs in zip(batches, wanted, strict=True):
        for found, right in zip(_outputs(model, batch), theirs, strict=True):
            missed += float(np.square(found - right).sum())
            whole += float(np.square(right).sum())
    return math.sqrt(missed / whole) if whole else math.sqrt(missed)
