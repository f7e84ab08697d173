"""Twins: which ordinary Keras layer each factorized layer stands for."""

from __future__ import annotations

import inspect

import keras

from tensornet_keras import backend
from tensornet_keras.layers import (
    FactorizedConv1D,
    FactorizedConv2D,
    FactorizedConv3D,
    FactorizedDense,
    FactorizedEinsumDense,
    FactorizedEmbedding,
    FactorizedGRU,
    FactorizedLSTM,
    FactorizedReversibleEmbedding,
)
from tensornet_keras.surgery.layer_copies import config_of
from tensornet_keras.surgery.state import copy_state

TWINS: dict[type[keras.layers.Layer], type[keras.layers.Layer]] = {
    keras.layers.Dense: FactorizedDense,
    keras.layers.Conv1D: FactorizedConv1D,
    keras.layers.Conv2D: FactorizedConv2D,
    keras.layers.Conv3D: FactorizedConv3D,
    keras.layers.EinsumDense: FactorizedEinsumDense,
    # A subclass comes before its base, for the way back.
    keras.layers.ReversibleEmbedding: FactorizedReversibleEmbedding,
    keras.layers.Embedding: FactorizedEmbedding,
    keras.layers.LSTM: FactorizedLSTM,
    keras.layers.GRU: FactorizedGRU,
}

# Arguments that speak of an adapter beside a kernel.
OF_ADAPTERS = ("lora_rank", "lora_alpha")

# Layers with a kernel for the inputs and one for the states.
LOOPS = (keras.layers.LSTM, keras.layers.GRU)


def is_factorized(layer) -> bool:
    """Whether a layer stands for an ordinary Keras layer.

    Args:
        layer: A Keras layer.
    """
    return isinstance(layer, tuple(TWINS.values()))


def source_class(layer) -> type[keras.layers.Layer]:
    """The class of the ordinary Keras layer that a layer stands for.

    Args:
        layer: A factorized layer, or one of its subclasses.
    """
    return next(
        kind
        for kind, factorized in TWINS.items()
        if isinstance(layer, factorized)
    )


def arguments_of(source) -> set[str]:
    """The arguments of an ordinary Keras layer, those of its bases too.

    Args:
        source: A class that has a twin.
    """
    return {
        *inspect.signature(source.__init__).parameters,
        *("name", "trainable", "dtype", "activity_regularizer"),
        *(["zero_output_for_mask"] if source in LOOPS else []),
    } - {"self", "kwargs"}


def dense_twin(layer) -> keras.layers.Layer:
    """The unbuilt ordinary Keras layer that a factorized layer stands for.

    Args:
        layer: A factorized layer, or one of its subclasses.
    """
    source = source_class(layer)
    known = arguments_of(source)
    config = {k: v for k, v in config_of(layer).items() if k in known}
    # Their adapters are part of the kernel.
    for name in OF_ADAPTERS:
        config.pop(name, None)
    if layer.quantization_mode is not None:
        # The kernel that quantized cores stand for is a float one.
        config["dtype"] = layer.dtype_policy.name.partition("_from_")[2]
    return source.from_config(config)


def fill_dense(dense, layer) -> None:
    """Gives a built Keras layer the kernels that the cores stand for.

    A kernel is frozen if all of its cores are and no adapter is trained.

    Args:
        dense: The built Keras layer.
        layer: The factorized layer it replaces.
    """
    for variable, kernel in zip(
        kernel_variables(dense), factorized_kernels(layer), strict=True
    ):
        # The kernel of a single core may be the core's own memory.
        variable.assign(backend.copied(kernel.kernel))
        parts = list(kernel.core_variables)
        if kernel.lora_enabled:
            parts += [kernel.lora_kernel_a, kernel.lora_kernel_b]
        variable.trainable = any(part.trainable for part in parts)
    fill_bias(holder(dense), holder(layer))
    fill_activation(dense, layer)


def fill_bias(ours, theirs) -> None:
    """Gives one holder of a bias the bias of another, if it has one.

    Args:
        ours: What gets the bias.
        theirs: What has it.
    """
    if getattr(theirs, "bias", None) is not None:
        ours.bias.assign(backend.copied(theirs.bias))
        ours.bias.trainable = theirs.bias.trainable


def fill_activation(ours, theirs) -> None:
    """Gives an activation that is a layer the state of another's.

    Args:
        ours: What gets the state.
        theirs: What has it.
    """
    ours = getattr(ours, "activation", None)
    theirs = getattr(theirs, "activation", None)
    if isinstance(theirs, keras.layers.Layer) and theirs.built:
        if not ours.built:
            ours.build_from_config(theirs.get_build_config())
        copy_state(theirs, ours)


def is_table(layer) -> bool:
    """Whether the kernel of a layer is a table of rows.

    Args:
        layer: A Keras layer that has a twin.
    """
    return isinstance(layer, keras.layers.Embedding)


def built_shape(layer) -> tuple | None:
    """The shape of the (first) input that a layer was built with.

    Args:
        layer: A built layer; a loop that is given its state has several
            inputs.
    """
    config = layer.get_build_config()
    if config.get("input_shape") or "shapes_dict" not in config:
        return config.get("input_shape")
    return config["shapes_dict"]["sequences_shape"]


def holder(layer):
    """What holds the kernels and the bias: the cell, or the layer itself.

    Args:
        layer: A Keras layer or its twin.
    """
    return layer.cell if isinstance(layer, keras.layers.RNN) else layer


def kernel_variables(layer) -> tuple:
    """The variables of a Keras layer that cores stand for.

    Args:
        layer: A Keras layer that has a twin.
    """
    if isinstance(layer, keras.layers.RNN):
        return layer.cell.kernel, layer.cell.recurrent_kernel
    return (layer.embeddings if is_table(layer) else layer.kernel,)


def factorized_kernels(layer) -> tuple:
    """What has the cores and the dense kernel of each kernel of a twin.

    Args:
        layer: A factorized layer; an LSTM and a GRU have two kernels.
    """
    if isinstance(layer, keras.layers.RNN):
        return layer.cell.input_kernel, layer.cell.state_kernel
    return (layer,)
