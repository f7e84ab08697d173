"""The feed: training data for each epoch, the same whenever it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras
import numpy as np
from keras import ops

_ARRAYS = (np.ndarray, list, tuple, dict)


class Batches(keras.utils.PyDataset):
    """Arrays in batches, in an order of their own for every epoch.

    Args:
        arrays: `x`, or `(x, y)`, or `(x, y, sample_weight)`, each an array or
            a structure of arrays.
        batch_size: Examples in a batch; the last one may hold fewer.
        steps: Batches of an epoch, `None` for all.
        seed: Numbers that name the order.
    """

    def __init__(self, arrays, batch_size: int, steps: int | None, seed):
        super().__init__()
        self._arrays = arrays
        self._size = batch_size
        self._order = np.random.default_rng(seed).permutation(_length(arrays))
        whole = -(-len(self._order) // batch_size)
        self._steps = whole if steps is None else min(steps, whole)

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        start = index * self._size
        chosen = self._order[start : start + self._size]
        return keras.tree.map_structure(lambda x: x[chosen], self._arrays)


class Feed:
    """Training data, epoch by epoch.

    Args:
        data: Arrays `x` or `(x, y)`; a `PyDataset`, a `tf.data.Dataset` or
            another iterable of batches that can be gone over again; or a
            function of the number of the epoch, from 0, that returns one of
            these.
        batch_size: Examples in a batch of arrays.
        steps_per_epoch: Batches of an epoch, `None` for all.
        seed: Seed of the order of arrays.

    Raises:
        TypeError: If the data is of another type, or can be gone over once.
        ValueError: If arrays differ in length, or are empty.
    """

    def __init__(self, data, batch_size: int, steps_per_epoch, seed: int):
        self._data = data
        self._batch_size = batch_size
        self._steps = steps_per_epoch
        self._seed = seed
        first = self.epoch(0, 0)
        batch = _first(first)
        self.has_labels = isinstance(batch, tuple) and len(batch) > 1

    def epoch(self, stage: int, number: int):
        """What `fit` takes in an epoch.

        Args:
            stage: Which stage of the fine-tuning it is, from 0.
            number: The epoch of the stage, from 0.
        """
        data = self._data(number) if callable(self._data) else self._data
        if isinstance(data, keras.utils.PyDataset):
            return data
        if isinstance(data, _ARRAYS) or ops.is_tensor(data):
            arrays = keras.tree.map_structure(_array, data)
            if isinstance(arrays, tuple):
                arrays = tuple(each for each in arrays if each is not None)
            seed = (self._seed, stage, number)
            return Batches(arrays, self._batch_size, self._steps, seed)
        if not isinstance(data, Iterable) or iter(data) is data:
            raise TypeError(
                "`data` must be arrays, a data set that can be gone over "
                f"again, or a function of the epoch. Received: {data!r}. "
                "Pass for example lambda epoch: batches(epoch)."
            )
        return data


Data = Callable[[int], Iterable] | Iterable


def _array(value):
    return None if value is None else np.asarray(value)


def _length(arrays) -> int:
    lengths = {len(each) for each in keras.tree.flatten(arrays)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "`data` must hold the same number of examples, at least one, in "
            f"all arrays. Received: {sorted(lengths)} examples."
        )
    return lengths.pop()


def _first(batches):
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0]
    for batch in batches:
        return batch
    raise ValueError(
        "`data` must hold at least one batch. Received: none. "
        "Pass the training examples."
    )
