"""Rules: which factorized twin a Keras layer has, and the way back."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import keras

from tensornet_keras import backend, surgery
from tensornet_keras.conversion.factorization import Kernel
from tensornet_keras.formats import Format
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
from tensornet_keras.layers.einsum_dense import matrix_of
from tensornet_keras.layers.einsum_equation import EinsumEquation

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

_LOOPS = (keras.layers.LSTM, keras.layers.GRU)

# Arguments of the Keras layers that their twins have not.
_DROPPED = ("kernel_constraint", "lora_rank", "lora_alpha")
_DROPPED += ("embeddings_constraint", "recurrent_constraint")
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
    constrained = _constrained(layer)
    if constrained:
        return Obstacle(
            f"{constrained[0]} constraint",
            "Build the layer without the constraint: cores cannot keep it.",
        )
    if not _is_one_matrix(layer):
        return Obstacle("equation", "Only one sum over one kernel fits.")
    if not getattr(layer, "tie_weights", True):
        return Obstacle("untied weights", "Tie them: there is one table.")
    if _has_a_layer_as_activation(layer):
        return Obstacle(
            "layer as activation", "Put that layer behind this one."
        )
    if getattr(layer, "lora_enabled", False):
        return Obstacle("LoRA", "Merge the adapters into the kernel first.")
    if layer.quantization_mode is not None:
        return Obstacle("quantized", "Convert the model before quantizing.")
    return None


def _constrained(layer) -> list[str]:
    """The kernels of a layer that have a constraint."""
    return [
        side
        for side in _sides(layer)
        if getattr(layer, f"{side}_constraint") is not None
    ]


def _has_a_layer_as_activation(layer) -> bool:
    return any(
        isinstance(getattr(layer, name, None), keras.layers.Layer)
        for name in ("activation", "recurrent_activation")
    )


def is_factorized(layer) -> bool:
    """Whether a layer stands for an ordinary Keras layer.

    Args:
        layer: A Keras layer.
    """
    return isinstance(layer, tuple(TWINS.values()))


def kernels_of(layer) -> tuple[Kernel, ...]:
    """The kernels of a Keras layer as weights to decompose.

    Args:
        layer: A built layer that has a twin.
    """
    arrays = map(backend.numbers_of, _kernel_variables(layer))
    if isinstance(layer, keras.layers.RNN):
        # The gates are a dimension of their own.
        return tuple(
            Kernel(
                array,
                (
                    array.shape[:1],
                    (array.shape[1] // layer.units, layer.units),
                ),
            )
            for array in arrays
        )
    (array,) = arrays
    if isinstance(layer, keras.layers.EinsumDense):
        return (Kernel(*matrix_of(array, _equation_of(layer))),)
    return (Kernel(array),)


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


def _sides(layer) -> tuple[str, ...]:
    """What Keras' arguments call the kernels of a layer."""
    if isinstance(layer, keras.layers.RNN):
        return "kernel", "recurrent"
    return ("embeddings",) if _is_table(layer) else ("kernel",)


def holder(layer):
    """What holds the kernels and the bias: the cell, or the layer itself.

    Args:
        layer: A Keras layer or its twin.
    """
    return layer.cell if isinstance(layer, keras.layers.RNN) else layer


def _kernel_variables(layer) -> tuple:
    """The variables of a Keras layer that cores stand for."""
    if isinstance(layer, keras.layers.RNN):
        return layer.cell.kernel, layer.cell.recurrent_kernel
    return (layer.embeddings if _is_table(layer) else layer.kernel,)


def factorized_kernels(layer) -> tuple:
    """What has the cores and the dense kernel of each kernel of a twin.

    Args:
        layer: A factorized layer; an LSTM and a GRU have two kernels.
    """
    if isinstance(layer, keras.layers.RNN):
        return layer.cell.input_kernel, layer.cell.state_kernel
    return (layer,)


def _equation_of(layer) -> EinsumEquation:
    ndim = len(layer.get_build_config()["input_shape"])
    return EinsumEquation.parse(layer.equation, ndim)


def twin(layer, formats: tuple[Format, ...]) -> keras.layers.Layer:
    """The unbuilt factorized twin of a Keras layer.

    Args:
        layer: A layer without an obstacle.
        formats: The bound format of each of its kernels.
    """
    config = surgery.config_of(layer)
    for name in _DROPPED:
        config.pop(name, None)
    # The cores come from the kernel; what drew the kernel does not matter,
    # and may be of a kind that factorized layers refuse.
    for side in _sides(layer):
        config[f"{side}_initializer"] = "glorot_uniform"
    for name, format in zip(
        ("format", "recurrent_format"), formats, strict=False
    ):
        config[name] = format.to_config()
    return TWINS[type(layer)].from_config(config)


def fill(twin_layer, layer, cores) -> None:
    """Gives a built twin the cores, and the bias of its source.

    What is frozen in the source is frozen in the twin.

    Args:
        twin_layer: The built twin.
        layer: The Keras layer it stands for.
        cores: One array per core, of all kernels.
    """
    twin_layer.set_cores(cores)
    for kernel, variable in zip(
        factorized_kernels(twin_layer), _kernel_variables(layer), strict=True
    ):
        for core in kernel.core_variables:
            core.trainable = variable.trainable
    fill_bias(holder(twin_layer), holder(layer))


def dense_twin(layer) -> keras.layers.Layer:
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
        *(["zero_output_for_mask"] if source in _LOOPS else []),
    }
    config = surgery.config_of(layer)
    return source.from_config({k: v for k, v in config.items() if k in known})


def fill_dense(dense, layer) -> None:
    """Gives a built Keras layer the kernels that the cores stand for.

    A kernel is frozen if all of its cores are.

    Args:
        dense: The built Keras layer.
        layer: The factorized layer it replaces.
    """
    for variable, kernel in zip(
        _kernel_variables(dense), factorized_kernels(layer), strict=True
    ):
        variable.assign(kernel.kernel)
        variable.trainable = any(x.trainable for x in kernel.core_variables)
    fill_bias(holder(dense), holder(layer))
    ours, theirs = getattr(dense, "activation", None), layer.activation
    if isinstance(theirs, keras.layers.Layer) and theirs.built:
        if not ours.built:
            ours.build_from_config(theirs.get_build_config())
        surgery.copy_state(theirs, ours)


def fill_bias(ours, theirs) -> None:
    """Gives one holder of a bias the bias of another, if it has one.

    Args:
        ours: What gets the bias.
        theirs: What has it.
    """
    if getattr(theirs, "bias", None) is not None:
        ours.bias.assign(backend.copied(theirs.bias))
        ours.bias.trainable = theirs.bias.trainable
