"""Does a tensor train over all 784 pixels learn MNIST without going astray?

One `MPSLayer` at bond 10: every pixel becomes `(1, x)`, and a product of 784
matrices, around the output core, gives ten logits. Adam, cosine decay.

Paper: Efthymiou et al. 2019 (arXiv 1906.06329): 98 % on MNIST with a matrix
    product state trained by automatic gradients.
Run: python -m experiments.run mps_mnist
Time: three and a half minutes a seed on two shared CPU cores.
Got: 97.83 % with 157,440 parameters, all finite (means of 3 seeds).
"""

import keras
import numpy as np

import tensornet_keras as tk

from ..training import accuracy, count_parameters, fit_cosine

DATA = "mnist"
SEEDS = (0, 1, 2)
SETTINGS = {
    "rank": 10,
    "batch_size": 100,
    "learning_rate": 5e-4,
    "epochs": 6,
}
SMOKE = {"epochs": 1}
TARGETS = {"accuracy": 0.97, "finite": 1.0}


def pixels(images):
    """Images as rows of numbers in [0, 1]."""
    return images.reshape(len(images), -1).astype("float32") / 255


def net(settings):
    """One tensor train over the pixels; returns logits."""
    layer = tk.layers.MPSLayer(10, rank=settings["rank"])
    return keras.Sequential([keras.Input((784,)), layer])


def run(data, settings, seed):
    """Trains the train and tests it."""
    model = net(settings)
    seconds = fit_cosine(
        model,
        pixels(data.x_train),
        data.y_train,
        learning_rate=settings["learning_rate"],
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        label=f"seed {seed}: tensor train over 784 pixels",
    )
    finite = [np.isfinite(weights).all() for weights in model.get_weights()]
    return {
        "accuracy": accuracy(model, pixels(data.x_test), data.y_test),
        "finite": float(np.mean(finite)),
        "parameters": count_parameters(model),
        "train_seconds": seconds,
    }
