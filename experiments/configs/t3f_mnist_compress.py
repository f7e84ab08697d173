"""Does a layer cut to tensor-train rank 16 win its accuracy back?

The second half of the t3f tutorial: a dense net 784-625-10 is trained (Adam
1e-3, batch 64, 5 epochs), its first kernel goes through TT-SVD at rank 16
with modes (7,4,7,4) x (5,5,5,5), and the net is tuned (Adam 1e-3, 2 epochs).
Pixels are scaled to [0, 1], which trains better than the tutorial's [-1, 1];
`accuracy` is that of the averaged weights, `accuracy_last_step` the tutorial's.

Paper: Novikov et al. 2020 (JMLR 21), tutorial "Tensor Nets": 97.14 % dense,
    64.43 % after TT-SVD, 97.65 % tuned, with 21,845 parameters (one run).
Run: python -m experiments.run t3f_mnist_compress
Time: 45 seconds a seed on two CPU cores.
Got: 97.95 % with 21,845 parameters; 97.45 % after the last step, 97.81 % dense,
    62.99 % after TT-SVD (means of 3 seeds).
"""

import keras

import tensornet_keras as tk

from ..models import dense_net
from ..models.t3f_tutorial import INPUT_MODES, OUTPUT_MODES
from ..training import accuracy, count_parameters, fit, fit_averaged

DATA = "mnist"
SEEDS = (0, 1, 2)
SETTINGS = {
    "rank": 16,
    "learning_rate": 1e-3,
    "batch_size": 64,
    "epochs": 5,
    "tuning_learning_rate": 1e-3,
    "tuning_epochs": 2,
    "weight_average": 0.99,
}
SMOKE = {"epochs": 1, "tuning_epochs": 1}
TARGETS = {"accuracy": 0.976, "accuracy_last_step": 0.976}


def run(data, settings, seed):
    """Trains the dense net, compresses its first layer and tunes."""
    x_train, x_test = (x / 255 for x in (data.x_train, data.x_test))
    recipe = {"x": x_train, "y": data.y_train}
    recipe["batch_size"] = settings["batch_size"]
    dense = dense_net()
    fit(
        dense,
        optimizer=keras.optimizers.Adam(settings["learning_rate"]),
        epochs=settings["epochs"],
        label=f"seed {seed}: dense",
        **recipe,
    )
    train = tk.formats.TensorTrain(settings["rank"], INPUT_MODES, OUTPUT_MODES)
    small, report = tk.convert(dense, train, filters="hidden")
    metrics = {"accuracy_dense": accuracy(dense, x_test, data.y_test)}
    metrics["accuracy_untuned"] = accuracy(small, x_test, data.y_test)
    last = fit_averaged(
        small,
        learning_rate=settings["tuning_learning_rate"],
        average=settings["weight_average"],
        epochs=settings["tuning_epochs"],
        label=f"seed {seed}: tuning",
        **recipe,
    )
    metrics["accuracy"] = accuracy(small, x_test, data.y_test)
    small.set_weights(last)
    metrics["accuracy_last_step"] = accuracy(small, x_test, data.y_test)
    return metrics | {
        "parameters": count_parameters(small),
        "parameters_dense": count_parameters(dense),
        "relative_error": report.replaced[0].relative_error,
    }
