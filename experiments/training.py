"""Training and testing of classifiers, with one progress bar per training."""

import math
import time

import keras
import numpy as np
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from .datasets import AugmentedBatches

_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TaskProgressColumn(),
    TimeElapsedColumn(),
    TextColumn("{task.fields[status]}"),
)


def fit(
    model,
    x,
    y=None,
    *,
    optimizer,
    epochs,
    batch_size=None,
    label,
    callbacks=(),
):
    """Compiles and trains a classifier that returns logits.

    XLA stays off: on a CPU it is no default of Keras either, and a run on
    one backend is then like a run on another.

    Args:
        model: A built Keras model.
        x: Images, or a `PyDataset` of images and labels.
        y: Labels as integers, or None beside a `PyDataset`.
        optimizer: A fresh Keras optimizer.
        epochs: Passes over the data.
        batch_size: Images a step, or None beside a `PyDataset`.
        label: What the progress bar says.
        callbacks: Keras callbacks.

    Returns:
        Seconds spent.
    """
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    steps = len(x) if y is None else math.ceil(len(x) / batch_size)
    started = time.perf_counter()
    with Progress(*_COLUMNS) as progress:
        task = progress.add_task(label, total=epochs * steps, status="")
        model.fit(
            x,
            y,
            epochs=epochs,
            batch_size=batch_size,
            shuffle=y is not None,
            callbacks=[_Advance(progress, task), *callbacks],
            verbose=0,
        )
    return time.perf_counter() - started


def fit_cosine(model, x, y, *, learning_rate, epochs, batch_size, label):
    """Trains with Adam, its rate falling to zero along a cosine.

    Args:
        model: A built Keras model that returns logits.
        x: Images.
        y: Labels as integers.
        learning_rate: The rate at the start.
        epochs: Passes over the data.
        batch_size: Images a step.
        label: What the progress bar says.

    Returns:
        Seconds spent.
    """
    steps = epochs * math.ceil(len(x) / batch_size)
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return fit(
        model,
        x,
        y,
        optimizer=keras.optimizers.Adam(rate),
        epochs=epochs,
        batch_size=batch_size,
        label=label,
    )


def fit_averaged(
    model, x, y, *, learning_rate, average, epochs, batch_size, label
):
    """Trains with Adam at a constant rate and averages the weights.

    The last step of a constant rate is noisy: two runs are half a point
    apart. The moving average over some hundred steps takes the noise away and
    changes no step; the weights after the last step are returned beside it.

    Args:
        model: A built Keras model that returns logits; gets the average.
        x: Images.
        y: Labels as integers.
        learning_rate: Adam's rate.
        average: How much of the average is kept at a step, in [0, 1); 0.99
            averages over the last hundred steps or so.
        epochs: Passes over the data.
        batch_size: Images a step.
        label: What the progress bar says.

    Returns:
        The weights after the last step, for `set_weights`.
    """
    last = _LastWeights()
    fit(
        model,
        x,
        y,
        optimizer=keras.optimizers.Adam(
            learning_rate, use_ema=True, ema_momentum=average
        ),
        epochs=epochs,
        batch_size=batch_size,
        label=label,
        callbacks=[last],
    )
    return last.weights


def accuracy(model, x, y):
    """Share of images whose largest logit is that of their label."""
    logits = model.predict(x, batch_size=500, verbose=0)
    return float(np.mean(logits.argmax(-1) == y))


def count_parameters(model):
    """Trainable numbers: weights, biases, scales and shifts."""
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def fit_staircase(model, data, settings, seed, label):
    """Trains on CIFAR-10 the way of Garipov et al. 2016.

    Momentum SGD whose rate drops by a factor in steps, augmented pictures,
    and the moving average of the weights in place of the last ones in the
    end, which is what Keras' optimizers do when `fit` returns.

    Args:
        model: A built model that returns logits.
        data: The `Dataset`.
        settings: The config's `learning_rate`, `momentum`, `drop_every`
            (epochs), `drop`, `weight_average`, `batch_size` and `epochs`.
        seed: Seed of the order and of the augmentation.
        label: What the progress bar says.

    Returns:
        A dict of the metrics `accuracy`, `parameters`, `train_seconds`.

    Reference:
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 6, and
        the authors' training script.
    """
    pictures = data.x_train.astype("float32")
    mean, deviation = pictures.mean(axis=0), pictures.std(axis=0)
    # A pixel that never changes in a small sample.
    deviation = np.maximum(deviation, 1.0)
    batches = AugmentedBatches(
        data.x_train,
        data.y_train,
        settings["batch_size"],
        mean=mean,
        deviation=deviation,
        seed=seed,
    )
    rate = keras.optimizers.schedules.ExponentialDecay(
        settings["learning_rate"],
        decay_steps=settings["drop_every"] * len(batches),
        decay_rate=settings["drop"],
        staircase=True,
    )
    optimizer = keras.optimizers.SGD(
        rate,
        momentum=settings["momentum"],
        use_ema=True,
        ema_momentum=settings["weight_average"],
    )
    seconds = fit(
        model,
        batches,
        optimizer=optimizer,
        epochs=settings["epochs"],
        label=label,
    )
    test = (data.x_test.astype("float32") - mean) / deviation
    return {
        "accuracy": accuracy(model, test, data.y_test),
        "parameters": count_parameters(model),
        "train_seconds": seconds,
    }


class _Advance(keras.callbacks.Callback):
    """Moves a progress bar on by one for every step of `fit`."""

    def __init__(self, progress, task):
        super().__init__()
        self.progress = progress
        self.task = task

    def on_train_batch_end(self, batch, logs=None):
        self.progress.advance(self.task)

    def on_epoch_end(self, epoch, logs=None):
        status = f"epoch {epoch + 1}, training accuracy {logs['accuracy']:.2%}"
        self.progress.update(self.task, status=status)


class _LastWeights(keras.callbacks.Callback):
    """Keeps the weights before the optimizer puts their average in place."""

    def on_epoch_end(self, epoch, logs=None):
        self.weights = self.model.get_weights()
