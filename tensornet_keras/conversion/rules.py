"""Rules: which factorized twin a Keras layer has, or why it has none."""

from __future__ import annotations

from dataclasses import dataclass

import keras

from tensornet_keras import backend, surgery
from tensornet_keras.conversion.factorization import Kernel
from tensornet_keras.formats import Format
from tensornet_keras.layers.einsum_dense import kernel_of, matrix_of
from tensornet_keras.layers.einsum_equation import EinsumEquation
from tensornet_keras.surgery.twins import (
    OF_ADAPTERS,
    TWINS,
    factorized_kernels,
    fill_bias,
    holder,
    is_table,
    kernel_variables,
)

# Arguments of the Keras layers that their twins have not.
_DROPPED = ("kernel_constraint", *OF_ADAPTERS)
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
        return Obstacle("LoRA", "Pass the model to `merge` first.")
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


def kernels_of(layer) -> tuple[Kernel, ...]:
    """The kernels of a Keras layer as weights to decompose.

    Args:
        layer: A built layer that has a twin.
    """
    arrays = map(backend.numbers_of, kernel_variables(layer))
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
        return (Kernel(*matrix_of(array, equation_of(layer))),)
    return (Kernel(array),)


def assign(layer, arrays) -> None:
    """Gives a Keras layer the kernels of these weights.

    Args:
        layer: A built layer that has a twin.
        arrays: A weight for each of its kernels, as `kernels_of` has them.
    """
    if isinstance(layer, keras.layers.EinsumDense):
        arrays = [kernel_of(arrays[0], equation_of(layer), layer.kernel.shape)]
    for variable, array in zip(kernel_variables(layer), arrays, strict=True):
        variable.assign(array.reshape(variable.shape))


def _is_one_matrix(layer) -> bool:
    """Whether the kernel is a matrix, or a stack of them."""
    if isinstance(layer, keras.layers.EinsumDense):
        try:
            equation_of(layer)
        except ValueError:
            return False
    return True


def _sides(layer) -> tuple[str, ...]:
    """What Keras' arguments call the kernels of a layer."""
    if isinstance(layer, keras.layers.RNN):
        return "kernel", "recurrent"
    return ("embeddings",) if is_table(layer) else ("kernel",)


def equation_of(layer) -> EinsumEquation:
    """The parsed equation of an `EinsumDense` layer.

    Args:
        layer: A built layer.

    Raises:
        ValueError: If its kernel is no matrix, and no stack of them.
    """
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


def fill(twin_layer, layer, cores, bias=None) -> None:
    """Gives a built twin the cores, and the bias of its source.

    What is frozen in the source is frozen in the twin.

    Args:
        twin_layer: The built twin.
        layer: The Keras layer it stands for.
        cores: One array per core, of all kernels.
        bias: The bias in place of the source's; `None` for that.
    """
    twin_layer.set_cores(cores)
    for kernel, variable in zip(
        factorized_kernels(twin_layer), kernel_variables(layer), strict=True
    ):
        for core in kernel.core_variables:
            core.trainable = variable.trainable
    fill_bias(holder(twin_layer), holder(layer))
    if bias is not None:
        twin_layer.bias.assign(bias)
