r"""Calibration: what layers are given, on examples without labels.

Layers are solved front to back. A layer that follows converted ones is given
other inputs $\tilde X$ than the source layer, $X$; its kernel becomes the one
that comes closest to the source's outputs from the inputs it will really get,

$$W^* = \arg\min_V \lVert X W - \tilde X V \rVert^2
      + \lambda \lVert V - W \rVert^2,$$

and is then approximated in the norm that inputs like $\tilde X$ see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import keras

from tensornet_keras import backend, model_inputs, surgery
from tensornet_keras.conversion import layer_inputs, rules, statistics
from tensornet_keras.conversion.calibration_data import batches_of
from tensornet_keras.conversion.factorization import Factorization
from tensornet_keras.conversion.fitting import Refit
from tensornet_keras.conversion.layer_inputs import rows_of
from tensornet_keras.conversion.walks import Walk


class Calibration:
    """A model, a copy of it that is converted layer by layer, and examples.

    Args:
        model: A built model.
        data: Examples: an array, arrays in the structure that the model
            takes, or an iterable of batches of these, with or without
            labels, which are left aside. All are held in memory.

    Raises:
        ValueError: If the data is empty, not finite or does not fit the
            model, or the model keeps states between calls.
    """

    def __init__(self, model, data):
        self.model = model
        layers = list(surgery.leaf_layers(model))
        _check_stateless(layers)
        self.batches, self.held_back = batches_of(model, data), []
        self.copy = surgery.copy_of(model)
        twins = zip(
            layers,
            surgery.leaf_layers(self.copy),
            strict=True,
        )
        if any(map(statistics.is_estimable, layers)):
            self.batches, self.held_back = statistics.split(
                self.batches, _is_fixed(model, self.batches[0])
            )
        self._twins = {id(layer): twin for layer, twin in twins}
        self._dense: dict[int, Refit] = {}
        self._calls: dict[int, int] = {}
        # In the copy, what is in front of a layer is settled when its turn
        # comes.
        self._walk = Walk(model, self.batches)
        self._copy_walk = Walk(self.copy, self.batches)

    @property
    def example(self):
        """A batch of what the model takes."""
        return self.batches[0]

    def twin(self, layer):
        """What stands for a layer in the copy."""
        return self._twins[id(layer)]

    def settle_statistics(self) -> statistics.Statistics | None:
        """Gives the copy the better statistics of its normalizations.

        After the last of the layers has been taken.
        """
        self._walk = self._copy_walk = None
        return statistics.settled(
            self.model,
            self.copy,
            self._normalizations(),
            self.batches,
            self.held_back,
        )

    def output_error(self, layer) -> float | None:
        """What dense kernels that were fitted anew miss of the outputs.

        Args:
            layer: A layer of the model.

        Returns:
            The relative error; `None` if the layer has the source's kernels.
        """
        found = self._dense.get(id(layer))
        return None if found is None else found.output_error

    def give(self, model) -> None:
        """Gives a converted model what the copy has that is no core.

        These are the dense kernels that were fitted anew, and the statistics
        of normalizations.

        Args:
            model: The source with other layers in place of some.
        """
        for layer, other in zip(
            surgery.leaf_layers(self.model),
            surgery.leaf_layers(model),
            strict=True,
        ):
            if id(layer) in self._dense:
                self._assign(other, self._dense[id(layer)])
        statistics.take_over(
            surgery.leaf_layers(self.copy),
            surgery.leaf_layers(model),
            self._normalizations(),
        )

    def _normalizations(self) -> list:
        return [
            self.twin(layer)
            for layer in surgery.leaf_layers(self.model)
            if statistics.is_estimable(layer)
        ]

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

    def source_moments(self, layers: Iterable) -> dict[int, tuple]:
        """Moments of the inputs of layers in the source, in one pass.

        Args:
            layers: Layers without an obstacle.

        Returns:
            For each of a layer's kernels, from the ids of the layers that
            are called.
        """
        layers = list(layers)
        found = {id(each): layer_inputs.no_moments(each) for each in layers}

        def adding(layer):
            own = found[id(layer)]

            def add(heard):
                for kernel, rows, first in rows_of(layer, heard):
                    own[kernel].add(rows, rows, first)

            return add

        with contextlib.ExitStack() as stack:
            for layer in layers:
                stack.enter_context(layer_inputs.heard(layer, adding(layer)))
            stack.enter_context(backend.without_gradients())
            for batch in self.batches:
                self.model(batch, training=False)
        return {
            key: tuple(each.same() for each in moments)
            for key, moments in found.items()
            if all(each.count for each in moments)
        }

    def joint_moments(self, layer) -> tuple | None:
        """Moments of what a layer gets in the copy and in the source.

        Args:
            layer: A layer without an obstacle, of those that were brought
                in order.

        Returns:
            For each of its kernels; `None` if it is not called.
        """
        found = layer_inputs.no_moments(layer)
        calls = self._calls.get(id(layer), 0)
        if not calls:
            return None
        batches = zip(
            self._walk.inputs_of(layer, calls),
            self._copy_walk.inputs_of(self.twin(layer), calls),
            strict=True,
        )
        for source, own in batches:
            for theirs, ours in zip(source, own, strict=True):
                ours = ours._replace(mask=theirs.mask)
                pairs = zip(
                    rows_of(layer, ours), rows_of(layer, theirs), strict=True
                )
                for rows, others in pairs:
                    each = found[rows.kernel]
                    each.add(rows.array, others.array, rows.first)
        return found if all(each.count for each in found) else None

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

    def take_dense(self, layer, found: Refit) -> None:
        """Gives the copy other kernels for a layer that stays dense.

        Args:
            layer: A layer of the model.
            found: Its kernels.
        """
        self._dense[id(layer)] = found
        self._assign(self.twin(layer), found)

    @staticmethod
    def _assign(layer, found: Refit) -> None:
        rules.assign(layer, found.kernels)
        if found.bias is not None:
            layer.bias.assign(found.bias)


def _check_stateless(layers) -> None:
    for layer in layers:
        if getattr(layer, "stateful", False):
            raise ValueError(
                "`calibration_data` needs a model whose calls do not depend on "
                f"those before. Received: layer {layer.path!r} with "
                "stateful=True. Convert it without data."
            )


def _is_fixed(model, batch) -> bool:
    """Whether a model takes batches of one size only."""
    specs = keras.tree.flatten(model_inputs.input_specs(model, batch))
    return any(spec.shape[0] is not None for spec in specs)


def _counting(calls: dict, layer):
    def count(_):
        calls[id(layer)] = calls.get(id(layer), 0) + 1

    return count


def _first_examples(batch):
    return keras.tree.map_structure(lambda x: x[:1], batch)
