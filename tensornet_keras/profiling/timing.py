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


def model_seconds(model, inputs):
    """The median time of a model's forward pass as in inference.

    Args:
        model: A built Keras model.
        inputs: Arrays as the model takes them.

    Returns:
        Seconds.
    """
    return median_seconds(_inference(model, inputs), _flat(inputs))


def seconds_by_turns(runs, rounds):
    """Times of the forward passes of several models, each in every round.

    Args:
        runs: Pairs of a built Keras model and arrays as it takes them.
        rounds: How many times of each are taken.

    Returns:
        For every model a list of seconds, each the median of a few passes.
    """
    compiled = [
        (backend.compiled(_inference(model, inputs)), _flat(inputs))
        for model, inputs in runs
    ]
    for _ in range(2):
        for function, tensors in compiled:
            _run(function, tensors)
    found = [[] for _ in compiled]
    for _ in range(rounds):
        for own, (function, tensors) in zip(found, compiled, strict=True):
            own.append(statistics.median(_timed(function, tensors)))
    return found


def _timed(function, tensors):
    """A few times, the fewest that are enough for a median."""
    for _ in range(_FEWEST):
        start = time.perf_counter()
        _run(function, tensors)
        yield time.perf_counter() - start


def _inference(model, inputs):
    def function(*tensors):
        given = keras.tree.pack_sequence_as(inputs, tensors)
        return model(given, training=False)

    return function


def _flat(inputs):
    return keras.tree.flatten(inputs)


def _run(function, tensors):
    outputs = keras.tree.flatten(function(*tensors))
    for tensor in outputs[-1:]:
        backend.synchronize(tensor)
