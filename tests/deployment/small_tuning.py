"""Small models to tune, and times that tests know beforehand."""

import sys

import keras

import tensornet_keras as tk

FORMAT = tk.formats.TensorTrain(2, (4, 4), (4, 4))
# The verb has the name of its module.
tuning = sys.modules["tensornet_keras.deployment.autotune"]


def dense(**kwargs):
    return tk.layers.FactorizedDense(16, FORMAT, **kwargs)


def model_of(*layers, shape=(16,)):
    return keras.Sequential([keras.Input(shape), *layers])


def known_times(monkeypatch):
    """Times that are numbers of a list: the last plan timed is the best.

    Args:
        monkeypatch: The fixture.

    Returns:
        What has been timed, a list that grows.
    """
    timed = []

    def measure(plans, dtype, convolution=None, xla=False):
        timed.append((plans, dtype, convolution, xla))
        return [1.0 / (1 + n) for n in range(len(plans))]

    monkeypatch.setattr(tuning, "measure", measure)
    return timed
