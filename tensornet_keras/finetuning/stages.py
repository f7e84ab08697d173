"""Stages: one trainer each, run epoch by epoch with callbacks and a bar."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import keras
import rich.console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bar

from tensornet_keras.finetuning.checkpoints import Checkpoints, Progress
from tensornet_keras.finetuning.feed import Feed
from tensornet_keras.finetuning.report import EpochRow
from tensornet_keras.surgery import twins


@dataclass(frozen=True, eq=False)
class Stage:
    """A trainer and how long it runs.

    Args:
        name: What is trained.
        epochs: Passes over the data.
        trainer: A compiled Keras model.
        student: The model that is tuned.
        frozen: A function that returns a context in which what is not to be
            trained is frozen.
        validation_data: As in `fit`, or `None`.
    """

    name: str
    epochs: int
    trainer: keras.Model
    student: keras.Model
    frozen: Callable = contextlib.nullcontext
    validation_data: object = None


@dataclass(frozen=True, eq=False)
class Run:
    """What all stages have in common.

    Args:
        feed: The training data.
        callbacks: Keras callbacks.
        log_dir: Folder for TensorBoard, or `None`.
        checkpoints: Where the state is saved, or `None`.
    """

    feed: Feed
    callbacks: Sequence
    log_dir: str | None
    checkpoints: Checkpoints | None

    def train(self, stage: Stage, progress: Progress) -> None:
        """Trains the epochs of a stage that are not done.

        Args:
            stage: The stage.
            progress: How far the fine-tuning is; brought up to date.
        """
        trainer = stage.trainer
        number = (progress.phase, progress.stage)
        with stage.frozen(), _bar() as bar:
            saved = self._variables(stage)
            if self.checkpoints is not None and progress.epoch:
                self.checkpoints.restore(**saved)
            extra = [_Bar(bar, stage), *self._boards(stage, number)]
            callbacks = keras.callbacks.CallbackList(
                [*self.callbacks, *extra],
                model=trainer,
                params={"epochs": stage.epochs, "verbose": 0, "steps": None},
            )
            callbacks.on_train_begin()
            trainer.stop_training = False
            with _finalized_later(trainer.optimizer):
                for epoch in range(progress.epoch, stage.epochs):
                    row = self._epoch(stage, number, epoch, callbacks)
                    progress.rows.append(asdict(row))
                    progress.epoch = epoch + 1
                    if trainer.stop_training:
                        break
                    if self.checkpoints is not None:
                        self.checkpoints.save(progress, **saved)
            trainer.optimizer.finalize_variable_values(
                trainer.trainable_variables
            )
            callbacks.on_train_end()
        progress.stage, progress.epoch = progress.stage + 1, 0
        if self.checkpoints is not None:
            self.checkpoints.save(progress, model=stage.student.variables)

    def _epoch(self, stage, number, epoch, callbacks) -> EpochRow:
        start = time.perf_counter()
        data = self.feed.epoch(number, epoch)
        history = stage.trainer.fit(
            data,
            steps_per_epoch=self.feed.steps_of(data),
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            validation_data=stage.validation_data,
            callbacks=[_Within(callbacks)],
        )
        return EpochRow(
            stage.name,
            epoch + 1,
            _logs(history.history),
            time.perf_counter() - start,
            stage.student.count_params(),
        )

    def _variables(self, stage) -> dict[str, list]:
        """What a state is made of: the model, and the optimizer's slots."""
        optimizer = stage.trainer.optimizer
        if not optimizer.built:
            optimizer.build(stage.trainer.trainable_variables)
        return {
            "model": stage.student.variables,
            "optimizer": optimizer.variables,
        }

    def _boards(self, stage, number: tuple[int, int]) -> list:
        if self.log_dir is None:
            return []
        folder = f"{self.log_dir}/{number[0]}-{number[1]}-{stage.name}"
        return [_Ranks(stage.student), keras.callbacks.TensorBoard(folder)]


@contextlib.contextmanager
def _finalized_later(optimizer) -> Iterator[None]:
    """Context in which `fit` leaves averages of weights to the end.

    It is called once an epoch, and would put the average in place of the
    weights each time.
    """
    # Past Keras' own __setattr__, which tracks what an optimizer is given.
    object.__setattr__(optimizer, "finalize_variable_values", _leave)
    try:
        yield
    finally:
        object.__delattr__(optimizer, "finalize_variable_values")


def _leave(*_) -> None:
    pass


def _logs(history: dict) -> dict[str, float]:
    """The last loss and metrics; of a distiller's losses the sum once."""
    return {
        name: float(values[-1])
        for name, values in history.items()
        if values and not _is_said_elsewhere(name)
    }


def _is_said_elsewhere(name: str) -> bool:
    return name.endswith("total_loss") or name.startswith("rank/")


def _bar() -> Bar:
    console = rich.console.Console(stderr=True)
    seen = console.is_terminal or console.is_jupyter
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not seen,
        transient=True,
    )


class _Within(keras.callbacks.Callback):
    """Passes on what happens within the epochs of one training.

    `fit` is called once an epoch, and callbacks shall hear of one training.
    """

    def __init__(self, callbacks):
        super().__init__()
        self._callbacks = callbacks

    def on_epoch_begin(self, epoch, logs=None):
        self._callbacks.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self._callbacks.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._callbacks.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self._callbacks.on_train_batch_end(batch, logs)

    def on_test_batch_begin(self, batch, logs=None):
        self._callbacks.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self._callbacks.on_test_batch_end(batch, logs)

    def on_test_begin(self, logs=None):
        self._callbacks.on_test_begin(logs)

    def on_test_end(self, logs=None):
        self._callbacks.on_test_end(logs)


class _Bar(keras.callbacks.Callback):
    """Moves the progress bar with the batches."""

    def __init__(self, bar: Bar, stage: Stage):
        super().__init__()
        self._bar = bar
        self._name = escape(stage.name)
        self._epochs = stage.epochs
        self._task = bar.add_task(self._name, total=None, loss="")

    def on_epoch_begin(self, epoch, logs=None):
        name = f"{self._name}, epoch {epoch + 1} of {self._epochs}"
        self._bar.update(self._task, description=name, completed=0)

    def on_train_batch_end(self, batch, logs=None):
        loss = (logs or {}).get("loss")
        text = "" if loss is None else f"loss {float(loss):.4g}"
        self._bar.update(self._task, completed=batch + 1, loss=text)

    def on_epoch_end(self, epoch, logs=None):
        done = self._bar.tasks[0].completed
        self._bar.update(self._task, total=done)


class _Ranks(keras.callbacks.Callback):
    """Adds the ranks of factorized layers to what TensorBoard logs."""

    def __init__(self, student):
        super().__init__()
        self._layers = [
            layer
            for layer in student._flatten_layers()
            if twins.is_factorized(layer)
        ]

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        for layer in self._layers:
            # Of the two kernels of a recurrent layer all bonds together.
            ranks = [
                rank
                for kernel in twins.factorized_kernels(layer)
                for rank in kernel.format.rank
            ]
            name = f"rank/{layer.path or layer.name}"
            logs[name] = sum(ranks) / len(ranks) if ranks else 0.0
