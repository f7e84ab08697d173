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


class _Turn(keras.utils.PyDataset):
    """So many batches of another data set, from where the last epoch ended.

    Args:
        data: The data set; one without an end has `num_batches` `None`.
        steps: Batches of an epoch.
        epoch: Number of the epoch.
    """

    def __init__(self, data, steps: int, epoch: int):
        super().__init__(
            data.workers, data.use_multiprocessing, data.max_queue_size
        )
        self._data, self._steps = data, steps
        self._start = epoch * steps

    def __len__(self):
        return self._steps

    def __getitem__(self, index):
        place, whole = self._start + index, self._data.num_batches
        return self._data[place if whole is None else place % whole]

    def on_epoch_begin(self):
        self._data.on_epoch_begin()

    def on_epoch_end(self):
        self._data.on_epoch_end()


class Feed:
    """Training data, epoch by epoch.

    Args:
        data: Arrays `x` or `(x, y)`; a `PyDataset`, or a `tf.data.Dataset`
            or a `DataLoader` of PyTorch, which can be gone over again; or a
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
        first = self.epoch((0, 0), 0)
        batch = _first(first)
        self._outline = (_count(first), *map(_kind, keras.tree.flatten(batch)))
        # Inputs, with labels, with weights of examples. Keras reads a list, as
        # the data loaders of PyTorch make them, as a tuple.
        self.parts = len(batch) if isinstance(batch, (tuple, list)) else 1

    @property
    def told(self):
        """What tells the data from other data.

        The arrays; of what makes batches only their number, shapes and types,
        for it may shuffle them.
        """
        if isinstance(self._data, _ARRAYS):
            return self._data
        return self._outline

    def epoch(self, stage: tuple[int, int], number: int):
        """What `fit` takes in an epoch.

        Args:
            stage: Which phase and which stage of it, from 0.
            number: The epoch of the stage, from 0.
        """
        data = self._data(number) if callable(self._data) else self._data
        if isinstance(data, keras.utils.PyDataset):
            if self._steps is None:
                return data
            return _Turn(data, self._steps, number)
        if isinstance(data, _ARRAYS) or ops.is_tensor(data):
            # In a tuple, for Keras takes a list for one of x and y.
            arrays = _arrays(data if isinstance(data, tuple) else (data,))
            seed = (self._seed, *stage, number)
            return Batches(arrays, self._batch_size, self._steps, seed)
        if not isinstance(data, Iterable) or iter(data) is data:
            raise TypeError(
                "`data` must be arrays, a data set that can be gone over "
                f"again, or a function of the epoch. Received: {data!r}. "
                "Pass for example lambda epoch: batches(epoch)."
            )
        return data

    def steps_of(self, data) -> int | None:
        """How many batches of an epoch are taken, `None` for all.

        Args:
            data: What `epoch` returned.
        """
        return None if isinstance(data, keras.utils.PyDataset) else self._steps


Data = Callable[[int], Iterable] | Iterable


def _arrays(data: tuple) -> tuple:
    """Inputs, labels and weights as arrays, those that are there."""
    while data and data[-1] is None:
        data = data[:-1]
    if not data or any(part is None for part in data):
        raise ValueError(
            "`data` must hold at least one array of inputs, and labels where "
            "it holds weights of examples. Received: a tuple of "
            f"{len(data)} parts with None. Pass x, (x, y) or (x, y, weight)."
        )
    arrays = (
        np.asarray(part)
        if _is_list_of_numbers(part)
        else keras.tree.map_structure(np.asarray, part)
        for part in data
    )
    # TensorFlow's data sets know no lists.
    return tuple(map(keras.tree.lists_to_tuples, arrays))


def _is_list_of_numbers(part) -> bool:
    return isinstance(part, list) and all(np.isscalar(each) for each in part)


def _length(arrays) -> int:
    lengths = {len(each) for each in keras.tree.flatten(arrays)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "`data` must hold the same number of examples, at least one, in "
            f"all arrays. Received: {sorted(lengths)} examples."
        )
    return lengths.pop()


def _count(batches) -> int | None:
    """The number of batches, `None` where nobody knows."""
    if isinstance(batches, keras.utils.PyDataset):
        return batches.num_batches
    try:
        return len(batches)
    except TypeError:
        return None


def _kind(array) -> str:
    return f"{tuple(array.shape[1:])} {array.dtype}"


def _first(batches):
    if isinstance(batches, keras.utils.PyDataset):
        return batches[0]
    for batch in batches:
        return batch
    raise ValueError(
        "`data` must hold at least one batch. Received: none. "
        "Pass the training examples."
    )
