"""How far do the outputs of a converted EfficientNet-Lite0 go astray?

The pointwise convolutions and the classifier in two factors, at two shares of
their parameters: from the weights alone, fitted front to back, and tuned for
two epochs to the original's logits. There is no ImageNet here: the pictures are
those of CIFAR-10, enlarged. `cosine` is that of the logits to the original's,
`agreement` how often the class is the same; `accuracy` is that of a ridge probe
for the labels of CIFAR-10 on the original's logits. The tuned one is frozen,
exported, and timed beside the original.

Paper: none; Tan and Le 2019 (arXiv 1905.11946) for the network.
Run: python -m experiments.run efficientnet_lite0
Time: a quarter of an hour on two CPU cores.
Got: 83.80 % by the probe as it was; at 0.7 of the parameters 74.2, 80.0
    and 82.4 from weights alone, calibrated and tuned, at 0.5 16.6, 71.4 and
    77.4; tuned the class is the same for 57.0 and 37.0 %. At 0.5
    it takes 0.97 of the time in Keras, 0.91 in LiteRT.
"""

import keras

import tensornet_keras as tk

from ..pictures import Probe, hold_statistics
from ..shipping import shipped
from ..tuning import distilled

DATA = "cifar10"
SEEDS = (0,)
SETTINGS = {
    "size": 224,
    "ratios": [0.7, 0.5],
    "examples": 64,
    "probed": 1000,
    "tested": 500,
    "tuned": 2000,
    "batch": 32,
    "epochs": 2,
    "rate": 1e-4,
    "fill": False,
}
SMOKE = {
    "size": 32,
    "ratios": [0.7],
    "examples": 8,
    "probed": 64,
    "tested": 32,
    "tuned": 32,
    "epochs": 1,
    "fill": True,
}
TARGETS = {}
FILTERS = r"expand|project|head|fc"


def run(data, settings, seed):
    """Converts, tunes and ships the network."""
    probe = Probe(data, settings)
    model = probe.model
    metrics = probe.scores(model)
    rate, epochs = settings["rate"], settings["epochs"]
    for ratio in settings["ratios"]:
        how = {"format": "low_rank", "filters": FILTERS, "ratio": ratio}
        plain, _ = tk.convert(model, **how)
        fitted, _ = tk.convert(model, calibration_data=probe.examples, **how)
        hold_statistics(fitted)
        tuned = tk.finetune(
            fitted,
            probe.unlabelled,
            teacher=model,
            phases=[distilled(epochs, keras.optimizers.Adam(rate))],
            batch_size=settings["batch"],
            seed=seed,
        )
        ways = {"weights alone": plain, "calibrated": fitted, "tuned": tuned}
        for way, made in ways.items():
            for name, value in probe.scores(made).items():
                metrics[f"{name}, {way}, at {ratio}"] = value
    files = {"original": model, "frozen": tk.freeze(tuned, 1)}
    return metrics | shipped(files, probe.examples[:1], settings["fill"])
