"""How long a compiled function takes."""

import statistics
import time

import keras

from tensornet_keras import backend

_BUDGET = 0.1  # seconds spent on one function, unless the fewest runs take more
_FEWEST = 5
_MOST = 50


def median_seconds(function, tensors):
    """The median time of a function, compiled as the backend compiles.

    It runs twice before the clock starts: compilation and the first touch of
    memory are not what a user waits for every time.

    Args:
        function: A function of tensors.
        tensors: What to call it with.

    Returns:
        Seconds.
    """
    compiled = backend.compiled(function)
    for _ in range(2):
        _run(compiled, tensors)
    seconds = []
    while len(seconds) < _FEWEST or (
        len(seconds) < _MOST and sum(seconds) < _BUDGET
    ):
        start = time.perf_counter()
        _run(compiled, tensors)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _run(function, tensors):
    outputs = keras.tree.flatten(function(*tensors))
    for tensor in outputs[-1:]:
        backend.synchronize(tensor)
