"""A fine-tuning that stops dead in the middle, as a process of its own.

python killed.py FOLDER MODEL OUT KILL_AFTER: KILL_AFTER batches of training
in this process, then SIGKILL; 0 lets it end.
"""

import os
import signal
import sys

import keras

import tensornet_keras as tk
from tests.small_models import numbers

PHASES = [
    tk.finetuning.Blockwise(2, keras.optimizers.Adam(1e-2)),
    tk.finetuning.EndToEnd(3, keras.optimizers.SGD(1e-2, momentum=0.9)),
    tk.finetuning.Compress({"format": tk.formats.LowRank(), "ratio": 0.4}),
    tk.finetuning.EndToEnd(2),
]


class After(keras.callbacks.Callback):
    """Does something after so many batches; 0 is never."""

    def __init__(self, left, act):
        super().__init__()
        self.left, self.act = left, act

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            self.act()


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder, model, out, kill_after):
    teacher = keras.saving.load_model(model)
    small, _ = tk.convert(teacher, tk.formats.LowRank(), ratio=0.6)
    tuned = tk.finetune(
        small,
        numbers(96, 8, 8, 3),
        teacher=teacher,
        phases=PHASES,
        batch_size=16,
        checkpoint=folder or None,
        callbacks=[After(int(kill_after), kill)],
    )
    tuned.save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
