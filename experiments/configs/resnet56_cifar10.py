"""How small does a trained ResNet-56 get, without and with two epochs?

As `resnet20_cifar10_convert` and `resnet20_cifar10_tune`: all 3x3 convolutions
but the first, at five shares of their parameters, converted in four ways and
by TensorLy's plain Tucker-2 without any training; and the calibrated ones
after two epochs towards the logits of the original. `accuracy` is that of the
network as it was.

Paper: none; He et al. 2016 (arXiv 1512.03385) for the network.
Run: python -m experiments.run resnet56_cifar10
Time: twenty minutes for each share on two CPU cores.
Got: 93.39 % as it was. At 0.7, 0.5, 0.3, 0.2 and 0.1 of the parameters: same
    share 85.4, 27.7, 12.5, 10.4, 11.3; low rank 90.4, 69.2, 24.3, 26.6, 10.0;
    auto 92.7, 86.8, 61.1, 24.1, 21.5; calibrated 93.1, 91.8, 84.9, 71.3, 54.3;
    tuned 93.0, 92.5, 90.8, 88.3, 81.6; Tucker-2 of TensorLy
    82.8, 32.3, 19.4, 18.1, 11.2.
"""

from ..tuning import Case, tucker2, tuned, untuned

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = {
    "depth": 56,
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
TARGETS = {}
PARTS = "ratios"


def run(data, settings, seed):
    """Converts and tunes the network at every share."""
    case = Case(data, settings, seed)
    metrics = {"accuracy": case.accuracy()}
    for ratio in settings["ratios"]:
        made = untuned(case, ratio)
        made["Tucker-2 of TensorLy"] = tucker2(case.model, ratio)
        small = made["calibrated"]
        made["tuned"] = tuned(case, small, data, settings, seed)
        for way, each in made.items():
            metrics[f"{way}, at {ratio}"] = case.accuracy(each)
    return metrics
