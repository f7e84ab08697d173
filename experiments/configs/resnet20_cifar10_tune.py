"""What do two epochs with the original as teacher win back of ResNet-20?

All 3x3 convolutions but the first, formats chosen layer by layer and fitted
front to back on 512 unlabelled training pictures, at five shares of their
parameters; then two epochs towards the logits of the original, without
labels. Beside it a plain Tucker-2 of every kernel by TensorLy at the same
parameters, without tuning. `accuracy` is that of the network as it was.

Paper: none; He et al. 2016 (arXiv 1512.03385) for the network.
Run: python -m experiments.run resnet20_cifar10_tune
Time: 35 minutes on two CPU cores shared with other work.
Got: 91.73 % as it was. Tuned at 0.7, 0.5, 0.3, 0.2 and 0.1 of the parameters:
    91.5, 90.8, 88.0, 83.6 and 59.5 %; Tucker-2 of TensorLy: 68.4, 36.7, 19.7,
    13.6 and 12.0.
"""

from ..tuning import Case, tucker2, tuned

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = {
    "depth": 20,
    "ratios": [0.7, 0.5, 0.3, 0.2, 0.1],
    "examples": 512,
    "epochs": 2,
    "learning_rate": 0.01,
    "fill": False,
}
SMOKE = {
    "depth": 8,
    "ratios": [0.5],
    "examples": 16,
    "epochs": 1,
    "fill": True,
}
TARGETS = {"tuned, at 0.5": 0.9023}


def run(data, settings, seed):
    """Converts and tunes the network at every share."""
    case = Case(data, settings, seed)
    metrics = {"accuracy": case.accuracy()}
    for ratio in settings["ratios"]:
        small = case.fitted(ratio)
        ways = {
            "Tucker-2 of TensorLy": tucker2(case.model, ratio),
            "calibrated": small,
            "tuned": tuned(case, small, data, settings, seed),
        }
        for way, made in ways.items():
            metrics[f"{way}, at {ratio}"] = case.accuracy(made)
    return metrics
