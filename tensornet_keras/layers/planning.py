"""Which plan a layer takes: a tuned one, or the best that is predicted.

A batch that is known only when the layer runs may have two plans. TensorFlow
then branches; a graph without branches, for export, is traced inside
`without_branches`.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping

from keras import ops

from tensornet_keras import backend, validation
from tensornet_keras.contraction import Plan, devices, plan_for, plan_of
from tensornet_keras.contraction.plan import INFERENCE, TRAINING
from tensornet_keras.contraction.search import BATCHES
from tensornet_keras.contraction.trees import as_order
from tensornet_keras.network import TensorNetwork

# The batch that an unknown one must not exceed a memory at.
MOST = BATCHES[-1]
_BRANCHES = contextvars.ContextVar("branches", default=True)


@contextlib.contextmanager
def without_branches() -> Iterator[None]:
    """Context in which layers take one plan for all batch sizes."""
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
    tunable: bool = True,
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
        tunable: Whether the tuned plans of the layer are for this network.
    """
    batch = layer.planning_batch or batch or None
    mode = TRAINING if training else INFERENCE
    machine = devices.machine_for(layer.compute_dtype)
    key = devices.tuning_key(batch, layer.compute_dtype, mode)
    tuned = layer.tuned_plans.get(key)
    if tuned is not None and tunable and not rebuild_only:
        plan = plan_of(
            network,
            as_order(tuned["order"]),
            batch,
            positions,
            uses,
            tiles=tuned["tiles"],
            mode=mode,
            machine=machine,
        )
        # A size of the same name may be larger than the one that was timed.
        bound = layer.max_memory
        if bound is None or plan.peak_bytes_at(batch or MOST) <= bound:
            return plan
    return plan_for(
        network,
        batch,
        positions,
        rebuild_only,
        uses,
        mode=mode,
        machine=machine,
        max_memory=layer.max_memory,
    )


def run_best(plan: Plan, inputs, run: Callable[[Plan], Callable]):
    """Runs a plan, or the one of two that fits the batch.

    Args:
        plan: The plan.
        inputs: The tensor whose first axis is the batch.
        run: A function of a plan that returns one without arguments.
    """
    branches = backend.has_branches() and _BRANCHES.get()
    if plan.beyond is None or None not in inputs.shape[:1] or not branches:
        return run(plan)()
    batch, larger = plan.beyond
    return ops.cond(ops.shape(inputs)[0] < batch, run(plan), run(larger))


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
