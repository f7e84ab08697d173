"""Trainers: Keras models that hold a student, a teacher and a loss."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import keras
from keras import ops

from tensornet_keras.finetuning.blocks import Block
from tensornet_keras.finetuning.distillation import distillation_of
from tensornet_keras.finetuning.phases import EndToEnd, fresh


class BlockTrainer(keras.Model):
    """A block of a student that is trained to a teacher's outputs.

    Args:
        student: The student; what is in front of the block is run as in
            inference.
        teacher: The teacher.
        block: The block of both.
    """

    def __init__(self, student, teacher, block: Block):
        super().__init__(name="block_trainer", dtype=student.dtype_policy)
        if block.start is None:
            self.front = None
            self.block = keras.Model(student.inputs, block.end)
        else:
            self.front = keras.Model(student.inputs, block.start)
            self.block = keras.Model(block.start, block.end)
        self.target = keras.Model(teacher.inputs, block.teacher_end)

    def call(self, x, training=None):
        if self.front is not None:
            x = ops.stop_gradient(self.front(x, training=False))
        return self.block(x, training=training)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """What the block misses of the teacher's outputs, relative."""
        targets = keras.tree.flatten(self.target(x, training=False))
        found = keras.tree.flatten(y_pred)
        pairs = zip(found, targets, strict=True)
        missed = sum(_missed(*pair) for pair in pairs) / len(targets)
        # Regularizers, and what else the layers of the block add.
        return missed + sum(self.block.losses)


def _missed(found, target):
    """The mean square of the difference over that of the target."""
    target = ops.cast(ops.stop_gradient(target), "float32")
    difference = ops.cast(found, "float32") - target
    whole = ops.mean(ops.square(target)) + keras.config.epsilon()
    return ops.mean(ops.square(difference)) / whole


@contextlib.contextmanager
def only_trainable(student, block) -> Iterator[None]:
    """Context in which the layers of a model outside a block are frozen.

    Args:
        student: The model.
        block: A model of some of its layers.
    """
    inside = {id(layer) for layer in block._flatten_layers()}
    outside = [
        layer
        for layer in student._flatten_layers()
        if layer is not student and id(layer) not in inside
    ]
    before = [(layer, layer._trainable) for layer in outside]
    ours = {id(variable) for variable in block.variables}
    variables = [
        (variable, variable.trainable)
        for variable in student.variables
        if id(variable) not in ours
    ]
    freeze(outside, [variable for variable, _ in variables])
    try:
        yield
    finally:
        for layer, trainable in before:
            layer._trainable = trainable
        for variable, trainable in variables:
            variable.trainable = trainable


def freeze(layers, variables) -> None:
    """Freezes layers without their parts, and variables.

    Args:
        layers: Keras layers.
        variables: Keras variables.
    """
    for layer in layers:
        layer._trainable = False
    for variable in variables:
        variable.trainable = False


def block_trainer(student, teacher, block: Block, optimizer) -> BlockTrainer:
    """A compiled trainer of a block.

    Args:
        student: The student.
        teacher: The teacher.
        block: The block of both.
        optimizer: As in `Blockwise`.
    """
    trainer = BlockTrainer(student, teacher, block)
    trainer.compile(optimizer=fresh(optimizer))
    return trainer


@dataclass(frozen=True)
class Labels:
    """What a model was compiled with, for its labels.

    Args:
        loss: The loss, as in `compile`, or `None`.
        loss_weights: Weights of the losses of several outputs, or `None`.
        metrics: The metrics, as in `compile`, or `None`.
    """

    loss: object = None
    loss_weights: object = None
    metrics: object = None

    @classmethod
    def of(cls, model) -> Labels:
        """What a model was compiled with, if it was.

        Args:
            model: A Keras model.
        """
        if not model.compiled:
            return cls()
        settings = model._compile_config.config
        names = (each.name for each in dataclasses.fields(cls))
        return cls(**{name: settings.get(name) for name in names})


def whole_trainer(student, teacher, phase: EndToEnd, parts: int, labels=None):
    """A compiled trainer of a whole model.

    Args:
        student: The student.
        teacher: The teacher, or `None`.
        phase: What it is trained towards.
        parts: What a batch holds: 1 of inputs, 2 with labels, 3 with the
            weights of examples.
        labels: What the model was compiled with.

    Raises:
        ValueError: If there are neither labels nor a teacher, labels without
            a loss, or weights that a teacher does not go with.
    """
    labels = Labels() if labels is None else labels
    if phase.loss is not None:
        labels = Labels(phase.loss, metrics=labels.metrics)
    if phase.metrics is not None:
        labels = dataclasses.replace(labels, metrics=list(phase.metrics))
    if parts < 2 and teacher is None:
        raise ValueError(
            "EndToEnd needs labels or a teacher. Received: data without "
            "labels, teacher=None. Pass (x, y), or teacher=model."
        )
    if parts < 2 and phase.label_weight:
        raise ValueError(
            "`label_weight` needs labels. Received: label_weight="
            f"{phase.label_weight}, and data without labels. Pass (x, y), or "
            "leave it out."
        )
    weight = phase.label_weight
    if weight is None:
        weight = 0.5 if parts > 1 and labels.loss is not None else 0.0
    if (teacher is None or weight) and labels.loss is None:
        raise ValueError(
            "EndToEnd needs a loss for the labels. Received: loss=None, and "
            f"a model {student.name!r} that is not compiled. Pass for "
            'example EndToEnd(loss="sparse_categorical_crossentropy").'
        )
    # Keras' metrics keep a state: every training has its own.
    metrics = keras.tree.map_structure(_anew, labels.metrics)
    if teacher is None:
        student.compile(
            optimizer=fresh(phase.optimizer),
            loss=labels.loss,
            loss_weights=labels.loss_weights,
            metrics=metrics,
        )
        return student
    _refuse_weights(parts, weight, labels)
    trainer = _Distiller(
        teacher,
        student,
        distillation_losses=distillation_of(phase, student),
        student_loss_weight=weight,
        dtype=student.dtype_policy,
    )
    trainer.compile(
        optimizer=fresh(phase.optimizer),
        loss="mse" if labels.loss is None else labels.loss,
        metrics=metrics if parts > 1 else None,
    )
    return trainer


def _anew(metric):
    """A metric without a state, as `compile` takes it."""
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def _refuse_weights(parts: int, weight: float, labels: Labels) -> None:
    """Refuses weights that Keras' distillation would not hear of."""
    if parts > 2:
        raise ValueError(
            "Weights of examples do not go with a teacher. Received: data of "
            "(x, y, sample_weight). Leave them out, or train without one."
        )
    if weight and labels.loss_weights is not None:
        raise ValueError(
            "Weights of losses do not go with a teacher. Received: a model "
            f"compiled with loss_weights={labels.loss_weights!r}. Pass "
            "EndToEnd(loss=...), or label_weight=0.0."
        )


class _Distiller(keras.distillation.Distiller):
    """Keras' distiller, with what the layers of the student add to the loss."""

    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs) + sum(self.student.losses)
