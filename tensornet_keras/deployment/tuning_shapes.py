"""Shapes to tune: all that the time of a layer's plan depends on."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

from tensornet_keras.contraction.execute import Convolution
from tensornet_keras.contraction.measure import shortlist
from tensornet_keras.contraction.plan import TRAINING, Plan
from tensornet_keras.deployment.freezable import USUAL_SIZE
from tensornet_keras.layers import planning
from tensornet_keras.layers.conv import FactorizedConv
from tensornet_keras.layers.reversible_embedding import (
    REVERSE,
    FactorizedReversibleEmbedding,
)


@dataclass(frozen=True)
class TuningShape:
    """All that the time of a layer's plan depends on.

    Layers of one shape are timed once.
    """

    plan: Plan
    dtype: str
    convolution: Convolution | None
    max_memory: int | None
    xla: bool
    way: str = ""

    @property
    def key(self) -> str:
        """The name of the winner in a layer."""
        plan = self.plan
        return planning.tuning_key(
            plan.network,
            plan.batch,
            self.dtype,
            plan.mode + self.way,
            plan.positions,
            self.xla,
        )

    @property
    def store_key(self) -> str:
        """The name of the times in the cache folder."""
        plan = self.plan
        told = (
            plan.network,
            plan.positions,
            plan.uses,
            plan.batch,
            self.convolution,
            self.max_memory,
            self.xla,
        )
        checksum = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
        return f"plans/{self.key}/{checksum}"


def ways_of(layer) -> tuple[str, ...]:
    """The networks of a layer, by their names.

    Args:
        layer: A factorized layer.
    """
    both = isinstance(layer, FactorizedReversibleEmbedding)
    return ("", REVERSE) if both else ("",)


def has_rivals(shape: TuningShape) -> bool:
    """Whether there is more than one plan to time.

    Args:
        shape: The shape.
    """
    return len(shortlist(shape.plan, 2, shape.max_memory)) > 1


def shape_of(layer, size, mode, xla, way) -> TuningShape:
    """What the time of a layer depends on.

    Args:
        layer: A built factorized layer.
        size: Number of examples.
        mode: `"inference"` or `"training"`.
        xla: Whether XLA compiles.
        way: The name of the network, of `ways_of`.
    """
    # A `planning_batch` is what the layer plans for.
    size = layer.planning_batch or size
    input_shape = (size, *(n or USUAL_SIZE for n in layer.built_shape[1:]))
    how = {"training": mode == TRAINING}
    if way == REVERSE:
        how["reverse"] = True
        input_shape = (*input_shape, layer.output_dim)
    plan = dataclasses.replace(
        layer.plan(input_shape, **how),
        rivals=(),
        ranges=(),
        tuned=False,
        title="",
        steps=(),
        order=(),
        tiles=1,
    )
    dtype, convolution = layer.compute_dtype, _convolution(layer)
    return TuningShape(plan, dtype, convolution, layer.max_memory, xla, way)


def _convolution(layer) -> Convolution | None:
    if not isinstance(layer, FactorizedConv):
        return None
    return Convolution(
        layer.strides,
        # Zeros before a causal convolution leave as many places as "same".
        "same" if layer.padding == "causal" else layer.padding,
        layer.dilation_rate,
        layer.data_format,
        layer.groups,
    )
