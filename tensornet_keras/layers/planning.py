"""Which plan a layer takes: a tuned one, or the best that is predicted.

A batch that is known only when the layer runs may have several plans.
TensorFlow then branches; a graph without branches, for export, is traced
inside `without_branches`.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from keras import ops

from tensornet_keras import backend, validation
from tensornet_keras.contraction import Plan, devices, plan_for, plan_of
from tensornet_keras.contraction.plan import INFERENCE, TRAINING
from tensornet_keras.contraction.search import BATCHES
from tensornet_keras.contraction.trees import as_order
from tensornet_keras.network import TensorNetwork

# Sizes that an unknown batch may have; tuned ones may be larger, 64 times.
MOST = BATCHES[-1]
LARGER = 6
_BRANCHES = contextvars.ContextVar("branches", default=True)


@contextlib.contextmanager
def without_branches() -> Iterator[None]:
    """Context in which layers take one plan for all batch sizes, whole.

    In a file, parts of a batch that are empty are an error.
    """
    token = _BRANCHES.set(False)
    try:
        yield
    finally:
        _BRANCHES.reset(token)


def chosen(
    layer,
    network: TensorNetwork,
    batch: int | None,
    positions=((), ()),
    *,
    training: bool = False,
    rebuild_only: bool = False,
    uses: int = 1,
    way: str = "",
    exact: bool = False,
) -> Plan:
    """The plan that a factorized layer takes.

    Args:
        layer: The layer, for its `planning_batch`, `max_memory`,
            `tuned_plans` and dtype.
        network: The network to contract.
        batch: Batch size, `None` or 0 if unknown.
        positions: As in `plan_for`.
        training: Whether gradients are wanted.
        rebuild_only: As in `plan_for`.
        uses: As in `plan_for`.
        way: The name of this network among those of the layer, where it has
            another one besides its own.
        exact: Whether the batch holds whatever the layer's `planning_batch`.
    """
    batch = batch if exact else layer.planning_batch or batch or None
    mode = TRAINING if training else INFERENCE
    machine = devices.machine_for(layer.compute_dtype)
    plan = plan_for(
        network,
        batch,
        positions,
        rebuild_only,
        uses,
        mode=mode,
        machine=machine,
        max_memory=layer.max_memory,
    )
    if not layer.tuned_plans or rebuild_only:
        return plan

    def tuned(size: int, most: int) -> Plan | None:
        """What was measured to be the best for such sizes, if it fits."""
        entry = _entry(layer, network, size, mode + way, positions)
        if entry is None:
            return None
        found = plan_of(
            network,
            as_order(entry["order"]),
            batch,
            positions,
            uses,
            tiles=entry["tiles"],
            mode=mode,
            machine=machine,
            tuned=True,
        )
        # A size of the same name may be larger than the one that was timed.
        memory = layer.max_memory
        fits = memory is None or found.peak_bytes_at(most) <= memory
        return found if fits else None

    if batch is not None:
        return tuned(batch, batch) or plan
    return _with_ranges(plan, tuned)


def tuning_key(
    network: TensorNetwork, batch: int, dtype: str, mode: str, positions, xla
) -> str:
    """The name under which a layer keeps a measured plan.

    Rows of a matrix count as so many examples.

    Args:
        network: The network to contract.
        batch: Batch size.
        dtype: The type that the layer computes in.
        mode: `"inference"` or `"training"`, and the name of the network if
            the layer has several.
        positions: As in `plan_for`.
        xla: Whether XLA compiles.
    """
    if not network.labels_of("window"):
        batch, positions = batch * math.prod(positions[0]), ((), ())
    # JAX has no other way to compile.
    xla = xla and backend.name() == "tensorflow"
    return devices.tuning_key(batch, dtype, mode, positions, xla)


def _entry(layer, network, size, mode, positions) -> dict | None:
    """The tuned plan of a size; one timed with XLA may serve without it."""
    xla = backend.compiles_by_xla()
    for way in (xla, not xla):
        key = tuning_key(
            network, size, layer.compute_dtype, mode, positions, way
        )
        if key in layer.tuned_plans:
            return layer.tuned_plans[key]
    _say_what_is_foreign(frozenset(layer.tuned_plans))
    return None


@lru_cache(maxsize=256)
def _say_what_is_foreign(keys: frozenset[str]) -> None:
    """Warns of plans from elsewhere, once, where all of them are."""
    if not any(map(devices.is_of_this_device, keys)):
        where = sorted({"/".join(key.split("/")[:2]) for key in keys})
        warnings.warn(
            f"Plans tuned on {', '.join(where)} are ignored on "
            f"{devices.device_kind()}/{backend.name()}. "
            "Call `autotune` here.",
            stacklevel=2,
        )


def _with_ranges(plan: Plan, tuned: Callable[[int, int], Plan | None]) -> Plan:
    """A plan for an unknown batch, with tuned ones where there are some."""
    per_example = _rows_per_example(plan)
    # Where a size may begin that shares no name with the one below.
    starts = {1, *(first for first, _ in plan.ranges)}
    for rows in (2**n for n in range(MOST.bit_length() + LARGER)):
        starts.add(rows // per_example + 1)
    ranges: list[tuple[int, Plan]] = []
    for first in sorted(starts):
        last = max(first, devices.bucket(first * per_example) // per_example)
        found = tuned(first, last) or plan.at(first)
        if not ranges or ranges[-1][1] != found:
            ranges.append((first, found))
    if len(ranges) == 1:
        return ranges[0][1]
    return dataclasses.replace(plan, ranges=tuple(ranges))


def static_shape(tensor) -> tuple[int | None, ...]:
    """The sizes of a tensor, `None` for those that are not known.

    While JAX infers a shape, a size that is not known is a symbol.

    Args:
        tensor: A tensor of the backend.
    """
    return tuple(
        size if validation.is_integer(size) else None for size in tensor.shape
    )


def run_best(plan: Plan, inputs, run: Callable[[Plan], Callable]):
    """Runs a plan, or the one of its ranges that has the batch.

    Args:
        plan: The plan.
        inputs: The tensor whose first axes are the batch and its rows.
        run: A function of a plan that returns one without arguments.
    """
    axes = _axes_of_rows(plan, len(inputs.shape))
    sizes = static_shape(inputs)[:axes]
    if None in sizes and not _BRANCHES.get():
        plan = without_sizes(plan)
    if not plan.ranges:
        return run(plan)()
    per_example = _rows_per_example(plan)
    if None not in sizes:
        rows = math.prod(sizes)
        return run(plan.at(max(1, rows // per_example)))()
    if not backend.has_branches():
        return run(plan)()
    rows = math.prod(ops.shape(inputs)[:axes])
    number = sum(
        ops.cast(rows >= first * per_example, "int32")
        for first, _ in plan.ranges[1:]
    )
    return ops.switch(number, [run(one) for _, one in plan.ranges])


def without_sizes(plan: Plan) -> Plan:
    """The plan for all sizes, whole: it neither branches nor cuts a batch.

    Args:
        plan: The plan.
    """
    return dataclasses.replace(plan, tiles=1, ranges=())


def _rows_per_example(plan: Plan) -> int:
    """How many rows of a matrix an example has, as far as it was known."""
    window = plan.network.labels_of("window")
    return 1 if window else math.prod(plan.positions[0])


def _axes_of_rows(plan: Plan, axes: int) -> int:
    """How many of an input's axes are the batch and rows of examples."""
    if plan.network.labels_of("window"):
        return 1
    if plan.network.labels_of("lookup"):
        return axes
    return axes - 1 - len(plan.network.labels_of("batch"))


def checked_plans(tuned: Mapping | None) -> dict[str, dict]:
    """Tuned plans as a layer holds them, from a config or from a caller.

    Args:
        tuned: From a name to an order and a number of parts.

    Raises:
        ValueError: If one of them is anything else.
    """
    plans = {}
    for key, plan in dict(tuned or {}).items():
        if not isinstance(plan, Mapping) or set(plan) != {"order", "tiles"}:
            raise ValueError(
                "A tuned plan has an `order` and `tiles`. "
                f"Received: {key!r}: {plan!r}. Let `autotune` find plans."
            )
        tiles = validation.positive_integer(plan["tiles"], "tiles")
        plans[key] = {"order": as_order(plan["order"]), "tiles": tiles}
    return plans


def checked_shape(layer, shape, built) -> tuple[int | None, ...]:
    """A shape that a layer takes, or an error.

    Args:
        layer: The layer, for its `input_spec`.
        shape: The shape to check.
        built: The shape that the layer was built with.

    Raises:
        TypeError: If it is no tuple.
        ValueError: If it is not a shape of the layer's inputs.
    """
    if not isinstance(shape, (tuple, list)):
        raise TypeError(
            "`input_shape` must be a tuple, an int or None. "
            f"Received: input_shape={shape!r}. "
            f"Pass a shape such as {built}, or a batch size."
        )
    for size in shape:
        if size is not None:
            validation.positive_integer(size, "input_shape")
    spec = layer.input_spec
    axes = (spec.axes or {}).items()
    fits = len(shape) >= (spec.ndim or spec.min_ndim) and not (
        spec.ndim and len(shape) > spec.ndim
    )
    if not fits or any(shape[axis] != size for axis, size in axes):
        raise ValueError(
            "`input_shape` must be a shape that the layer takes, like "
            f"the one it was built with, {built}. "
            f"Received: input_shape={tuple(shape)}. "
            "Keep the number of axes and the size of the channel axis."
        )
    return tuple(shape)
