"""What embeddings of sentences are worth: a probe, and cosines."""

import numpy as np

from .datasets.text import sentiments, word_pieces
from .datasets.weights import arrays_of
from .models.minilm import fill_minilm, minilm

# Weight of the ridge, for embeddings of norm 1.
RIDGE = 1.0
PROBED = 2500
BATCH = 32


def encoder(length, smoke=False):
    """The pretrained encoder, or in a smoke run one of a single layer.

    Args:
        length: Tokens of a sentence.
        smoke: Whether a small one without trained weights will do.
    """
    if smoke:
        return minilm(length, depth=1)
    model = minilm(length)
    fill_minilm(model, arrays_of("minilm_l6_f16"))
    return model


class Probe:
    """Sentences with sentiments, on which encoders are compared.

    A ridge regression on the embeddings of some training sentences predicts
    the sentiments of the others.

    Args:
        length: Tokens of a sentence.
        smoke: Whether a few sentences will do.
    """

    def __init__(self, length, smoke=False):
        pieces = word_pieces(smoke)
        self._parts = {}
        for part in ("train", "dev"):
            texts, labels = sentiments(part, smoke)
            count = 32 if smoke else PROBED if part == "train" else None
            self._parts[part] = (
                pieces.batch(texts[:count], length),
                2.0 * labels[:count] - 1.0,
            )
        texts, _ = sentiments("train", smoke)
        self.unlabelled = pieces.batch(texts[: 32 if smoke else None], length)

    def embeddings(self, model, part):
        """Embeddings of norm 1, `(sentences, width)`.

        Args:
            model: An encoder.
            part: `"train"` or `"dev"`.
        """
        inputs, _ = self._parts[part]
        found = model.predict(inputs, batch_size=BATCH, verbose=0)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def scores(self, model, original=None):
        """Accuracy of the probe, and the mean cosine to the original's.

        Args:
            model: An encoder.
            original: Embeddings of the dev sentences by the original.
        """
        train, dev = (self.embeddings(model, x) for x in ("train", "dev"))
        mean = train.mean(0)
        x, y = train - mean, self._parts["train"][1]
        gram = x.T @ x + RIDGE * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ (y - y.mean()))
        guess = (dev - mean) @ weights + y.mean()
        right = (guess > 0) == (self._parts["dev"][1] > 0)
        found = {"accuracy": np.mean(right)}
        if original is not None:
            found["cosine"] = np.mean((dev * original).sum(1))
        return {name: float(value) for name, value in found.items()}
