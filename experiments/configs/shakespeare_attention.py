"""What does a language model of attention lose when it is factorized?

Two pairs of attention and dense layers, trained here on the characters of
Tiny Shakespeare; then all of their matrices in two factors, at two shares of
their parameters: from the weights alone, fitted front to back, and tuned to
the original's logits and the text. `perplexity` is that of a character of the
last tenth of the text. The smallest is frozen, exported, and timed beside the
original.

Paper: none; Vaswani et al. 2017 (arXiv 1706.03762) for the network.
Run: python -m experiments.run shakespeare_attention
Time: a quarter of an hour on two CPU cores.
Got: perplexity 4.96 as it was. At 0.5 and 0.3 of the parameters: from the
    weights alone 7.08 and 24.1, calibrated 5.50 and 7.54, tuned 5.10 and 5.53.
    Frozen, the smallest takes 0.67 of the time in Keras, 0.59 in LiteRT and
    0.70 in onnxruntime.
"""

import tensornet_keras as tk

from ..language import Corpus, perplexity, towards_teacher, trained
from ..shipping import shipped

DATA = None
FILES = ("text/tinyshakespeare.txt",)
SEEDS = (0,)
SETTINGS = {
    "length": 64,
    "width": 192,
    "steps": 1500,
    "batch": 64,
    "learning_rate": 2e-3,
    "ratios": [0.5, 0.3],
    "examples": 512,
    "tuning_steps": 300,
    "tuning_rate": 5e-4,
    "small": False,
}
SMOKE = {
    "length": 8,
    "width": 12,
    "steps": 2,
    "batch": 4,
    "ratios": [0.5],
    "examples": 8,
    "tuning_steps": 2,
    "small": True,
}
TARGETS = {}
FILTERS = r"layer\d\.(attention/|inner|outer)"


def run(data, settings, seed):
    """Trains, converts, tunes and ships the model."""
    corpus = Corpus(settings["length"], settings["small"])
    model = trained(corpus, settings, seed)
    metrics = {"perplexity": perplexity(model, corpus)}
    for ratio in settings["ratios"]:
        how = {"format": "low_rank", "filters": FILTERS, "ratio": ratio}
        examples, _ = corpus.drawn(settings["examples"], seed)
        plain, _ = tk.convert(model, **how)
        fitted, _ = tk.convert(model, calibration_data=examples, **how)
        drawn = corpus.drawn(
            settings["tuning_steps"] * settings["batch"], seed + 1
        )
        tuned = tk.finetune(
            fitted,
            drawn,
            teacher=model,
            phases=[towards_teacher(settings["tuning_rate"])],
            batch_size=settings["batch"],
            seed=seed,
        )
        ways = {"weights alone": plain, "calibrated": fitted, "tuned": tuned}
        for way, made in ways.items():
            metrics[f"perplexity, {way}, at {ratio}"] = perplexity(made, corpus)
    files = {"original": model, "frozen": tk.freeze(tuned, 1)}
    return metrics | shipped(files, examples[:1], settings["small"])
