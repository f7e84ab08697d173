"""Execution: runs a plan in `keras.ops`, on any backend.

Only reshapes, transpositions of at most six axes, two- and three-dimensional
matrix products and convolutions are emitted, so that LiteRT, ONNX and XLA
take a factorized layer as it is. Steps among the weights run in float32 when
the cores are of a 16-bit type.
"""

from __future__ import annotations

import keras
from keras import ops

from tensornet_keras.contraction.plan import Plan
from tensornet_keras.contraction.running import Convolution, Run
from tensornet_keras.contraction.search import kernel_plan
from tensornet_keras.contraction.steps import (
    BATCH,
    OUT,
    after,
)
from tensornet_keras.network import TensorNetwork

SHORT_TYPES = ("float16", "bfloat16")


def execute(
    plan: Plan,
    inputs,
    cores,
    convolution: Convolution | None = None,
    dtype: str | None = None,
    merged: list | None = None,
):
    """Applies the network of `plan` to an input.

    Args:
        plan: A plan for the network that the cores belong to.
        inputs: Tensor `(batch, ..., input_size)`; of a convolution
            `(batch, *spatial, channels)`, or `(batch, channels, *spatial)`
            if the data format says so; of a table, ids of any shape; with
            batch legs `(batch, ..., *batch legs, input_size)`.
        cores: One tensor per core, in the network's order.
        convolution: How the window slides; for networks with a window.
        dtype: Type in which rows of a table are joined. `None` is that of
            the cores; other inputs have a type of their own.
        merged: What `merged_weights` made of the cores, where the plan is
            run several times.

    Returns:
        A tensor of the input's type with the last (or channel) axis replaced
        by the output's; of a table, with the output's axis added. An id that
        is not below the number of rows gets what the backend's own look-up
        gives: an error, or NaN on JAX.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> from tensornet_keras.contraction import plan_for
    >>> from tensornet_keras.contraction.execute import execute
    >>> train = tk.formats.TensorTrain(rank=2).bind((64,), (27,))
    >>> cores = [np.ones(shape, "float32") for shape in train.core_shapes]
    >>> plan = plan_for(train.network, batch=5)
    >>> tuple(execute(plan, np.ones((5, 64), "float32"), cores).shape)
    (5, 27)
    """
    inputs = ops.convert_to_tensor(inputs)
    moved = _moves_channels(plan, convolution)
    if moved:
        inputs = ops.moveaxis(inputs, 1, -1)
    weights = merged or _weights(cores)
    if plan.network.labels_of("lookup"):
        dtype = dtype or cores[0].dtype
    else:
        dtype = inputs.dtype
    dtype = keras.backend.standardize_dtype(dtype)
    if plan.tiles > 1:
        weights = merged or merged_weights(plan, cores, dtype)
        output = ops.concatenate(
            [
                _applied(plan, part, weights, convolution, moved, dtype)
                for part in _parts(inputs, plan.tiles)
            ]
        )
    else:
        output = _applied(plan, inputs, weights, convolution, moved, dtype)
    if moved:
        output = ops.moveaxis(output, -1, 1)
    return output


def _parts(inputs, count: int) -> list:
    """Parts of a batch, as many as asked unless it has fewer examples."""
    known = inputs.shape[0]
    batch = ops.shape(inputs)[0] if known is None else known
    size = -(-batch // count)
    starts = [n * size for n in range(count)]
    if known is not None:
        starts = [start for start in starts if start < known] or [0]
    return [inputs[start : start + size] for start in starts]


def _applied(plan: Plan, inputs, weights, convolution, moved, dtype):
    """The network of a plan applied to one part of the batch."""
    run = Run(plan.network, inputs, convolution, moved)
    run.dtype = dtype
    output = run.steps(plan, weights, inputs)
    if convolution is None:
        batch = (run.sizes[x] for x in plan.network.labels_of("batch"))
        shape = (*run.leading, *batch, plan.network.output_size)
        return ops.reshape(output, shape)
    if plan.rebuilds:
        return output
    axes = range(len(convolution.strides))
    shape = run.shape(((BATCH,), *((after(axis),) for axis in axes), (OUT,)))
    return ops.reshape(output, shape)


def dense_kernel(network: TensorNetwork, cores):
    """The dense weight that the cores stand for.

    Args:
        network: The network that the cores belong to.
        cores: One tensor per core, in the network's order.

    Returns:
        A tensor of shape `network.weight_shape`, of the cores' type.
    """
    dtype = cores[0].dtype
    plan = kernel_plan(network)
    run = Run(network, None, None, False)
    kernel = run.steps(plan, _weights(cores))
    return ops.cast(ops.reshape(kernel, network.weight_shape), dtype)


def merged_weights(plan: Plan, cores, dtype: str) -> list:
    """What the steps among the weights make of the cores, run once.

    Args:
        plan: The plan that `execute` will run on several inputs.
        cores: One tensor per core, in the network's order.
        dtype: The type of these inputs.

    Returns:
        The operands of the plan, with `None` for those that need an input.
    """
    run = Run(plan.network, None, None, False)
    operands = [*_weights(cores), None]
    for step in plan.steps:
        values = [operands[number] for number in step.operands]
        operands.append(run.run(step, values) if step.weight_only else None)
    return [
        None if operand is None else ops.cast(operand, dtype)
        for operand in operands
    ]


def _weights(cores) -> list:
    """The cores, in float32 where they are of a 16-bit type."""
    tensors = [ops.convert_to_tensor(core) for core in cores]
    return [
        ops.cast(tensor, "float32")
        if keras.backend.standardize_dtype(tensor.dtype) in SHORT_TYPES
        else tensor
        for tensor in tensors
    ]


def _moves_channels(plan: Plan, convolution: Convolution | None) -> bool:
    """Whether channels are moved last; a plain convolution takes them first."""
    return (
        convolution is not None
        and convolution.data_format == "channels_first"
        and not plan.rebuilds
    )
