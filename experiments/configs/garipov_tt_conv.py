"""What does the net lose when its convolutions are tensor trains?

All convolutions but the first are tensor trains of ranks 20 to 27, trained
from scratch: 172,518 parameters, 3.23 times fewer than the dense net. The
recipe is that of `garipov_conv`.

Paper: Garipov et al. 2016 (arXiv 1611.03214), table 1, "TT-conv": 89.3 %.
Run: python -m experiments.run garipov_tt_conv
Time: a GPU's afternoon at most; hours on a CPU.
Got: not yet run in full.
"""

from ..models import tt_conv
from ..training import fit_staircase
from . import garipov_conv

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = garipov_conv.SETTINGS
SMOKE = {"epochs": 1, "batch_size": 32}
TARGETS = {"accuracy": 0.888}


def run(data, settings, seed):
    """Trains the tensor-train net and tests it."""
    label = f"seed {seed}: TT-conv"
    return fit_staircase(tt_conv(), data, settings, seed, label)
