"""What logits for pictures are worth: a probe, agreement and cosines."""

import keras
import numpy as np

from .datasets.weights import fill
from .models.efficientnet import BLOCKS, efficientnet_lite0, scaled
from .probes import ridge

BATCH = 32


def hold_statistics(model):
    """Freezes batch normalizations, whose statistics follow slowly.

    Args:
        model: A network that is to be trained for a few steps.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


class Probe:
    """Pictures with labels, on which networks are compared with one.

    Args:
        data: A data set of small pictures.
        settings: `size` of the enlarged pictures; how many are `probed` and
            `tested`, `examples` to fit on and `tuned` on; `fill`, whether a
            short network of random weights will do.
    """

    def __init__(self, data, settings):
        size = settings["size"]
        if settings["fill"]:
            self.model = efficientnet_lite0(size, BLOCKS[:2])
        else:
            self.model = efficientnet_lite0(size)
            fill(self.model, "efficientnet_lite0_imagenet")
        probed, tested = settings["probed"], settings["tested"]
        self._train = scaled(data.x_train[:probed], size)
        self._test = scaled(data.x_test[:tested], size)
        self._labels = data.y_train[:probed], data.y_test[:tested]
        self.unlabelled = scaled(data.x_train[-settings["tuned"] :], size)
        self.examples = self._train[: settings["examples"]]
        self._original = self._logits(self.model, self._test)

    def _logits(self, model, pictures):
        return model.predict(pictures, batch_size=BATCH, verbose=0)

    def scores(self, model):
        """How near a network is to the original, and how good a probe's is.

        Args:
            model: The network.
        """
        train, test = (
            self._logits(model, x) for x in (self._train, self._test)
        )
        own, theirs = (
            x / np.linalg.norm(x, axis=1, keepdims=True)
            for x in (test, self._original)
        )
        same = test.argmax(1) == self._original.argmax(1)
        classes = np.eye(self._labels[0].max() + 1)
        guess = ridge(train, classes[self._labels[0]], test).argmax(1)
        return {
            "accuracy": float(np.mean(guess == self._labels[1])),
            "agreement": float(np.mean(same)),
            "cosine": float(np.mean((own * theirs).sum(1))),
        }
