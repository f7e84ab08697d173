"""Choosing: what each kernel of a layer becomes when it is frozen."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from keras import ops

from tensornet_keras import backend
from tensornet_keras.contraction.measure import (
    HOPELESS,
    interleaved_seconds,
)
from tensornet_keras.contraction.search import BATCHES
from tensornet_keras.deployment import freezable
from tensornet_keras.deployment.merging import Candidate, candidates_of
from tensornet_keras.surgery.layer_copies import starting_from_zeros

LATENCY, SIZE, MEMORY = OBJECTIVES = ("latency", "size", "memory")
# No file of a saved, LiteRT or ONNX model holds a weight of more bytes.
MOST_DENSE_BYTES = 2**31
# How many merged candidates are timed beside the dense kernel.
MOST_TIMED = 3
# Batch sizes that are timed for where the batch is unknown, as far as inputs
# of them stay below some bytes.
TIMED_BATCHES = (1, 32, 1024)
MOST_INPUT_BYTES = 2**27
# The least by which a merged network must be faster than the dense kernel.
CLEARLY = 0.02
# Beyond this, two timings of the dense kernel say nothing about the others.
MOST_NOISE = 0.2


@dataclass(frozen=True)
class Wish:
    """What freezing is to reach.

    Args:
        objective: `"latency"`, `"size"` or `"memory"`.
        max_memory: Most bytes of a layer's memory, `None` for no limit.
        measure: Whether candidates are timed.
        xla: Whether they are timed compiled by XLA, as the model will be.
    """

    objective: str
    max_memory: int | None
    measure: bool
    xla: bool


@dataclass(frozen=True, eq=False)
class Option:
    """What all kernels of a layer become together.

    Args:
        kernels: One candidate per kernel.
    """

    kernels: tuple[Candidate, ...]

    @property
    def is_dense(self) -> bool:
        """Whether every kernel is dense."""
        return all(each.is_dense for each in self.kernels)

    @property
    def is_source(self) -> bool:
        """Whether all cores stay as they are."""
        return all(each.is_source for each in self.kernels)

    @property
    def numbers(self) -> int:
        """How many numbers are stored."""
        return sum(each.numbers for each in self.kernels)

    @property
    def memory(self) -> int:
        """Bytes held while the layer runs, beyond input and output."""
        return sum(each.memory for each in self.kernels)

    def seconds_at(self, batch: int) -> float:
        """Predicted time of a forward pass.

        Args:
            batch: The batch size.
        """
        return sum(each.seconds_at(batch) for each in self.kernels)


@dataclass(frozen=True, eq=False)
class Decision:
    """What a layer becomes, and what it was chosen over.

    Args:
        option: What its kernels become.
        dense: The dense kernels, for comparison.
        batch: The batch size that times are for.
        seconds: Measured time of the option, `None` if not measured.
        dense_seconds: Measured time of the dense kernels, likewise.
    """

    option: Option
    dense: Option
    batch: int
    seconds: float | None = None
    dense_seconds: float | None = None


def decide(layer, batch: int | None, wish: Wish) -> Decision:
    """What a layer becomes.

    Args:
        layer: A layer without an obstacle.
        batch: Batch size, `None` if unknown.
        wish: What freezing is to reach.

    Raises:
        ValueError: If nothing keeps to `max_memory`.
    """
    shape = freezable.planned_shape(layer, batch)
    kernels = [
        candidates_of(site.kernel.format, site.meetings)
        for site in freezable.sites(layer, shape)
    ]
    options = _options(kernels, shape[0], wish)
    dense = next(
        (each for each in options if each.is_dense),
        Option(tuple(each[0] for each in kernels)),
    )
    options = _within(layer, options, wish)
    shown = shape[0] or 32
    if wish.objective != LATENCY:
        least = {SIZE: "numbers", MEMORY: "memory"}[wish.objective]
        regret = _regret(options, shape[0])
        # Exporters fold what is left to do among weights, into larger files.
        chosen = min(
            options,
            key=lambda x: (getattr(x, least), x.is_source, regret[x]),
        )
        return Decision(chosen, dense, shown)
    ranked = _ranked(options, shape[0])
    if not wish.measure or ranked == [dense]:
        return Decision(ranked[0], dense, shown)
    return _fastest(layer, shape, ranked, dense, wish.xla)


def _options(kernels, batch, wish: Wish) -> list[Option]:
    """The combinations of what the kernels may become."""
    short = [_shortlist(each, batch, wish, len(kernels)) for each in kernels]
    return [Option(each) for each in itertools.product(*short)]


def _shortlist(candidates, batch, wish: Wish, kernels: int):
    """The candidates of one kernel that are worth a combination."""
    itemsize = candidates[0].plans[0].machine.itemsize
    dense, source, *merged = candidates
    allowed = list(merged)
    if dense.numbers * itemsize <= MOST_DENSE_BYTES:
        allowed.append(dense)
    if wish.objective != LATENCY or not allowed:
        allowed.append(source)
    if kernels == 1:
        return allowed
    ranked = _ranked(allowed, batch)
    few = [
        *ranked[:MOST_TIMED],
        min(ranked, key=lambda each: each.numbers),
        min(ranked, key=lambda each: each.memory),
    ]
    if dense in allowed:
        few.append(dense)
    return list(dict.fromkeys(few))


def _within(layer, options: list[Option], wish: Wish) -> list[Option]:
    """The options that keep to the memory."""
    if wish.max_memory is None:
        return options
    least = min(each.memory for each in options)
    if least > wish.max_memory:
        raise ValueError(
            f"`max_memory` must be at least {least} bytes, the least that "
            f"layer {layer.path or layer.name!r} takes. "
            f"Received: max_memory={wish.max_memory}. "
            "Raise it, or lower the batch size."
        )
    return [each for each in options if each.memory <= wish.max_memory]


def _ranked(options: list, batch: int | None) -> list:
    """Options or candidates, the fastest by prediction first."""
    regret = _regret(options, batch)
    return sorted(options, key=regret.__getitem__)


def _regret(options: list, batch: int | None) -> dict:
    """The worst ratio of each to the fastest, over the batch sizes."""
    batches = BATCHES if batch is None else (batch,)
    times = [[each.seconds_at(size) for size in batches] for each in options]
    return dict(zip(options, _worst_ratios(times), strict=True))


def _worst_ratios(times: list[list[float]]) -> list[float]:
    least = [min(column) for column in zip(*times, strict=True)]
    return [
        max(time / best for time, best in zip(row, least, strict=True))
        for row in times
    ]


def _fastest(
    layer, shape, ranked: list[Option], dense: Option, xla: bool
) -> Decision:
    """The fastest on this device; the dense kernels unless clearly beaten."""
    timed = _worth_timing([x for x in ranked if not x.is_dense], shape[0])
    can_be_dense = dense in ranked
    # The dense kernels are timed twice: what differs is noise.
    tried = [*timed, *([dense, dense] if can_be_dense else [])]
    runners = {
        each: _runner(layer, shape, each, xla) for each in dict.fromkeys(tried)
    }
    batches = _timed_batches(shape)
    columns = [
        interleaved_seconds(
            [runners[each](batch) for each in tried], hopeless=HOPELESS
        )
        for batch in batches
    ]
    times = [list(row) for row in zip(*columns, strict=True)]
    ratios = _worst_ratios(times)
    best = min(range(len(timed)), key=ratios.__getitem__, default=len(timed))
    shown = columns[-1]
    if not can_be_dense:
        return Decision(timed[best], dense, batches[-1], shown[best])
    margin = max(CLEARLY, min(MOST_NOISE, _noise(times)))
    ours = ratios[best] * (1 + margin)
    chosen = best if timed and ours < min(ratios[-2:]) else len(timed)
    seconds = min(shown[-2:])
    return Decision(
        tried[chosen],
        dense,
        batches[-1],
        seconds if chosen == len(timed) else shown[chosen],
        seconds,
    )


def _worth_timing(ranked: list[Option], batch: int | None) -> list[Option]:
    """The best by prediction, without what is hopelessly slower."""
    regret = _regret(ranked, batch)
    most = HOPELESS * min(regret.values(), default=1.0)
    return [each for each in ranked[:MOST_TIMED] if regret[each] <= most]


def _noise(times: list[list[float]]) -> float:
    """By how much two timings of the same, the last two rows, differ."""
    pairs = zip(*times[-2:], strict=True)
    return max(max(pair) / min(pair) - 1 for pair in pairs)


def _timed_batches(shape) -> tuple[int, ...]:
    """The batch sizes that are timed."""
    if shape[0] is not None:
        return (shape[0],)
    example = 4 * math.prod(shape[1:])
    return tuple(
        size
        for size in TIMED_BATCHES
        if size == 1 or size * example <= MOST_INPUT_BYTES
    )


def _runner(layer, shape, option: Option, xla: bool) -> Callable:
    """A function from a batch size to a run of what a layer would become."""
    twin = freezable.frozen_twin(layer, option.kernels)
    with starting_from_zeros() as start_from_zeros:
        start_from_zeros(twin)
        # A loop that keeps its state has its batch size from the start.
        fixed = shape[0] if getattr(layer, "stateful", False) else None
        twin.build((fixed, *shape[1:]))
    freezable.fill(twin, layer, option.kernels)
    # An activation that is a layer may be built by the first call only.
    small = (fixed or 1, *shape[1:])
    for inputs, arguments in freezable.random_inputs(layer, small):
        twin(inputs, **arguments)
    weights = (twin.trainable_variables, twin.non_trainable_variables)
    weights = [[variable.value for variable in each] for each in weights]

    def runner(batch):
        calls = [
            (ops.convert_to_tensor(inputs), arguments)
            for inputs, arguments in freezable.random_inputs(
                layer, (batch, *shape[1:])
            )
        ]

        def forward(weights, tensors):
            return [
                twin.stateless_call(*weights, tensor, **arguments)[0]
                for tensor, (_, arguments) in zip(tensors, calls, strict=True)
            ]

        compiled = backend.compiled(forward, xla)
        tensors = [tensor for tensor, _ in calls]
        return lambda: compiled(weights, tensors)

    return runner
