"""What does the convolutional net reach that Garipov et al. compress?

Six 3x3 convolutions, batch normalization, 557,248 parameters, on CIFAR-10.
Momentum SGD from 0.1, divided by 10 every 30 epochs, 100 epochs of batch 100;
padded crops, flips and contrast; tested with the averaged weights.

Paper: Garipov et al. 2016 (arXiv 1611.03214), table 1, "conv": 90.7 %.
Run: python -m experiments.run garipov_conv
Time: a GPU's afternoon at most; hours on a CPU.
Got: not yet run in full.
"""

from ..models import conv
from ..training import fit_staircase

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = {
    "learning_rate": 0.1,
    "momentum": 0.9,
    "drop_every": 30,
    "drop": 0.1,
    "weight_average": 0.9,
    "batch_size": 100,
    "epochs": 100,
}
SMOKE = {"epochs": 1, "batch_size": 32}
TARGETS = {"accuracy": 0.902}


def run(data, settings, seed):
    """Trains the dense baseline and tests it."""
    label = f"seed {seed}: conv"
    return fit_staircase(conv(), data, settings, seed, label)
