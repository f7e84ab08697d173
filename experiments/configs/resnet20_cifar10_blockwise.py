"""Does tuning block by block first beat tuning end to end at equal steps?

ResNet-20 with its 3x3 convolutions but the first at a tenth of their
parameters, from its weights alone: at so few a fit to pictures is the worse
start for tuning (decision record 20). Half of the steps go to the nine blocks,
one after the other, to the outputs that the original has there, and half to
the whole, to its logits; beside it all steps go to the whole. No labels.
`accuracy` is that of the network as it was.

Paper: Su et al. 2018 (arXiv 1805.10352): up to 5 points for sequential tuning.
Run: python -m experiments.run resnet20_cifar10_blockwise
Time: 40 minutes on two CPU cores.
Got: 91.73 % as it was, 10.0 converted, 43.0 after the blocks, 80.9 with the
    whole behind them; 82.0 end to end alone: blocks first did not win.
"""

import keras

import tensornet_keras as tk

from ..tuning import Case, by_epoch, distilled, rate

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = {
    "depth": 20,
    "ratio": 0.1,
    "examples": 0,
    "blocks": 9,
    "steps": 240,
    "block_rate": 1e-2,
    "rate": 0.03,
    "fill": False,
}
SMOKE = {"depth": 8, "blocks": 3, "steps": 1, "fill": True}
TARGETS = {}


def run(data, settings, seed):
    """Tunes the network in two ways with the same number of steps."""
    case = Case(data, settings, seed)
    small = case.converted(settings["ratio"])
    blocks, steps = settings["blocks"], settings["steps"]
    block = tk.finetuning.Blockwise(
        1, keras.optimizers.Adam(settings["block_rate"])
    )
    feed = by_epoch(data, steps, seed)

    def tuned(start, *phases):
        return tk.finetune(start, feed, teacher=case.model, phases=phases)

    def whole(epochs):
        return distilled(epochs, rate(settings["rate"], epochs * steps))

    by_block = tuned(small, block)
    made = {
        "converted": small,
        "blocks": by_block,
        "blocks, then end to end": tuned(by_block, whole(blocks)),
        "end to end alone": tuned(small, whole(2 * blocks)),
    }
    metrics = {"accuracy": case.accuracy()}
    return metrics | {way: case.accuracy(each) for way, each in made.items()}
