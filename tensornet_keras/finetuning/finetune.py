"""The door of fine-tuning: a converted model in, a better one out."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence

from tensornet_keras import conversion, surgery, validation
from tensornet_keras.finetuning.blocks import blocks_of
from tensornet_keras.finetuning.checkpoints import (
    Checkpoints,
    Progress,
    check_reloadable,
)
from tensornet_keras.finetuning.feed import Data, Feed
from tensornet_keras.finetuning.phases import Blockwise, Compress, EndToEnd
from tensornet_keras.finetuning.report import EpochRow, FinetuneReport
from tensornet_keras.finetuning.stages import Run, Stage
from tensornet_keras.finetuning.told import told
from tensornet_keras.finetuning.trainers import (
    Labels,
    block_trainer,
    freeze,
    only_trainable,
    whole_trainer,
)
from tensornet_keras.surgery.compile_settings import carry_compile_settings

Phase = Blockwise | EndToEnd | Compress


def finetune(
    model,
    data: Data,
    *,
    teacher=None,
    phases: Sequence[Phase] | None = None,
    batch_size: int = 32,
    steps_per_epoch: int | None = None,
    validation_data=None,
    callbacks: Sequence = (),
    checkpoint=None,
    log_dir=None,
    seed: int = 0,
    return_report: bool = False,
):
    """A copy of a model that was trained further, phase by phase.

    Args:
        model: A built model, as a rule one that `convert` returned. It is not
            changed.
        data: Training data: arrays `x` or `(x, y)`, shuffled anew in every
            epoch; a `PyDataset`, a `tf.data.Dataset` or another iterable of
            batches that can be gone over again; or a function of the number
            of the epoch that returns one of these.
        teacher: The model whose outputs are to be reached, as a rule the one
            that was converted. It is not changed.
        phases: `Blockwise(...)`, `EndToEnd(...)` and `Compress(...)`, in
            order. `None` is `EndToEnd()`.
        batch_size: Examples in a batch, where `data` is arrays.
        steps_per_epoch: Batches of an epoch, `None` for all. A `PyDataset`
            goes on where the last epoch ended; a `tf.data.Dataset` begins
            anew, so let it shuffle.
        validation_data: As in `fit`, for the phases that train end to end.
        callbacks: Keras callbacks, which hear of every phase and block as of
            a training of its own.
        checkpoint: A folder. The state is saved there after every epoch, and
            a call with the same arguments goes on from it: on a CPU it ends
            with the weights of an unbroken run, if the data is the same in
            the same epoch and the callbacks keep no state. Another folder is
            needed for other data; of data that is not arrays only the number
            of batches, their shapes and types are looked at. `None` saves
            nothing.
        log_dir: A folder for TensorBoard, which gets losses, metrics (those
            that the model was compiled with, if a phase names none) and the
            mean rank of each layer. `None` for none.
        seed: Seed of the order of the data.
        return_report: Whether to return the report too.

    Returns:
        The tuned model, compiled as the model that was passed, and with
        `return_report` a `FinetuneReport`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If there is nothing to train towards, the model has no
            graph to cut into blocks, the teacher has another graph, or the
            folder holds another fine-tuning.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> model = keras.Sequential([keras.Input((16,)), keras.layers.Dense(16)])
    >>> small, _ = tk.convert(model, tk.formats.LowRank(rank=4))
    >>> x = np.random.default_rng(0).normal(size=(64, 16)).astype("float32")
    >>> tuned = tk.finetune(
    ...     small, x, teacher=model, phases=[tk.finetuning.Blockwise(epochs=2)]
    ... )
    >>> tuned.count_params() == small.count_params()
    True
    """
    surgery.check_model(model)
    if teacher is not None:
        surgery.check_model(teacher)
    phases = _checked((EndToEnd(),) if phases is None else phases, teacher)
    validation.positive_integer(batch_size, "batch_size")
    validation.positive_integer_or_none(steps_per_epoch, "steps_per_epoch")
    validation.boolean(return_report, "return_report")
    seed = validation.seed(seed)
    feed = Feed(data, batch_size, steps_per_epoch, seed)
    checkpoints = None
    progress = Progress()
    if checkpoint is not None:
        if any(isinstance(phase, Compress) for phase in phases):
            check_reloadable(model)
        settings = (phases, Labels.of(model), batch_size, steps_per_epoch)
        run = (*settings, seed, feed.told)
        checkpoints = Checkpoints(checkpoint, told(model, teacher, run))
        progress = checkpoints.progress
    if log_dir is not None:
        _needs_tensorboard()
    run = Run(feed, tuple(callbacks), log_dir, checkpoints)
    work = _Work(run, progress, validation_data, Labels.of(model))
    student = work.through(phases, _start(model, work), _frozen(teacher))
    # The compile settings are those of the model, not of the last phase.
    student.compiled = False
    tuned = surgery.copy_of(student)
    carry_compile_settings(model, tuned)
    if not return_report:
        return tuned
    rows = tuple(EpochRow(**row) for row in progress.rows)
    return tuned, FinetuneReport(model.name, rows)


@dataclasses.dataclass(eq=False)
class _Work:
    """Phases gone through, those that are done left out.

    Args:
        run: What all stages have in common.
        progress: How far it is.
        validation_data: As in `finetune`.
        labels: What the model was compiled with.
    """

    run: Run
    progress: Progress
    validation_data: object
    labels: Labels

    def through(self, phases, student, teacher):
        """The student after all phases."""
        for phase in phases[self.progress.phase :]:
            if isinstance(phase, Compress):
                student = self._compressed(phase, student)
                continue
            for stage in self._stages(phase, student, teacher)[
                self.progress.stage :
            ]:
                self.run.train(stage(), self.progress)
            self._next_phase()
        return student

    def _next_phase(self) -> None:
        self.progress.phase += 1
        self.progress.stage = self.progress.epoch = 0

    def _compressed(self, phase: Compress, student):
        start = time.perf_counter()
        dense = conversion.densify(student)
        small, report = conversion.convert(dense, **phase.arguments)
        seconds = time.perf_counter() - start
        row = EpochRow("convert", 0, {}, seconds, report.params_after)
        self.progress.rows.append(dataclasses.asdict(row))
        self._next_phase()
        if self.run.checkpoints is not None:
            self.progress.model = self.run.checkpoints.save_model(
                small, self.progress.phase
            )
            self.run.checkpoints.save(self.progress, model=small.variables)
        return small

    def _stages(self, phase, student, teacher):
        """Functions that make the stages of a phase."""
        if isinstance(phase, EndToEnd):
            return [functools.partial(self._whole, phase, student, teacher)]
        blocks = blocks_of(student, teacher, phase.blocks)
        return [
            functools.partial(
                self._block, phase, student, teacher, block, number
            )
            for number, block in enumerate(blocks, start=1)
        ]

    def _whole(self, phase, student, teacher) -> Stage:
        trainer = whole_trainer(
            student, teacher, phase, self.run.feed.parts, self.labels
        )
        return Stage(
            "end to end",
            phase.epochs,
            trainer,
            student,
            validation_data=self.validation_data,
        )

    def _block(self, phase, student, teacher, block, number) -> Stage:
        trainer = block_trainer(student, teacher, block, phase.optimizer)
        return Stage(
            f"block {number} ({block.name})",
            phase.epochs,
            trainer,
            student,
            frozen=functools.partial(only_trainable, student, trainer.block),
        )


def _checked(phases, teacher) -> tuple[Phase, ...]:
    for phase in phases:
        if not isinstance(phase, Phase):
            raise TypeError(
                "`phases` must hold Blockwise, EndToEnd and Compress. "
                f"Received: {phase!r}. Pass for example [EndToEnd(epochs=2)]."
            )
        if isinstance(phase, Blockwise) and teacher is None:
            raise ValueError(
                "Blockwise training needs the outputs of a teacher. "
                "Received: teacher=None. Pass the model that was converted."
            )
    return tuple(phases)


def _start(model, work: _Work):
    """What to go on from: the model, or as the last conversion left it."""
    checkpoints = work.run.checkpoints
    found = None if checkpoints is None else checkpoints.model()
    student = surgery.copy_of(model) if found is None else found
    if checkpoints is not None:
        checkpoints.restore(model=student.variables)
    return student


def _frozen(teacher):
    """A copy of the teacher that no training changes."""
    if teacher is None:
        return None
    copied = surgery.copy_of(teacher)
    freeze(copied._flatten_layers(), copied.variables)
    return copied


def _needs_tensorboard() -> None:
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "`log_dir` needs TensorBoard. "
            'Run: pip install "tensornet-keras[tensorboard]"'
        ) from error
