"""What does LeNet-5 keep when its two large kernels become tensor trains?

The demo's recipe: train (Adam, cosine decay), convert `conv2` and `fc1` at
rank 12, tune the same way at half the rate.

Paper: Schotthöfer et al. 2022 (arXiv 2205.13571), table 1: dense 98.93 %
    (Adam), 97.20 % with 25,650 weights by their low-rank training.
Run: python -m experiments.run lenet5_mnist
Time: two and a half minutes a seed on two shared CPU cores.
Got: 99.04 % with 21,692 parameters, 19.9 times fewer than the dense net, which
    has 99.24 % (means of 3 seeds).
"""

import tensornet_keras as tk

from ..models import lenet5
from ..training import accuracy, count_parameters, fit_cosine

DATA = "mnist"
SEEDS = (0, 1, 2)
SETTINGS = {
    "rank": 12,
    "filters": "(conv2|fc1)$",
    "batch_size": 128,
    "learning_rate": 2e-3,
    "epochs": 3,
    "tuning_learning_rate": 1e-3,
    "tuning_epochs": 3,
}
SMOKE = {"epochs": 1, "tuning_epochs": 1}
TARGETS = {"accuracy_change": -0.005, "compression": 15}


def pictures(images):
    """Images as LeNet-5 takes them: one channel, in [0, 1]."""
    return images[..., None].astype("float32") / 255


def train(model, data, settings, label, prefix=""):
    """Trains a model; the prefix `"tuning_"` picks the tuning settings."""
    return fit_cosine(
        model,
        pictures(data.x_train),
        data.y_train,
        learning_rate=settings[f"{prefix}learning_rate"],
        epochs=settings[f"{prefix}epochs"],
        batch_size=settings["batch_size"],
        label=label,
    )


def compress(model, rank, settings):
    """Converts the two large layers; returns the new model and a report."""
    form = tk.formats.TensorTrain(rank)
    return tk.convert(model, form, filters=settings["filters"])


def test(model, data):
    """Accuracy on the test images."""
    return accuracy(model, pictures(data.x_test), data.y_test)


def run(data, settings, seed):
    """Trains, converts and tunes."""
    dense = lenet5()
    train(dense, data, settings, f"seed {seed}: dense")
    small, _ = compress(dense, settings["rank"], settings)
    untuned = test(small, data)
    train(small, data, settings, f"seed {seed}: tuning", prefix="tuning_")
    before, after = test(dense, data), test(small, data)
    return {
        "accuracy": after,
        "accuracy_dense": before,
        "accuracy_untuned": untuned,
        "accuracy_change": after - before,
        "parameters": count_parameters(small),
        "compression": count_parameters(dense) / count_parameters(small),
    }
