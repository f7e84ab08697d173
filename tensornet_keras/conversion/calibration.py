r"""Calibration: what layers are given, on examples without labels.

Layers are solved front to back. A layer that follows converted ones is given
other inputs $\tilde X$ than the source layer, $X$; its kernel becomes the one
that comes closest to the source's outputs from the inputs it will really get,

$$W^* = \arg\min_V \lVert X W - \tilde X V \rVert^2
      + \lambda \lVert V - W \rVert^2,$$

and is then approximated in the norm that $\tilde X$ sees.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import keras
import numpy as np

from tensornet_keras import backend, model_inputs, surgery
from tensornet_keras.conversion import layer_inputs, rules, statistics
from tensornet_keras.conversion.calibration_data import batches_of
from tensornet_keras.conversion.factorization import Factorization
from tensornet_keras.conversion.walks import Walk

# Share of the mean square of the inputs by which a kernel is drawn to its
# source's.
RIDGE = 1e-3


@dataclass(eq=False)
class Moments:
    """Sums over all rows that a layer's kernel was multiplied by.

    Args:
        features: Length of a row.
    """

    features: int
    count: int = 0
    own: np.ndarray = field(init=False)
    source: np.ndarray = field(init=False)
    cross: np.ndarray = field(init=False)
    own_sum: np.ndarray = field(init=False)
    source_sum: np.ndarray = field(init=False)

    def __post_init__(self):
        for name in ("own", "source", "cross"):
            setattr(self, name, np.zeros((self.features, self.features)))
        self.own_sum = np.zeros(self.features)
        self.source_sum = np.zeros(self.features)

    def add(self, own: np.ndarray, source: np.ndarray) -> None:
        """Adds rows.

        Args:
            own: Rows that the layer gets.
            source: The same rows as the source layer gets them.
        """
        self.count += len(own)
        self.own += own.T @ own
        self.own_sum += own.sum(0)
        if source is not own:
            self.source += source.T @ source
            self.cross += own.T @ source
            self.source_sum += source.sum(0)

    def same(self) -> Moments:
        """These moments where the layer gets what its source gets."""
        self.source, self.cross = self.own, self.own
        self.source_sum = self.own_sum
        return self

    def centered(self) -> Moments:
        """The moments about the means, for a layer with a bias."""
        found = Moments(self.features, self.count)
        found.own_sum, found.source_sum = self.own_sum, self.source_sum
        own, source = (x / max(1, self.count) for x in _sums(self))
        found.own = self.own - np.outer(self.own_sum, own)
        found.source = self.source - np.outer(self.source_sum, source)
        found.cross = self.cross - np.outer(self.own_sum, source)
        return found

    def closest(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel closest to the source's outputs.

        Args:
            kernel: The source's, `(features, outputs)`.
        """
        mean = np.trace(self.own) / self.features
        if not mean:
            return kernel
        ridge = RIDGE * mean * np.eye(self.features)
        wanted = (self.cross + ridge) @ kernel
        return np.linalg.solve(self.own + ridge, wanted)

    def output_error(self, kernel: np.ndarray, other: np.ndarray) -> float:
        """What another kernel misses of the source's outputs, relative.

        Args:
            kernel: The source's kernel.
            other: That of the layer.
        """
        whole = float((kernel * (self.source @ kernel)).sum())
        both = float((other * (self.cross @ kernel)).sum())
        own = float((other * (self.own @ other)).sum())
        if whole <= 0.0:
            return 0.0
        return float(np.sqrt(max(0.0, whole - 2 * both + own) / whole))


def _sums(moments: Moments) -> tuple[np.ndarray, np.ndarray]:
    return moments.own_sum, moments.source_sum


class Calibration:
    """A model, a copy of it that is converted layer by layer, and examples.

    Args:
        model: A built model.
        data: Examples: an array, arrays in the structure that the model
            takes, or an iterable of batches of these, with or without
            labels, which are left aside. All are held in memory.

    Raises:
        ValueError: If the data is empty, not finite or does not fit the
            model.
    """

    def __init__(self, model, data):
        self.model = model
        layers = list(surgery.leaf_layers(model))
        self.batches, self.held_back = batches_of(model, data), []
        self.copy = surgery.copy_with(model, _none, _none)
        twins = zip(
            layers,
            surgery.leaf_layers(self.copy),
            strict=True,
        )
        self._looped = _in_loops(model)
        if any(map(self._is_estimable, layers)):
            self.batches, self.held_back = statistics.split(
                self.batches, _is_fixed(model, self.batches[0])
            )
        self._twins = {id(layer): twin for layer, twin in twins}
        self._calls: dict[int, int] = {}
        # In the copy, what is in front of a layer is settled when its turn
        # comes.
        self._walk = Walk(model, self.batches)
        self._copy_walk = Walk(self.copy, self.batches)

    def twin(self, layer):
        """What stands for a layer in the copy."""
        return self._twins[id(layer)]

    def hears(self, layer) -> bool:
        """Whether numbers reach a layer; a loop hides what it calls.

        Args:
            layer: A layer of the model.
        """
        return id(layer) not in self._looped

    def settle_statistics(self) -> statistics.Statistics | None:
        """Gives the copy the better statistics of its normalizations."""
        return statistics.settled(
            self.model,
            self.copy,
            self._normalizations(),
            self.batches,
            self.held_back,
        )

    def give_statistics(self, model) -> None:
        """Gives a converted model the statistics of the copy.

        Args:
            model: The source with other layers in place of some.
        """
        statistics.take_over(
            surgery.leaf_layers(self.copy),
            surgery.leaf_layers(model),
            self._normalizations(),
        )

    def _normalizations(self) -> list:
        return [
            self.twin(layer)
            for layer in surgery.leaf_layers(self.model)
            if self._is_estimable(layer)
        ]

    def _is_estimable(self, layer) -> bool:
        return statistics.is_estimable(layer) and self.hears(layer)

    def in_order(self, layers: Iterable) -> list:
        """The layers in the order in which the model first calls them.

        Args:
            layers: Layers of the model. Those that are not called are last.
        """
        layers = list(layers)
        self._calls = {}
        with contextlib.ExitStack() as stack:
            for layer in layers:
                count = _counting(self._calls, layer)
                stack.enter_context(layer_inputs.heard(layer, count))
            self.model(_first_examples(self.batches[0]), training=False)
        places = {key: place for place, key in enumerate(self._calls)}
        return sorted(layers, key=lambda x: places.get(id(x), len(places)))

    def source_moments(self, layers: Iterable) -> dict[int, Moments]:
        """Moments of the inputs of layers in the source, in one pass.

        Args:
            layers: Layers without an obstacle.

        Returns:
            From the ids of the layers.
        """
        layers = list(layers)
        found = {
            id(layer): Moments(layer_inputs.features(layer)) for layer in layers
        }

        def adding(layer):
            def add(inputs):
                for rows in layer_inputs.rows_of(layer, inputs):
                    found[id(layer)].add(rows, rows)

            return add

        with contextlib.ExitStack() as stack:
            for layer in layers:
                stack.enter_context(layer_inputs.heard(layer, adding(layer)))
            stack.enter_context(backend.without_gradients())
            for batch in self.batches:
                self.model(batch, training=False)
        return {key: moments.same() for key, moments in found.items()}

    def joint_moments(self, layer) -> Moments:
        """Moments of what a layer gets in the copy and in the source.

        Args:
            layer: A layer without an obstacle, of those that were brought
                in order.
        """
        found = Moments(layer_inputs.features(layer))
        calls = self._calls.get(id(layer), 0)
        if not calls:
            return found
        batches = zip(
            self._walk.inputs_of(layer, calls),
            self._copy_walk.inputs_of(self.twin(layer), calls),
            strict=True,
        )
        for source, own in batches:
            for theirs, ours in zip(source, own, strict=True):
                pairs = zip(
                    layer_inputs.rows_of(layer, ours),
                    layer_inputs.rows_of(layer, theirs),
                    strict=True,
                )
                for own_rows, source_rows in pairs:
                    found.add(own_rows, source_rows)
        return found

    def take(self, layer, found: Factorization) -> None:
        """Gives the copy what stands for the kernels of a layer.

        Args:
            layer: A layer of the model.
            found: What was found for it.
        """
        twin = self.twin(layer)
        rules.assign(twin, [part.to_dense() for part in found.parts])
        if found.bias is not None:
            twin.bias.assign(found.bias)


def _in_loops(model) -> frozenset[int]:
    """The ids of layers that are called in a loop of the backend."""
    return frozenset(
        id(inner)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.TimeDistributed)
        for inner in layer._flatten_layers(include_self=False)
    )


def _is_fixed(model, batch) -> bool:
    """Whether a model takes batches of one size only."""
    specs = keras.tree.flatten(model_inputs.input_specs(model, batch))
    return any(spec.shape[0] is not None for spec in specs)


def _none(*_):
    return None


def _counting(calls: dict, layer):
    def count(_):
        calls[id(layer)] = calls.get(id(layer), 0) + 1

    return count


def _first_examples(batch):
    return keras.tree.map_structure(lambda x: x[:1], batch)
