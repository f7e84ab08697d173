"""How small do the matrices of a sentence encoder get?

all-MiniLM-L6-v2, the four projections of each attention and the two dense
layers behind it, as two factors each, at three shares of their parameters: by
one budget over all layers from the weights alone, fitted front to back on 512
unlabelled sentences, and tuned to the original's embeddings for one epoch on
the sentences of SST-2. A ridge probe on 2,500 training sentences is tested on
the dev set; `cosine` is the mean to the original's embeddings. `accuracy` is
that of the encoder as it was.

Paper: none; Socher et al. 2013 for SST-2.
Run: python -m experiments.run minilm_sst2
Time: some hours on two CPU cores.
Got: not yet run in full.
"""

import keras

import tensornet_keras as tk

from ..sentences import Probe, encoder

DATA = None
SEEDS = (0,)
SETTINGS = {
    "length": 64,
    "ratios": [0.7, 0.5, 0.3],
    "examples": 512,
    "epochs": 1,
    "learning_rate": 1e-4,
    "small": False,
}
SMOKE = {"length": 8, "ratios": [0.5], "examples": 16, "small": True}
TARGETS = {"accuracy": 0.79}
FILTERS = r"layer\d\.(attention/|inner|outer)"


def run(data, settings, seed):
    """Converts and tunes the encoder at every share."""
    probe = Probe(settings["length"], settings["small"])
    model = encoder(settings["length"], settings["small"])
    original = probe.embeddings(model, "dev")
    metrics = {"accuracy": probe.scores(model)["accuracy"]}
    examples = {
        name: array[: settings["examples"]]
        for name, array in probe.unlabelled.items()
    }
    phase = tk.finetuning.EndToEnd(
        settings["epochs"],
        keras.optimizers.Adam(settings["learning_rate"]),
        distillation=keras.distillation.LogitsDistillation(1.0, "mse"),
    )
    for ratio in settings["ratios"]:
        how = {"format": "low_rank", "filters": FILTERS, "ratio": ratio}
        plain, _ = tk.convert(model, **how)
        fitted, _ = tk.convert(model, calibration_data=examples, **how)
        tuned = tk.finetune(
            fitted, probe.unlabelled, teacher=model, phases=[phase], seed=seed
        )
        for way, made in (
            ("weights alone", plain),
            ("calibrated", fitted),
            ("tuned", tuned),
        ):
            for name, value in probe.scores(made, original).items():
                metrics[f"{name}, {way}, at {ratio}"] = value
    return metrics
