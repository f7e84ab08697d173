"""Choosing: what each kernel of a layer becomes when it is frozen."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from keras import ops

from tensornet_keras import backend
from tensornet_keras.contraction.measure import (
    HOPELESS,
    interleaved_seconds,
)
from tensornet_keras.contraction.search import BATCHES
from tensornet_keras.deployment import freezable
from tensornet_keras.deployment.merging import Candidate, candidates_of
from tensornet_keras.deployment.options import (
    LATENCY,
    MEMORY,
    SIZE,
    Decision,
    Option,
    Wish,
)
from tensornet_keras.surgery.layer_copies import starting_from_zeros

# No file of a saved, LiteRT or ONNX model holds a weight of more bytes.
MOST_DENSE_BYTES = 2**31
# How many merged candidates are timed beside the dense kernel.
MOST_TIMED = 3
# Batch sizes that are timed for where the batch is unknown, as far as inputs
# and outputs of them stay below some bytes.
TIMED_BATCHES = (1, 32, 1024)
MOST_TIMED_BYTES = 2**27
# The least by which a merged network must be faster than the dense kernel.
CLEARLY = 0.02
# Beyond this, two timings of the dense kernel say nothing about the others.
MOST_NOISE = 0.2


def decide(layer, batch: int | None, wish: Wish) -> Decision:
    """What a layer becomes.

    Args:
        layer: A layer without an obstacle.
        batch: Batch size, `None` if unknown.
        wish: What freezing is to reach.

    Raises:
        ValueError: If nothing keeps to the `max_memory` of the wish, or of
            the layer.
    """
    shape = freezable.planned_shape(layer, batch)
    kernels = [
        candidates_of(site.kernel.format, site.meetings, site.itemsize)
        for site in freezable.sites(layer, shape)
    ]
    limit = _limit(layer, kernels, wish)
    options = _options(kernels, shape[0], wish, limit)
    if limit is not None:
        options = _within(layer, options, wish, limit)
    dense = next(
        (each for each in options if each.is_dense),
        Option(tuple(each[0] for each in kernels)),
    )
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
    return _fastest(layer, shape, ranked, dense, wish.xla, limit)


def _limit(layer, kernels, wish: Wish) -> int | None:
    """The most bytes of weights and intermediates, `None` for no limit."""
    limits = [] if wish.max_memory is None else [wish.max_memory]
    own = freezable.own_limit(layer)
    if own is not None:
        # There the cores do not count, but what they are merged into does.
        cores = sum(source.weight_bytes for _, source, *_ in kernels)
        limits.append(own + cores)
    return min(limits, default=None)


def _options(kernels, batch, wish: Wish, limit: int | None) -> list[Option]:
    """The combinations of what the kernels may become."""
    allowed = [_allowed(each, wish) for each in kernels]
    if len(kernels) > 1:
        allowed = [_shortlist(each, batch, limit) for each in allowed]
    return [Option(each) for each in itertools.product(*allowed)]


def _allowed(candidates, wish: Wish) -> list[Candidate]:
    """The candidates of one kernel that may be chosen."""
    dense, source, *allowed = candidates
    if dense.stored_bytes <= MOST_DENSE_BYTES:
        allowed.append(dense)
    if wish.objective != LATENCY or not allowed:
        allowed.append(source)
    return allowed


def _shortlist(allowed, batch, limit: int | None) -> list[Candidate]:
    """The candidates of one kernel that are worth a combination."""
    few = [each for each in allowed if each.is_dense]
    if limit is not None:
        few += _smallest(allowed)
        # If none fits, all are compared for the error.
        allowed = [
            each
            for each in allowed
            if each.weight_bytes + each.least_peak <= limit
        ] or allowed
    few += [
        *_ranked(allowed, batch)[:MOST_TIMED],
        min(allowed, key=lambda each: each.numbers),
        min(allowed, key=lambda each: each.memory),
    ]
    return list(dict.fromkeys(few))


def _smallest(candidates: list[Candidate]) -> list[Candidate]:
    """Those than which no other has both smaller weights and a lower peak."""
    found: list[Candidate] = []
    for each in sorted(candidates, key=lambda x: (x.numbers, x.least_peak)):
        if not found or each.least_peak < found[-1].least_peak:
            found.append(each)
    return found


def _within(layer, options, wish: Wish, limit: int) -> list[Option]:
    """The options by plans that keep to the memory."""
    found = [each.within(limit) for each in options]
    found = [each for each in found if each is not None]
    if found:
        return found
    least = min(each.least_memory for each in options)
    name = layer.path or layer.name
    if limit == wish.max_memory:
        raise ValueError(
            f"`max_memory` must be at least {least} bytes, the least that "
            f"layer {name!r} takes. "
            f"Received: max_memory={wish.max_memory}. "
            "Raise it, or lower the batch size."
        )
    own = freezable.own_limit(layer)
    raise ValueError(
        f"The `max_memory` of layer {name!r} must be at least "
        f"{least - limit + own} bytes, the least that it takes frozen. "
        f"Received: a layer with max_memory={own}. "
        "Raise it there, or lower the batch size."
    )


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
    layer,
    shape,
    ranked: list[Option],
    dense: Option,
    xla: bool,
    limit: int | None,
) -> Decision:
    """The fastest on this device; the dense kernels unless clearly beaten."""
    timed = _worth_timing(ranked, shape[0])
    timed += _padded(timed[:1], limit)
    can_be_dense = dense in ranked
    # The dense kernels are timed twice: what differs is noise.
    tried = [*timed, *([dense, dense] if can_be_dense else [])]
    runners = {
        each: _runner(layer, shape, each, xla) for each in dict.fromkeys(tried)
    }
    batches = _timed_batches(layer, shape)
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
    """The best by prediction but the dense one, if there is hope for them."""
    regret = _regret(ranked, batch)
    most = HOPELESS * min(regret.values(), default=1.0)
    merged = [each for each in ranked if not each.is_dense]
    return [each for each in merged[:MOST_TIMED] if regret[each] <= most]


def _padded(options: list[Option], limit: int | None) -> list[Option]:
    """Those of them with padded bonds that keep to the memory."""
    found = [each.padded() for each in options]
    return [
        each
        for each in found
        if each is not None and (limit is None or each.memory <= limit)
    ]


def _noise(times: list[list[float]]) -> float:
    """By how much two timings of the same, the last two rows, differ."""
    pairs = zip(*times[-2:], strict=True)
    return max(max(pair) / min(pair) - 1 for pair in pairs)


def _timed_batches(layer, shape) -> tuple[int, ...]:
    """The batch sizes that are timed."""
    if shape[0] is not None:
        return (shape[0],)
    example = 4 * freezable.numbers_per_example(layer, shape)
    return tuple(
        size
        for size in TIMED_BATCHES
        if size == 1 or size * example <= MOST_TIMED_BYTES
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
