"""How small does a trained ResNet-20 get without any training afterwards?

All 3x3 convolutions but the first, at five shares of their parameters: the
matrix rank with the same share for every layer, the matrix rank with one
budget over all layers, formats chosen layer by layer, and these fitted front
to back to the outputs on 512 training pictures without labels. `accuracy` is
that of the network as it was.

Paper: none; He et al. 2016 (arXiv 1512.03385) for the network.
Run: python -m experiments.run resnet20_cifar10_convert
Time: ten minutes on two CPU cores.
Got: 91.73 % as it was. At 0.7, 0.5 and 0.3 of the parameters: same share 66.3,
    14.3 and 10.1 %; low rank 79.7, 34.3 and 17.1; auto 89.9, 78.7 and 21.3;
    calibrated 90.7, 88.4 and 73.0. Calibrated at 0.2 and 0.1: 46.5 and 12.1.
"""

from ..tuning import Case, untuned

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = {
    "depth": 20,
    "ratios": [0.7, 0.5, 0.3, 0.2, 0.1],
    "examples": 512,
    "fill": False,
}
SMOKE = {"depth": 8, "ratios": [0.5], "examples": 16, "fill": True}
TARGETS = {
    "calibrated, at 0.7": 0.89,
    "calibrated, at 0.5": 0.82,
    "calibrated, at 0.3": 0.60,
}


def run(data, settings, seed):
    """Converts the network in every way at every share."""
    case = Case(data, settings, seed)
    metrics = {"accuracy": case.accuracy()}
    for ratio in settings["ratios"]:
        for way, small in untuned(case, ratio).items():
            metrics[f"{way}, at {ratio}"] = case.accuracy(small)
    return metrics
