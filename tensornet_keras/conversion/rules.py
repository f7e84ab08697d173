"""Rules: which factorized twin a Keras layer has, and the way back."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import keras
from keras import ops

from tensornet_keras import surgery
from tensornet_keras.formats import Format
from tensornet_keras.layers import (
    FactorizedConv1D,
    FactorizedConv2D,
    FactorizedConv3D,
    FactorizedDense,
    FactorizedEinsumDense,
    FactorizedEmbedding,
    FactorizedLayer,
    FactorizedReversibleEmbedding,
)
from tensornet_keras.layers.einsum_dense import matrix_of
from tensornet_keras.layers.einsum_equation import EinsumEquation

TWINS: dict[type[keras.layers.Layer], type[FactorizedLayer]] = {
    keras.layers.Dense: FactorizedDense,
    keras.layers.Conv1D: FactorizedConv1D,
    keras.layers.Conv2D: FactorizedConv2D,
    keras.layers.Conv3D: FactorizedConv3D,
    keras.layers.EinsumDense: FactorizedEinsumDense,
    # A subclass comes before its base, for the way back.
    keras.layers.ReversibleEmbedding: FactorizedReversibleEmbedding,
    keras.layers.Embedding: FactorizedEmbedding,
}

# Arguments of the Keras layers that their twins have not.
_DROPPED = ("kernel_constraint", "lora_rank", "lora_alpha")
_DROPPED += ("embeddings_constraint",)
_DROPPED += ("quantization_config", "gptq_unpacked_column_size")


@dataclass(frozen=True)
class Obstacle:
    """Why a layer cannot have a twin.

    Args:
        reason: A few words, for the report.
        advice: What the user can do, one sentence.
    """

    reason: str
    advice: str


def obstacle(layer) -> Obstacle | None:
    """What keeps a layer from being factorized, or `None`.

    Args:
        layer: A Keras layer.
    """
    kinds = ", ".join(kind.__name__ for kind in TWINS)
    if isinstance(layer, keras.Model):
        return Obstacle("kind", "Pass whole models to `convert`.")
    if type(layer) not in TWINS:
        return Obstacle("kind", f"Only {kinds} can be factorized.")
    if not layer.built:
        return Obstacle("not built", "Build the layer by calling it first.")
    side = "embeddings" if _is_table(layer) else "kernel"
    if getattr(layer, f"{side}_constraint") is not None:
        return Obstacle(
            f"{side} constraint",
            "Build the layer without the constraint: cores cannot keep it.",
        )
    if not _is_one_matrix(layer):
        return Obstacle("equation", "Only one sum over one kernel fits.")
    if not getattr(layer, "tie_weights", True):
        return Obstacle("untied weights", "Tie them: there is one table.")
    if isinstance(getattr(layer, "activation", None), keras.layers.Layer):
        return Obstacle(
            "layer as activation", "Put that layer behind this one."
        )
    if getattr(layer, "lora_enabled", False):
        return Obstacle("LoRA", "Merge the adapters into the kernel first.")
    if layer.quantization_mode is not None:
        return Obstacle("quantized", "Convert the model before quantizing.")
    return None


def kernel_of(layer):
    """The kernel of a Keras layer as a weight to decompose.

    Args:
        layer: A built layer that has a twin.

    Returns:
        A NumPy array `(*window, input, output)`, and the dimensions of its
        two sides: `None` if they have one each.
    """
    kernel = ops.convert_to_numpy(_kernel_variable(layer))
    if isinstance(layer, keras.layers.EinsumDense):
        return matrix_of(kernel, _equation_of(layer))
    return kernel, None


def _is_one_matrix(layer) -> bool:
    """Whether the kernel is a matrix, or a stack of them."""
    if isinstance(layer, keras.layers.EinsumDense):
        try:
            _equation_of(layer)
        except ValueError:
            return False
    return True


def _is_table(layer) -> bool:
    return isinstance(layer, keras.layers.Embedding)


def _kernel_variable(layer):
    """The variable of a Keras layer that cores stand for."""
    return layer.embeddings if _is_table(layer) else layer.kernel


def _equation_of(layer) -> EinsumEquation:
    ndim = len(layer.get_build_config()["input_shape"])
    return EinsumEquation.parse(layer.equation, ndim)


def twin(layer, format: Format) -> FactorizedLayer:
    """The unbuilt factorized twin of a Keras layer.

    Args:
        layer: A layer without an obstacle.
        format: The bound format of its kernel.
    """
    config = surgery.config_of(layer)
    for name in _DROPPED:
        config.pop(name, None)
    # The cores come from the kernel; what drew the kernel does not matter,
    # and may be of a kind that factorized layers refuse.
    side = "embeddings" if _is_table(layer) else "kernel"
    config[f"{side}_initializer"] = "glorot_uniform"
    return TWINS[type(layer)].from_config(
        {**config, "format": format.to_config()}
    )


def fill(twin_layer: FactorizedLayer, layer, cores) -> None:
    """Gives a built twin the cores, and the bias of its source.

    What is frozen in the source is frozen in the twin.

    Args:
        twin_layer: The built twin.
        layer: The Keras layer it stands for.
        cores: One array per core.
    """
    twin_layer.set_cores(cores)
    for variable in twin_layer.core_variables:
        variable.trainable = _kernel_variable(layer).trainable
    _fill_bias(twin_layer, layer)


def dense_twin(layer: FactorizedLayer) -> keras.layers.Layer:
    """The unbuilt ordinary Keras layer that a factorized layer stands for.

    Args:
        layer: A factorized layer, or one of its subclasses.
    """
    source = next(
        kind
        for kind, factorized in TWINS.items()
        if isinstance(layer, factorized)
    )
    known = {
        *inspect.signature(source.__init__).parameters,
        *("name", "trainable", "dtype", "activity_regularizer"),
    }
    config = surgery.config_of(layer)
    return source.from_config({k: v for k, v in config.items() if k in known})


def fill_dense(dense, layer: FactorizedLayer) -> None:
    """Gives a built Keras layer the kernel that the cores stand for.

    A kernel is frozen if all of its cores are.

    Args:
        dense: The built Keras layer.
        layer: The factorized layer it replaces.
    """
    kernel = _kernel_variable(dense)
    kernel.assign(ops.convert_to_numpy(layer.kernel))
    kernel.trainable = any(core.trainable for core in layer.core_variables)
    _fill_bias(dense, layer)
    ours, theirs = getattr(dense, "activation", None), layer.activation
    if isinstance(theirs, keras.layers.Layer) and theirs.built:
        if not ours.built:
            ours.build_from_config(theirs.get_build_config())
        surgery.copy_state(theirs, ours)


def _fill_bias(ours, theirs) -> None:
    if getattr(theirs, "bias", None) is not None:
        ours.bias.assign(ops.convert_to_numpy(theirs.bias))
        ours.bias.trainable = theirs.bias.trainable
