"""How much is left of a net compressed throughout, 41.65 times?

Convolutions of rank 16 and dense layers of ranks 40 and 30 in tensor-train
form, trained from scratch: 334,554 parameters in place of 13,934,538. The
recipe is that of `garipov_conv`, but from a rate of 0.03.

Paper: Garipov et al. 2016 (arXiv 1611.03214), table 2, "TT-conv-TT-fc":
    89.7 % (conv-fc, dense: 90.5 %).
Run: python -m experiments.run garipov_tt_conv_tt_fc
Time: a GPU's afternoon at most; hours on a CPU.
Got: not yet run in full.
"""

from ..models import tt_conv_tt_fc
from ..training import fit_staircase
from . import garipov_conv

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = garipov_conv.SETTINGS | {
    "learning_rate": 0.03,
    "first_rank": 40,
    "second_rank": 30,
}
SMOKE = {"epochs": 1, "batch_size": 32}
TARGETS = {"accuracy": 0.892}


def run(data, settings, seed):
    """Trains the tensor-train net and tests it."""
    model = tt_conv_tt_fc(settings["first_rank"], settings["second_rank"])
    label = f"seed {seed}: TT-conv-TT-fc"
    return fit_staircase(model, data, settings, seed, label)
