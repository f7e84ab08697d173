"""Distillation: which loss fits the outputs of a model."""

from __future__ import annotations

import keras

from tensornet_keras.finetuning.phases import EndToEnd
from tensornet_keras.surgery.parts import has_graph

TEMPERATURE = 3.0
# Layers that pass on what is in front of them, for a look at the activation.
_PASSING = (keras.layers.Dropout, keras.layers.Reshape, keras.layers.Identity)
_BY_ACTIVATION = {
    "softmax": "categorical_crossentropy",
    "sigmoid": "binary_crossentropy",
}


def distillation_of(phase: EndToEnd, student) -> list:
    """The losses for the outputs of the teacher.

    Args:
        phase: A phase with or without losses of its own.
        student: The model that is trained.

    Raises:
        ValueError: If there are none, and the model does not tell what its
            outputs are.
    """
    given = phase.distillation
    if given is not None:
        several = isinstance(given, (list, tuple))
        return [_of_probabilities(x) for x in (given if several else [given])]
    if not has_graph(student):
        raise ValueError(
            "A subclassed model does not tell what its outputs are. Received: "
            f"{student.name!r}, a {type(student).__name__}. Pass for example "
            "EndToEnd(distillation=keras.distillation.LogitsDistillation("
            '1.0, "mse")).'
        )
    outputs = keras.tree.flatten(student.outputs)
    kinds = [_kind(tensor) for tensor in outputs]
    bare = all(kind is None for kind in kinds)
    losses = [kind or keras.losses.KLDivergence() for kind in kinds]
    if not bare:
        losses = [kind or "mse" for kind in kinds]
    structure = (
        student.outputs[0]
        if isinstance(student, keras.Sequential)
        else student._outputs_struct
    )
    return [
        keras.distillation.LogitsDistillation(
            TEMPERATURE if bare else 1.0,
            keras.tree.pack_sequence_as(structure, losses),
        )
    ]


def _kind(tensor) -> str | None:
    """The name of the loss for an output, `None` if it holds logits."""
    if tensor.shape[-1] == 1 and _activation(tensor) == "linear":
        return "mse"
    activation = _activation(tensor)
    if activation == "linear":
        return None
    return _BY_ACTIVATION.get(activation, "mse")


def _activation(tensor) -> str:
    """The name of the last activation in front of an output."""
    history = tensor._keras_history
    operation = history.operation
    if has_graph(operation):
        return _activation(operation.outputs[history.tensor_index])
    if isinstance(operation, _PASSING):
        node = operation._inbound_nodes[history.node_index]
        return _activation(node.input_tensors[0])
    name = type(operation).__name__.lower()
    if name in _BY_ACTIVATION:
        return name
    activation = getattr(operation, "activation", keras.activations.linear)
    return getattr(activation, "__name__", "other")


def _of_probabilities(loss):
    """A loss that compares probabilities, as Keras says that it does.

    Up to 3.15 it compares bare logits where the divergence goes by its name.
    """
    kind = keras.distillation.LogitsDistillation
    by_name = keras.losses.kl_divergence
    if type(loss) is kind and loss.loss is by_name:
        return kind(loss.temperature, keras.losses.KLDivergence())
    return loss
