"""Measuring: how long functions, and the plans of one network, really take.

Everything that is compared runs in turns, so that whatever else the machine
does meets all sides alike, and the median of a few rounds counts.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import math
import statistics
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np

from tensornet_keras import backend
from tensornet_keras.contraction.choice import parts_of, plan_for
from tensornet_keras.contraction.execute import (
    Convolution,
    execute,
    merged_weights,
)
from tensornet_keras.contraction.plan import FROZEN, TRAINING, Plan
from tensornet_keras.contraction.search import candidates
from tensornet_keras.contraction.steps import BATCH, label_sizes

# Rounds, and seconds after which no further round begins.
FEWEST_ROUNDS = 5
MOST_ROUNDS = 50
BUDGET = 0.5
# What is this many times slower than the best of some tries is timed no more.
HOPELESS = 3.0
TRIES = 2
# What is predicted to be this many times slower than the best is not timed: it
# may take more memory than there is.
UNLIKELY = 8.0


def interleaved_seconds(
    calls: Sequence[Callable[[], object]],
    budget: float = BUDGET,
    hopeless: float = math.inf,
    of_all: Callable[[list[float]], float] = statistics.median,
) -> list[float]:
    """Times of some calls, made in turns.

    Every call is made once before the clock starts.

    Args:
        calls: Functions of nothing that return tensors.
        budget: Seconds after which no further round begins, once the fewest
            rounds are over.
        hopeless: How many times slower than the fastest a call may be in the
            first rounds to be made in the later ones.
        of_all: What is taken of all times of a call.

    Returns:
        Seconds, one number per call.
    """
    with _quiet():
        for call in calls:
            _seconds(call)
    tries = [[_seconds(call) for call in calls] for _ in range(TRIES)]
    least = [min(times) for times in zip(*tries, strict=True)]
    limit = hopeless * min(least, default=0.0)
    kept = [n for n, seconds in enumerate(least) if seconds <= limit]
    # What is made no more has its tries for times.
    seconds = [[] if n in kept else [least[n]] for n in range(len(calls))]
    start = time.perf_counter()
    for rounds in itertools.count(1):
        # Every other round backwards: no call always follows the same one.
        for n in kept if rounds % 2 else reversed(kept):
            seconds[n].append(_seconds(calls[n]))
        spent = time.perf_counter() - start
        if rounds >= MOST_ROUNDS or (
            rounds >= FEWEST_ROUNDS and spent > budget
        ):
            break
    return [of_all(times) for times in seconds]


def measure(
    plans: Sequence[Plan],
    dtype: str = "float32",
    convolution: Convolution | None = None,
    budget: float = BUDGET,
    xla: bool = False,
) -> list[float]:
    """Median times of plans of one network, on random numbers.

    They run as a layer runs them, compiled, at the shown batch of the first
    plan: forward, with what is done among the weights or, for a frozen plan,
    without it, or forward and backward for a training plan.

    Args:
        plans: Plans of one network, for one batch and one mode.
        dtype: The type that the layer computes in.
        convolution: How the window slides; for networks with a window.
        budget: Seconds after which no further round begins.
        xla: Whether TensorFlow compiles by XLA; JAX always does.

    Returns:
        Seconds of one pass, one number per plan.

    Example:

    >>> import tensornet_keras as tk
    >>> from tensornet_keras.contraction import candidates
    >>> from tensornet_keras.contraction.measure import measure
    >>> train = tk.formats.TensorTrain(rank=2).bind((64,), (27,))
    >>> plans = candidates(train.network)
    >>> len(measure(plans, budget=0.0)) == len(plans)
    True
    """
    generator = np.random.default_rng(0)
    inputs = _random_input(plans[0], dtype, generator, convolution)
    cores = [
        _random(shape, dtype, generator)
        for shape in plans[0].network.core_shapes
    ]
    calls = [
        _call(plan, inputs, cores, convolution, dtype, xla) for plan in plans
    ]
    return interleaved_seconds(calls, budget, HOPELESS)


def shortlist(
    plan: Plan, most: int = 5, max_memory: int | None = None
) -> list[Plan]:
    """The plans that the cost model thinks best, for the same purpose.

    Args:
        plan: A plan of the network, for a known batch, a mode and a device.
        most: How many plans there may be; the fastest one in parts of the
            batch comes on top, if the cache is too small for it, and the one
            that `plan_for` takes, if that is none of them.
        max_memory: Most bytes that a plan may take, as in `plan_for`.

    Returns:
        Plans, the one of the least predicted time, which `plan_for` takes,
        first. What is predicted to be many times slower is left out.
    """
    batch = plan.shown_batch
    predicted = plan_for(
        plan.network,
        batch,
        plan.positions,
        uses=plan.uses,
        mode=plan.mode,
        machine=plan.machine,
        max_memory=max_memory,
    )
    others = [
        dataclasses.replace(
            other,
            batch=batch,
            uses=plan.uses,
            mode=plan.mode,
            machine=plan.machine,
        )
        for other in candidates(plan.network, plan.positions)
    ]
    if max_memory is not None:
        others = [kept for p in others for kept in _fewest_parts(p, max_memory)]
    times = [other.seconds_at(batch) for other in others]
    limit = UNLIKELY * min(times, default=0.0)
    ranked = sorted(range(len(others)), key=times.__getitem__)
    best = [others[n] for n in ranked[:most] if times[n] <= limit]
    parts = [
        dataclasses.replace(best[0], tiles=tiles)
        for tiles in parts_of(batch, plan.mode)
        if best
        and best[0].tiles < tiles
        and best[0].peak_bytes_at(batch) > plan.machine.cache_bytes
    ]
    best += sorted(parts, key=lambda part: part.seconds_at(batch))[:1]
    same = (predicted.order, predicted.tiles)
    rest = [p for p in best if (p.order, p.tiles) != same]
    rest = sorted(rest, key=lambda other: other.seconds_at(batch))
    return [dataclasses.replace(predicted, rivals=()), *rest]


def _fewest_parts(plan: Plan, max_memory: int) -> list[Plan]:
    """A plan in as few parts as keep to a memory, none if no number does."""
    batch = plan.shown_batch
    tried = (
        dataclasses.replace(plan, tiles=tiles)
        for tiles in (1, *parts_of(batch, plan.mode))
    )
    fitting = (p for p in tried if p.peak_bytes_at(batch) <= max_memory)
    return list(itertools.islice(fitting, 1))


@contextlib.contextmanager
def _quiet():
    """Keeps from the user that TensorFlow compiles one function a call."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _seconds(call: Callable[[], object]) -> float:
    """Time of one call, up to the numbers of its last output."""
    start = time.perf_counter()
    outputs = keras.tree.flatten(call())
    if outputs:
        backend.synchronize(outputs[-1])
    return time.perf_counter() - start


def _call(plan, inputs, cores, convolution, dtype, xla) -> Callable[[], object]:
    """A pass of a plan, compiled, as a function of nothing."""
    if plan.mode == FROZEN:
        merged = merged_weights(plan, cores, dtype)
        places = [n for n, one in enumerate(merged) if one is not None]
        tensors = [merged[n] for n in places]

        def forward(inputs, *tensors):
            given = list(merged)
            for place, tensor in zip(places, tensors, strict=True):
                given[place] = tensor
            return execute(plan, inputs, cores, convolution, dtype, given)

    else:
        tensors = cores

        def forward(inputs, *cores):
            return execute(plan, inputs, cores, convolution, dtype)

    def both_ways(*tensors):
        # Of ids there is no gradient.
        fixed = () if _is_float(inputs) else (tensors[0],)

        def loss(*free):
            outputs = forward(*fixed, *free)
            return keras.ops.sum(keras.ops.square(outputs))

        return backend.gradients(loss, list(tensors[len(fixed) :]))

    function = both_ways if plan.mode == TRAINING else forward
    run = backend.compiled(function, xla)
    return lambda: run(inputs, *tensors)


def _random_input(plan: Plan, dtype, generator, convolution):
    """An input of the shape that the plan was made for."""
    network = plan.network
    if network.labels_of("lookup"):
        sizes = label_sizes(network, plan.shown_batch, plan.positions)
        ids = generator.integers(0, network.input_size, sizes[BATCH])
        return keras.ops.convert_to_tensor(ids.astype("int32"))
    rows = plan.positions[0]
    stacked = [network.sizes[x] for x in network.labels_of("batch")]
    shape = (plan.shown_batch, *rows, *stacked, network.input_size)
    if convolution is not None:
        channels = network.input_size * convolution.groups
        shape = (plan.shown_batch, *rows, channels)
        if convolution.data_format == "channels_first":
            shape = (plan.shown_batch, channels, *rows)
    return _random(shape, dtype, generator)


def _random(shape, dtype, generator):
    numbers = generator.standard_normal(shape, dtype="float32")
    return keras.ops.convert_to_tensor(numbers, dtype)


def _is_float(tensor) -> bool:
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return keras.backend.is_float_dtype(dtype)
