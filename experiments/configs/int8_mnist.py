"""What do eight bits cost on top of a conversion, and beside Keras' own?

A net of three dense layers trained on MNIST; its file and its accuracy as it
is, with Keras' int8, converted by a budget on 512 training pictures, and
converted with the cores in int8. Sizes are those of the `.keras` files without
an optimizer, in bytes.

Paper: none.
Run: python -m experiments.run int8_mnist
Time: ten minutes on two CPU cores shared with other work.
Got: 98.42 % and 7.47 MB as it is, 98.42 and 1.90 with Keras' int8, 98.35 and
    0.77 converted, 98.34 and 0.23 converted with the cores in int8.
"""

import numpy as np

import tensornet_keras as tk

from ..eight_bits import net, quantized, size
from ..training import accuracy, fit_cosine

DATA = "mnist"
SEEDS = (0,)
SETTINGS = {
    "width": 1024,
    "ratio": 0.1,
    "examples": 512,
    "epochs": 5,
    "batch_size": 128,
    "learning_rate": 1e-3,
}
SMOKE = {"width": 64, "examples": 32, "epochs": 1}
TARGETS = {}


def run(data, settings, seed):
    """Trains, converts and quantizes the net."""
    x, x_test = (
        each.reshape(len(each), -1).astype("float32") / 255
        for each in (data.x_train, data.x_test)
    )
    trained, model = (net(x.shape[1], settings["width"]) for _ in range(2))
    training = ("learning_rate", "epochs", "batch_size")
    how = {name: settings[name] for name in training}
    fit_cosine(trained, x, data.y_train, label="Dense net", **how)
    # Without the optimizer, which would be in the file.
    model.set_weights(trained.get_weights())
    chosen = np.random.default_rng(seed).permutation(len(x))
    small, _ = tk.convert(
        model,
        ratio=settings["ratio"],
        calibration_data=x[chosen[: settings["examples"]]],
    )
    ways = {
        "dense": model,
        "dense, int8": quantized(model),
        "converted": small,
        "converted, int8": quantized(small),
    }
    metrics = {}
    for way, each in ways.items():
        score = accuracy(each, x_test, data.y_test)
        metrics["accuracy" if way == "dense" else f"accuracy, {way}"] = score
        metrics[f"bytes, {way}"] = size(each)
    return metrics
