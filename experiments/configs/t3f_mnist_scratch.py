"""How far does a tensor-train net of 7,985 parameters get on MNIST?

The net of the t3f tutorial, 784-625-10 with modes (7,4,7,4) x (5,5,5,5) and
rank 4, trained from scratch: Adam 1e-2, batch 64, 3 epochs. Pixels are scaled
to [0, 1], which trains better at so large a rate than the tutorial's [-1, 1].

Paper: Novikov et al. 2020 (JMLR 21), tutorial "Tensor Nets": 96.38 % after
    the third epoch (one run).
Run: python -m experiments.run t3f_mnist_scratch
Time: TIME
Got: GOT
"""

import keras

from ..models import tt_net
from ..training import accuracy, count_parameters, fit

DATA = "mnist"
SEEDS = (0, 1, 2)
SETTINGS = {"rank": 4, "learning_rate": 1e-2, "batch_size": 64, "epochs": 3}
SMOKE = {"epochs": 1}
TARGETS = {"accuracy": 0.964}


def run(data, settings, seed):
    """Trains the net from scratch and tests it."""
    model = tt_net(settings["rank"])
    seconds = fit(
        model,
        data.x_train / 255,
        data.y_train,
        optimizer=keras.optimizers.Adam(settings["learning_rate"]),
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        label=f"seed {seed}: from scratch",
    )
    return {
        "accuracy": accuracy(model, data.x_test / 255, data.y_test),
        "parameters": count_parameters(model),
        "train_seconds": seconds,
    }
