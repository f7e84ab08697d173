"""A language model of characters: its text, its training, its perplexity."""

import math

import keras
import numpy as np

import tensornet_keras as tk

from .datasets.text import shakespeare
from .models.language import language_model

BATCH = 64
# Share of the text, at its end, that is not trained on.
HELD_BACK = 0.1


class Corpus:
    """A text as numbers of characters.

    Args:
        length: Characters of an example.
        small: Whether a made-up one will do.
    """

    def __init__(self, length, small=False):
        text = shakespeare(small)
        characters = sorted(set(text))
        numbers = {each: number for number, each in enumerate(characters)}
        ids = np.array([numbers[each] for each in text], "int32")
        self.vocabulary, self.length = len(characters), length
        held_back = int(HELD_BACK * len(ids))
        self._train, test = ids[:-held_back], ids[-held_back:]
        starts = range(0, len(test) - length, length)
        self.test = self._pairs(test, np.array(starts))

    def drawn(self, count, seed):
        """Examples from the text that is trained on, and what follows.

        Args:
            count: How many.
            seed: Seed of their places.

        Returns:
            Two arrays `(count, length)`.
        """
        rng = np.random.default_rng(seed)
        most = len(self._train) - self.length
        return self._pairs(self._train, rng.integers(0, most, count))

    def _pairs(self, ids, starts):
        places = starts[:, None] + np.arange(self.length + 1)
        return ids[places[:, :-1]], ids[places[:, 1:]]


def trained(corpus, settings, seed):
    """A language model that has read so many examples.

    Args:
        corpus: The text.
        settings: `width`, `steps`, `batch` and `learning_rate`.
        seed: Seed of the examples.
    """
    steps = settings["steps"]
    model = language_model(corpus.vocabulary, corpus.length, settings["width"])
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps,
        warmup_target=settings["learning_rate"],
        warmup_steps=max(1, steps // 20),
    )
    model.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x, y = corpus.drawn(steps * settings["batch"], seed)
    model.fit(x, y, batch_size=settings["batch"], shuffle=False, verbose=2)
    return model


def towards_teacher(rate):
    """An epoch towards the original's logits and the text.

    Args:
        rate: Learning rate of Adam.
    """
    return tk.finetuning.EndToEnd(
        1,
        keras.optimizers.Adam(rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        distillation=keras.distillation.LogitsDistillation(
            1.0, keras.losses.KLDivergence()
        ),
        label_weight=0.5,
    )


def perplexity(model, corpus):
    """Perplexity of a character of the text that was held back.

    Args:
        model: A language model.
        corpus: The text.
    """
    x, y = corpus.test
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    lost = [
        float(loss(y[at : at + BATCH], model(x[at : at + BATCH])))
        * len(x[at : at + BATCH])
        for at in range(0, len(x), BATCH)
    ]
    return math.exp(sum(lost) / len(x))
