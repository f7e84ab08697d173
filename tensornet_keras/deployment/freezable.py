"""What freezing knows of each layer: its kernels, and what stands for it."""

from __future__ import annotations

import contextlib
import math
import string
from dataclasses import dataclass

import keras
import numpy as np

from tensornet_keras import layers
from tensornet_keras.contraction import devices
from tensornet_keras.deployment.merging import Candidate, Meeting
from tensornet_keras.network import TensorNetwork
from tensornet_keras.surgery import config_of, twins

# What an axis other than the batch is taken for where it is left open.
USUAL_SIZE = 32

_TENSOR_LAYERS = (layers.TensorContraction, layers.TensorRegression)
_KNOWN = (
    *twins.TWINS.values(),
    *(layers.TTDense, layers.TTConv1D, layers.TTConv2D, layers.TTConv3D),
    *_TENSOR_LAYERS,
)
# Arguments of the factorized layers that frozen ones have too; what a plan is
# made for is not among them, for there is one plan.
_KEPT = {"deduplicate"}
# Arguments that speak of training the cores.
_OF_TRAINING = {
    *("kernel_regularizer", "recurrent_regularizer"),
    *("embeddings_regularizer", "activity_regularizer"),
    *("bond_dropout", "rank_penalty", "scale_learning_rates", "recompute"),
}
# Arguments that speak of what a plan is made for.
_OF_PLANS = ("planning_batch", "max_memory")


@dataclass(frozen=True)
class Site:
    """A kernel of a layer, and the ways in which inputs meet it.

    Args:
        kernel: What has the cores and their format.
        meetings: The ways in which inputs meet it.
    """

    kernel: keras.layers.Layer
    meetings: tuple[Meeting, ...]

    @property
    def itemsize(self) -> int:
        """Bytes of a stored number of the kernel."""
        return devices.itemsize_of(self.kernel.variable_dtype)


def obstacle(layer) -> str | None:
    """Why a layer cannot be frozen, `""` if it is none of ours, or `None`.

    Args:
        layer: A layer of a model.
    """
    if type(layer) in _KNOWN:
        if getattr(layer, "lora_enabled", False):
            return "LoRA"
        return None if layer.quantization_mode is None else "quantized"
    if isinstance(layer, layers.MPSLayer):
        return "no step among its weights alone"
    if isinstance(layer, _KNOWN):
        return "a class of its own"
    if not isinstance(layer, keras.layers.RNN):
        return ""
    inner = (layers.FactorizedLayer, layers.MPSLayer)
    if any(isinstance(each, inner) for each in layer._flatten_layers()):
        return "inside another layer"
    return ""


def planned_shape(layer, batch: int | None) -> tuple[int | None, ...]:
    """The input shape that a layer is planned for.

    Args:
        layer: A factorized layer.
        batch: Batch size, `None` if unknown.
    """
    first, *rest = twins.built_shape(layer) or (None,)
    return (first or batch, *(size or USUAL_SIZE for size in rest))


def sites(layer, shape) -> tuple[Site, ...]:
    """The kernels of a layer and how inputs of a shape meet them.

    Args:
        layer: A layer without an obstacle.
        shape: The shape of its input.
    """
    with _planned_afresh(layer):
        if isinstance(layer, keras.layers.RNN):
            return _of_loop(layer, shape)
        return _of_one_kernel(layer, shape)


@contextlib.contextmanager
def _planned_afresh(layer):
    """Context in which a layer plans for what it is asked, bound by nothing.

    Args:
        layer: A factorized layer.
    """
    kernels = twins.factorized_kernels(layer)
    told = [
        (kernel, name, getattr(kernel, name))
        for kernel in kernels
        for name in _OF_PLANS
    ]
    for kernel, name, _ in told:
        setattr(kernel, name, None)
    try:
        yield
    finally:
        for kernel, name, value in told:
            setattr(kernel, name, value)


def _of_one_kernel(layer, shape) -> tuple[Site, ...]:
    rebuild_only = getattr(layer, "groups", 1) > 1
    plan = layer.plan(shape)
    meetings = [_meeting(plan, shape[0], _seen_by(layer), rebuild_only)]
    if isinstance(layer, layers.FactorizedReversibleEmbedding):
        hidden = layer.plan((*shape, layer.output_dim), reverse=True)
        meetings.append(_meeting(hidden, shape[0], TensorNetwork.transposed))
    return (Site(layer, tuple(meetings)),)


def _of_loop(layer, shape) -> tuple[Site, ...]:
    whole = layer.plan(shape)
    state = layer.recurrent_plan(shape[0], shape[1])
    apart = getattr(layer, "reset_after", True) is False
    return tuple(
        Site(kernel, (_meeting(plan, shape[0], _unchanged, rebuild_only),))
        for kernel, plan, rebuild_only in zip(
            twins.factorized_kernels(layer),
            (whole, state),
            (False, apart),
            strict=True,
        )
    )


def _meeting(plan, examples, network_of, rebuild_only=False) -> Meeting:
    return Meeting(
        network_of,
        plan.batch,
        plan.positions,
        plan.uses,
        rebuild_only,
        plan.machine,
        examples,
    )


def _seen_by(layer):
    """What a layer makes of its format's network for its plans."""
    if isinstance(layer, layers.FactorizedEmbedding):
        return lambda network: network.with_kind("in", "lookup")
    if isinstance(layer, layers.FactorizedEinsumDense):
        return lambda network: network.with_kind("window", "batch")
    return _unchanged


def _unchanged(network: TensorNetwork) -> TensorNetwork:
    return network


def frozen_twin(layer, kernels: tuple[Candidate, ...]):
    """The unbuilt layer that stands for a layer once it is frozen.

    Args:
        layer: A layer without an obstacle.
        kernels: What each of its kernels becomes.
    """
    if all(each.is_source for each in kernels):
        return _for_inference(layer, kernels)
    if isinstance(layer, _TENSOR_LAYERS):
        return _twin_of_tensor_layer(layer, kernels[0])
    source = twins.source_class(layer)
    known = twins.arguments_of(source)
    if all(each.is_dense for each in kernels):
        return source.from_config(_inference_config(layer, known))
    config = _inference_config(layer, known | _KEPT)
    config |= _limits(layer, kernels)
    names = ("format", "recurrent_format")
    for name, each in zip(names, kernels, strict=False):
        config[name] = each.format
    return twins.TWINS[source].from_config(config)


def _for_inference(layer, kernels):
    """A layer like it whose cores stay as they are."""
    dropped = _OF_TRAINING.union(_OF_PLANS)
    config = config_of(layer).items()
    kept = {name: value for name, value in config if name not in dropped}
    return type(layer).from_config(kept | _limits(layer, kernels))


def own_limit(layer) -> int | None:
    """The most bytes that a plan of a layer may take, by its argument.

    Args:
        layer: A layer without an obstacle.
    """
    return twins.factorized_kernels(layer)[0].max_memory


def _limits(layer, kernels: tuple[Candidate, ...]) -> dict:
    """The arguments by which a frozen layer takes plans that keep to a limit.

    It plans for the batch that it is frozen for: with larger ones, which work
    too, a limit could not be kept to. Nor can it with longer axes.
    """
    meeting = kernels[0].meetings[0]
    is_open = None in (twins.built_shape(layer) or (None,))[1:]
    if meeting.max_memory is None or (is_open and own_limit(layer) is None):
        return {}
    return {
        "planning_batch": meeting.examples,
        "max_memory": meeting.max_memory,
    }


def _inference_config(layer, known) -> dict:
    """The arguments of a layer that are known, without those of training."""
    return {
        name: value
        for name, value in config_of(layer).items()
        if name in known - _OF_TRAINING
    }


def _twin_of_tensor_layer(layer, kernel: Candidate):
    """An einsum layer, or a tensor regression with merged cores."""
    if isinstance(layer, layers.TensorRegression) and not kernel.is_dense:
        known = twins.arguments_of(keras.layers.Dense)
        config = _inference_config(layer, known)
        config |= _limits(layer, (kernel,))
        return layers.TensorRegression(format=kernel.format, **config)
    known = twins.arguments_of(keras.layers.EinsumDense)
    config = _inference_config(layer, known)
    inputs, outputs = layer.format.input_dims, layer.format.output_dims
    letters = string.ascii_letters[1:]
    ins = letters[: len(inputs)]
    outs = letters[len(inputs) : len(inputs) + len(outputs)]
    config.update(
        equation=f"a{ins},{ins}{outs}->a{outs}",
        output_shape=outputs,
        bias_axes=outs if layer.use_bias else None,
    )
    if kernel.is_dense:
        return keras.layers.EinsumDense(**config)
    config |= _limits(layer, (kernel,))
    return layers.FactorizedEinsumDense(format=kernel.format, **config)


def fill(twin, layer, kernels: tuple[Candidate, ...]) -> None:
    """Gives a built twin the numbers of the layer that it stands for.

    Args:
        twin: The built twin.
        layer: The layer it stands for.
        kernels: What each of its kernels becomes.
    """
    if hasattr(twin, "set_cores"):
        pairs = zip(kernels, twins.factorized_kernels(layer), strict=True)
        cores = [core for each, kernel in pairs for core in each.cores(kernel)]
        twin.set_cores(cores)
        twins.fill_bias(twins.holder(twin), twins.holder(layer))
        twins.fill_activation(twin, layer)
    else:
        twins.fill_dense(twin, layer)


def numbers_per_example(layer, shape) -> int:
    """Numbers of an example of the largest of a layer's inputs and outputs.

    Args:
        layer: A layer without an obstacle.
        shape: The shape of its input, all sizes but the batch known.
    """
    one = (1, *shape[1:])
    sizes = [math.prod(one)]
    if not isinstance(layer, keras.layers.RNN):
        sizes.append(math.prod(layer.compute_output_shape(one)))
    if isinstance(layer, layers.FactorizedReversibleEmbedding):
        sizes.append(math.prod(one) * layer.input_dim)
    return max(sizes)


def random_inputs(layer, shape) -> list[tuple]:
    """For each way of calling a layer, inputs of a shape and arguments.

    Args:
        layer: A layer without an obstacle.
        shape: The shape of its input, all sizes known.
    """
    generator = np.random.default_rng(0)
    if not isinstance(layer, layers.FactorizedEmbedding):
        return [(_normal(generator, shape), {})]
    ids = generator.integers(0, layer.input_dim, shape, "int32")
    calls = [(ids, {})]
    if isinstance(layer, layers.FactorizedReversibleEmbedding):
        hidden = _normal(generator, (*shape, layer.output_dim))
        calls.append((hidden, {"reverse": True}))
    return calls


def _normal(generator, shape):
    return generator.standard_normal(shape, "float32")
