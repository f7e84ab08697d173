"""Phases of fine-tuning: what is trained, towards what, for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from tensornet_keras import validation


@dataclass(frozen=True)
class Blockwise:
    """Blocks trained one after the other to the teacher's outputs of them.

    Each block gets what the tuned blocks in front of it make of the data, and
    is trained until it gives what the teacher gives there; the loss is the
    mean square of the difference over that of the teacher's outputs. No
    labels are needed. For Sequential and Functional models.

    Args:
        epochs: Passes over the data for every block.
        optimizer: A Keras optimizer or its name; every block gets a fresh
            one like it.
        blocks: The names of the layers whose outputs end the blocks, in
            order; `None` to end a block wherever one tensor carries
            everything and a factorized layer is next.

    Reference:
        Su et al. 2018, "Tensorial Neural Networks: Generalization of Neural
        Networks and Application to Model Compression" (arXiv 1805.10352),
        sequential training.
    """

    epochs: int = 1
    optimizer: Any = "adam"
    blocks: Sequence[str] | None = None

    def __post_init__(self):
        _check(self.epochs, self.optimizer)


@dataclass(frozen=True)
class EndToEnd:
    """The whole model trained with labels, to the teacher's outputs, or both.

    Args:
        epochs: Passes over the data.
        optimizer: A Keras optimizer or its name; a fresh one like it is used.
        loss: Loss of the labels, as in `compile`; `None` for the loss that
            the model was compiled with. Of no use where there are none.
        metrics: Metrics of the labels, as in `compile`, in a list; `None`
            for those that the model was compiled with.
        distillation: A loss of `keras.distillation`, or a list of them, for
            the outputs of the teacher; `None` for what the last activation
            says: the cross entropy behind a softmax or sigmoid, the
            divergence of logits at temperature 3 where there is none.
        label_weight: Share of the labels' loss in the sum with the
            teacher's, in [0, 1]; `None` is a half if there are labels.

    Reference:
        Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"
        (arXiv 1503.02531), for the teacher.
    """

    epochs: int = 1
    optimizer: Any = "adam"
    loss: Any = None
    metrics: Sequence | None = None
    distillation: Any = None
    label_weight: float | None = None

    def __post_init__(self):
        _check(self.epochs, self.optimizer)
        weight = self.label_weight
        if weight is not None and not 0.0 <= weight <= 1.0:
            raise ValueError(
                "`label_weight` must be in [0, 1]. "
                f"Received: label_weight={weight!r}."
            )


@dataclass(frozen=True)
class Compress:
    """A further conversion between two phases of training.

    The model is converted anew from the kernels that its cores stand for by
    now, so that a schedule of ratios leads down step by step.

    Args:
        arguments: The arguments of `tk.convert`, such as `{"ratio": 0.3}`.
    """

    arguments: Mapping[str, Any] = field(default_factory=dict)


def fresh(optimizer) -> keras.optimizers.Optimizer:
    """A new optimizer like another one, without its state.

    Args:
        optimizer: A Keras optimizer or its name.
    """
    found = keras.optimizers.get(optimizer)
    return type(found).from_config(found.get_config())


def _check(epochs, optimizer) -> None:
    validation.positive_integer(epochs, "epochs")
    try:
        fresh(optimizer)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`optimizer` must be a Keras optimizer or its name. "
            f"Received: optimizer={optimizer!r}. Pass for example "
            "keras.optimizers.SGD(0.01, momentum=0.9)."
        ) from error
