"""A fine-tuning that is killed goes on to the weights of an unbroken one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.finetuning.killed import After
from tests.small_models import (
    assert_same_values,
    mlp,
    numbers,
    randomized,
    values_of,
)

ROOT = Path(__file__).parents[2]
END = tk.finetuning.EndToEnd
# Batches before each kill, of six in an epoch: in the second epoch of the
# block, while trained end to end, and after the conversion in between.
KILLS = [8, 15, 15]


def convolutional():
    inputs = keras.Input((8, 8, 3))
    x = inputs
    for filters in (8, 12):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.Dropout(0.2, seed=1)(layers.ReLU()(x))
    outputs = layers.Dense(6)(layers.Flatten()(x))
    return randomized(keras.Model(inputs, outputs))


def run(*words):
    command = [sys.executable, "-m", "tests.finetuning.killed"]
    # As many threads as a user has.
    alone = {k: v for k, v in os.environ.items() if not k.endswith("_THREADS")}
    return subprocess.run(
        [*command, *map(str, words)],
        cwd=ROOT,
        env={**alone, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=300,
    )


def test_after_kill_9_the_weights_are_those_of_an_unbroken_run(tmp_path):
    model = tmp_path / "model.keras"
    convolutional().save(model)
    whole = run("", model, tmp_path / "whole.keras", 0)
    assert whole.returncode == 0, whole.stderr.decode()[-2000:]
    words = tmp_path / "state", model, tmp_path / "broken.keras"
    for batches in KILLS:
        killed = run(*words, batches)
        assert killed.returncode == -signal.SIGKILL
        assert not (tmp_path / "broken.keras").exists()
        assert (tmp_path / "state" / "state.npz").exists()
    assert (tmp_path / "state" / "model-3.keras").exists()
    ended = run(*words, 0)
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    one, two = (
        values_of(keras.saving.load_model(tmp_path / f"{name}.keras"))
        for name in ("whole", "broken")
    )
    assert_same_values(one, two)


def tuned(folder, x, scale=1.0, **kwargs):
    teacher = mlp()
    teacher.set_weights([scale * weight for weight in teacher.get_weights()])
    small, _ = tk.convert(teacher, tk.formats.LowRank(rank=2))
    phases = kwargs.pop("phases", [END(2)])
    return tk.finetune(
        small, x, teacher=teacher, phases=phases, checkpoint=folder, **kwargs
    )


def test_a_run_that_has_ended_gives_its_weights_again(tmp_path):
    seen = []
    heard = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(epoch)
    )
    first = tuned(tmp_path, numbers(64, 8), callbacks=[heard])
    again = tuned(tmp_path, numbers(64, 8), callbacks=[heard])
    assert seen == [0, 1]
    assert_same_values(values_of(first), values_of(again))


@pytest.mark.parametrize(
    "other",
    [
        {"phases": [END(3)]},
        {"phases": [tk.finetuning.Compress({"ratio": 0.3})]},
        {"batch_size": 8},
        {"seed": 1},
        {"x": numbers(64, 8, seed=1)},
        {"scale": 1.5},
    ],
)
def test_the_folder_of_another_fine_tuning_is_refused(tmp_path, other):
    tuned(tmp_path, numbers(64, 8))
    before = (tmp_path / "state.npz").read_bytes()
    with pytest.raises(ValueError, match="state of another model"):
        tuned(tmp_path, **{"x": numbers(64, 8), **other})
    assert (tmp_path / "state.npz").read_bytes() == before


class Batches(keras.utils.PyDataset):
    """Batches of numbers, and of labels of a width."""

    def __init__(self, count, width):
        super().__init__()
        self._count, self._width = count, width

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        return numbers(4, 8), numbers(4, self._width)


def compiled(loss):
    small, _ = tk.convert(mlp(), tk.formats.LowRank(rank=2))
    small.compile("sgd", loss)
    return small


def test_another_loss_or_other_batches_are_another_fine_tuning(tmp_path):
    tk.finetune(compiled("mse"), Batches(2, 6), checkpoint=tmp_path)
    for loss, data in (
        ("mae", Batches(2, 6)),
        ("mse", Batches(3, 6)),
        ("mse", Batches(2, 1)),
    ):
        with pytest.raises(ValueError, match="state of another model"):
            tk.finetune(compiled(loss), data, checkpoint=tmp_path)
    tk.finetune(compiled("mse"), Batches(2, 6), checkpoint=tmp_path)


def stop():
    """Ends a fine-tuning as a user does."""
    raise KeyboardInterrupt


def blocks_then_all(folder, callbacks=()):
    """More layers are factorized after the conversion than before it."""
    teacher = mlp()
    small, _ = tk.convert(teacher, tk.formats.LowRank(rank=2), filters="head")
    everything = {"format": tk.formats.LowRank(rank=2), "min_compression": 0}
    phases = [
        tk.finetuning.Blockwise(),
        tk.finetuning.Compress(everything),
        END(2),
    ]
    return tk.finetune(
        small,
        numbers(64, 8),
        teacher=teacher,
        phases=phases,
        checkpoint=folder,
        callbacks=callbacks,
        return_report=True,
    )


@pytest.mark.parametrize("batches", [3, 5])
def test_stages_are_those_of_the_unbroken_run(tmp_path, batches):
    whole, first = blocks_then_all(None)
    with pytest.raises(KeyboardInterrupt):
        blocks_then_all(tmp_path, [After(batches, stop)])
    broken, second = blocks_then_all(tmp_path)
    assert [x.stage for x in second.rows] == [x.stage for x in first.rows]
    assert_same_values(values_of(whole), values_of(broken))


def test_a_run_that_stopped_early_is_over(tmp_path):
    kwargs = {"phases": [END(9)], "x": numbers(64, 8)}
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1e9)
    first = tuned(tmp_path, callbacks=[stop], **kwargs)
    again = tuned(tmp_path, **kwargs)
    assert_same_values(values_of(first), values_of(again))


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    place = tmp_path / "file"
    place.write_text("mine")
    with pytest.raises((ValueError, FileExistsError), match="file"):
        tuned(place, numbers(64, 8))
    assert place.read_text() == "mine"


def test_half_precision_weights_come_back(tmp_path):
    with keras.device("cpu"):
        inputs = keras.Input((8,))
        outputs = layers.Dense(8, dtype="bfloat16")(inputs)
        teacher = randomized(keras.Model(inputs, outputs))
    small, _ = tk.convert(teacher, tk.formats.LowRank(rank=2))
    kwargs = {"teacher": teacher, "checkpoint": tmp_path}
    kwargs["phases"] = [tk.finetuning.Blockwise(1)]
    first = tk.finetune(small, numbers(32, 8), **kwargs)
    again = tk.finetune(small, numbers(32, 8), **kwargs)
    for one, two in zip(first.variables, again.variables, strict=True):
        ones, twos = (
            keras.ops.convert_to_numpy(keras.ops.cast(x, "float32"))
            for x in (one, two)
        )
        np.testing.assert_array_equal(ones, twos)


def own_loss(y, z):
    return keras.ops.mean((y - z) ** 2)


def test_what_a_model_was_compiled_with_is_not_saved(tmp_path):
    teacher = mlp()
    teacher.compile("sgd", loss=own_loss)
    small, _ = tk.convert(teacher, tk.formats.LowRank(rank=4))
    tuned = tk.finetune(
        small,
        numbers(8, 8),
        teacher=teacher,
        phases=[tk.finetuning.Compress({"ratio": 0.9}), END(1)],
        checkpoint=tmp_path / "state",
    )
    assert tuned.loss is own_loss


def test_a_model_that_no_file_can_hold_is_refused_at_the_start(tmp_path):
    inputs = keras.Input((8,))
    x = layers.Lambda(lambda x: 2 * x)(layers.Dense(8)(inputs))
    model = keras.Model(inputs, layers.Dense(4)(x))
    phases = [END(1), tk.finetuning.Compress({"ratio": 0.8})]
    how = {"teacher": model, "steps_per_epoch": 1}
    with pytest.raises(ValueError, match="can load from a file.*[Ll]ambda"):
        tk.finetune(
            model,
            numbers(8, 8),
            phases=phases,
            checkpoint=tmp_path / "state",
            **how,
        )
    assert not (tmp_path / "state").exists()
    # Without a conversion between phases no model is written.
    tk.finetune(
        model,
        numbers(8, 8),
        phases=phases[:1],
        checkpoint=tmp_path / "state",
        **how,
    )
