"""Trainers: Keras models that hold a student, a teacher and a loss."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
from keras import ops

from tensornet_keras.finetuning.blocks import Block
from tensornet_keras.finetuning.phases import EndToEnd, fresh

TEMPERATURE = 3.0


class BlockTrainer(keras.Model):
    """A block of a student that is trained to a teacher's outputs.

    Args:
        student: The student; what is in front of the block is run as in
            inference.
        teacher: The teacher.
        block: The block of both.
    """

    def __init__(self, student, teacher, block: Block):
        super().__init__(name="block_trainer")
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
        return sum(
            _missed(*pair) for pair in zip(found, targets, strict=True)
        ) / len(targets)


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


def whole_trainer(student, teacher, phase: EndToEnd, has_labels: bool):
    """A compiled trainer of a whole model.

    Args:
        student: The student.
        teacher: The teacher, or `None`.
        phase: What it is trained towards.
        has_labels: Whether the data has labels.

    Raises:
        ValueError: If there are neither labels nor a teacher, or labels
            without a loss.
    """
    loss = phase.loss
    if loss is None and student.compiled:
        loss = student._compile_config.config.get("loss")
    if not has_labels and teacher is None:
        raise ValueError(
            "EndToEnd needs labels or a teacher. Received: data without "
            "labels, teacher=None. Pass (x, y), or teacher=model."
        )
    weight = phase.label_weight
    if weight is None:
        weight = 0.5 if has_labels and loss is not None else 0.0
    if (teacher is None or weight) and loss is None:
        raise ValueError(
            "EndToEnd needs a loss for the labels. Received: loss=None, and "
            f"a model {student.name!r} that is not compiled. Pass for "
            'example EndToEnd(loss="sparse_categorical_crossentropy").'
        )
    metrics = None if phase.metrics is None else list(phase.metrics)
    if teacher is None:
        student.compile(
            optimizer=fresh(phase.optimizer), loss=loss, metrics=metrics
        )
        return student
    trainer = keras.distillation.Distiller(
        teacher,
        student,
        distillation_losses=_distillation(phase, student),
        student_loss_weight=weight,
    )
    trainer.compile(
        optimizer=fresh(phase.optimizer),
        loss="mse" if loss is None else loss,
        metrics=metrics if has_labels else None,
    )
    return trainer


def _distillation(phase: EndToEnd, student) -> list:
    """The losses for the outputs of the teacher."""
    given = phase.distillation
    if given is not None:
        several = isinstance(given, (list, tuple))
        return [_of_probabilities(x) for x in (given if several else [given])]
    last = getattr(student, "layers", [None])[-1]
    activation = getattr(last, "activation", None)
    ends = activation is keras.activations.softmax
    if ends or isinstance(last, keras.layers.Softmax):
        return [
            keras.distillation.LogitsDistillation(
                1.0, "categorical_crossentropy"
            )
        ]
    divergence = keras.losses.KLDivergence()
    return [keras.distillation.LogitsDistillation(TEMPERATURE, divergence)]


def _of_probabilities(loss):
    """A loss that compares probabilities, as Keras says that it does.

    Up to 3.15 it compares bare logits where the divergence goes by its name.
    """
    kind = keras.distillation.LogitsDistillation
    by_name = keras.losses.kl_divergence
    if type(loss) is kind and loss.loss is by_name:
        return kind(loss.temperature, keras.losses.KLDivergence())
    return loss
