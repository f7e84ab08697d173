"""How far does a tensor-train net of 7,985 parameters get on MNIST?

The net of the t3f tutorial, 784-625-10 with modes (7,4,7,4) x (5,5,5,5) and
rank 4, trained from scratch: Adam 1e-2, batch 64, 3 epochs. Pixels are scaled
to [0, 1], which trains better at so large a rate than the tutorial's [-1, 1];
`accuracy` is that of the averaged weights, `accuracy_last_step` the tutorial's.

Paper: Novikov et al. 2020 (JMLR 21), tutorial "Tensor Nets": 96.38 % after
    the third epoch (one run).
Run: python -m experiments.run t3f_mnist_scratch
Time: ten seconds a seed on two CPU cores.
Got: 97.77 %; 96.61 % after the last step (means of 3 seeds).
"""

from ..models import tt_net
from ..training import accuracy, count_parameters, fit_averaged

DATA = "mnist"
SEEDS = (0, 1, 2)
SETTINGS = {
    "rank": 4,
    "learning_rate": 1e-2,
    "batch_size": 64,
    "epochs": 3,
    "weight_average": 0.99,
}
SMOKE = {"epochs": 1}
TARGETS = {"accuracy": 0.964, "accuracy_last_step": 0.964}


def run(data, settings, seed):
    """Trains the net from scratch and tests it."""
    model = tt_net(settings["rank"])
    last = fit_averaged(
        model,
        data.x_train / 255,
        data.y_train,
        learning_rate=settings["learning_rate"],
        average=settings["weight_average"],
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        label=f"seed {seed}: from scratch",
    )
    averaged = accuracy(model, data.x_test / 255, data.y_test)
    model.set_weights(last)
    return {
        "accuracy": averaged,
        "accuracy_last_step": accuracy(model, data.x_test / 255, data.y_test),
        "parameters": count_parameters(model),
    }
