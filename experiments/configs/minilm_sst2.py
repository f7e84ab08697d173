"""How small do the matrices of a sentence encoder get?

all-MiniLM-L6-v2, the four projections of each attention and the two dense
layers behind it, as two factors each, at three shares of their parameters: by
one budget over all layers from the weights alone, fitted front to back on 512
unlabelled sentences, and tuned to the original's embeddings on the sentences
of SST-2. A ridge probe on 2,500 training sentences is tested on the dev set;
`cosine` is the mean to the original's embeddings. `accuracy` is that of the
encoder as it was.

Paper: none; Socher et al. 2013 for SST-2.
Run: python -m experiments.run minilm_sst2
Time: twenty minutes on two CPU cores.
Got: 80.05 % as it was. At 0.7, 0.5 and 0.3 of the parameters: from the weights
    alone 78.2, 77.3 and 74.9 %, with cosines 0.60, 0.44 and 0.41; calibrated
    81.0, 80.5 and 77.4 (0.89, 0.81, 0.74); tuned 79.1, 80.7 and 78.4 (0.93,
    0.89, 0.86).
"""

import tensornet_keras as tk

from ..sentences import MATRICES, READ, Probe, encoder, towards_teacher

DATA = None
FILES = READ
SEEDS = (0,)
SETTINGS = {
    "ratios": [0.7, 0.5, 0.3],
    "examples": 512,
    "epochs": 3,
    "learning_rate": 3e-4,
    "small": False,
}
SMOKE = {"ratios": [0.5], "examples": 16, "epochs": 1, "small": True}
TARGETS = {"accuracy": 0.79}
PARTS = "ratios"


def run(data, settings, seed):
    """Converts and tunes the encoder at every share."""
    probe = Probe(settings["small"])
    model = encoder(settings["small"])
    original = probe.embeddings(model, "dev")
    metrics = {"accuracy": probe.scores(model)["accuracy"]}
    examples = probe.examples(settings["examples"])
    for ratio in settings["ratios"]:
        how = {"format": "low_rank", "filters": MATRICES, "ratio": ratio}
        plain, _ = tk.convert(model, **how)
        fitted, _ = tk.convert(model, calibration_data=examples, **how)
        phase = towards_teacher(settings["epochs"], settings["learning_rate"])
        tuned = tk.finetune(
            fitted, probe.by_epoch(seed), teacher=model, phases=[phase]
        )
        for way, made in (
            ("weights alone", plain),
            ("calibrated", fitted),
            ("tuned", tuned),
        ):
            for name, value in probe.scores(made, original).items():
                metrics[f"{name}, {way}, at {ratio}"] = value
    return metrics
