"""What embeddings of sentences are worth: a probe, and cosines."""

import keras
import numpy as np

import tensornet_keras as tk

from .datasets.text import SentenceBatches, sentiments, word_pieces
from .datasets.weights import arrays_of
from .models.minilm import fill_minilm, minilm
from .probes import ridge

# What the encoder and its probe read of the data folder.
READ = (
    "weights/minilm_l6_f16.npz",
    "weights/minilm_vocab.txt",
    "text/sst2_train.tsv",
    "text/sst2_dev.tsv",
)
PROBED = 2500
LONGEST = 64
BATCH = 32
# The four projections of each attention and the dense layers behind it.
MATRICES = r"layer\d\.(attention/|inner|outer)"


def encoder(smoke=False):
    """The pretrained encoder, or in a smoke run one of a single layer.

    Args:
        smoke: Whether a small one without trained weights will do.
    """
    if smoke:
        return minilm(depth=1)
    model = minilm()
    fill_minilm(model, arrays_of("minilm_l6_f16"))
    return model


def of_length(tokens, model):
    """An encoder of sentences of one length, which exporters want.

    Args:
        tokens: Tokens of a sentence.
        model: The encoder.
    """
    inputs = {
        "ids": keras.Input((tokens,), dtype="int32", name="ids"),
        "mask": keras.Input((tokens,), name="mask"),
    }
    return keras.Model(inputs, model(inputs))


def sentence(tokens):
    """One sentence of so many tokens, whatever they mean.

    Args:
        tokens: How many.
    """
    ids = np.arange(1000, 1000 + tokens, dtype="int32")[None]
    return {"ids": ids, "mask": np.ones((1, tokens), "float32")}


def towards_teacher(epochs, rate):
    """A phase towards the embeddings of the original.

    Args:
        epochs: Passes over the sentences.
        rate: Learning rate of Adam.
    """
    return tk.finetuning.EndToEnd(
        epochs,
        keras.optimizers.Adam(rate),
        distillation=keras.distillation.LogitsDistillation(1.0, "mse"),
    )


class Probe:
    """Sentences with sentiments, on which encoders are compared.

    A ridge regression on the embeddings of some training sentences predicts
    the sentiments of the others.

    Args:
        smoke: Whether a few sentences will do.
    """

    def __init__(self, smoke=False):
        self._pieces = word_pieces(smoke)
        self._parts = {}
        for part in ("train", "dev"):
            texts, labels = sentiments(part, smoke)
            count = 32 if smoke else PROBED if part == "train" else None
            self._parts[part] = (
                self._batches(texts[:count]),
                2.0 * labels[:count] - 1.0,
            )
        texts, _ = sentiments("train", smoke)
        self._texts = texts[: 32 if smoke else None]

    def _batches(self, texts, seed=None):
        return SentenceBatches(self._pieces, texts, LONGEST, BATCH, seed)

    def examples(self, count):
        """Batches of the first training sentences.

        Args:
            count: How many sentences.
        """
        return self._batches(self._texts[:count])

    def by_epoch(self, seed):
        """A function from the number of an epoch to all training sentences.

        Args:
            seed: Seed of their order.
        """
        return lambda epoch: self._batches(self._texts, (seed, epoch))

    def embeddings(self, model, part):
        """Embeddings of norm 1, `(sentences, width)`.

        Args:
            model: An encoder.
            part: `"train"` or `"dev"`.
        """
        batches, _ = self._parts[part]
        found = model.predict(batches, verbose=0)
        in_order = np.empty_like(found)
        in_order[np.concatenate(batches.chosen)] = found
        return in_order / np.linalg.norm(in_order, axis=1, keepdims=True)

    def scores(self, model, original=None):
        """Accuracy of the probe, and the mean cosine to the original's.

        Args:
            model: An encoder.
            original: Embeddings of the dev sentences by the original.
        """
        train, dev = (self.embeddings(model, x) for x in ("train", "dev"))
        guess = ridge(train, self._parts["train"][1], dev)
        right = (guess > 0) == (self._parts["dev"][1] > 0)
        found = {"accuracy": np.mean(right)}
        if original is not None:
            found["cosine"] = np.mean((dev * original).sum(1))
        return {name: float(value) for name, value in found.items()}
