"""A small network with examples for it, and what a conversion misses."""

import keras
import numpy as np
from keras import layers

from tests.laws.oracles import as_numpy
from tests.small_models import numbers, randomized


def examples(*shape, share=0.05, seed=0):
    """Inputs of few strong directions."""
    features = shape[-1]
    turn = np.linalg.qr(numbers(features, features, seed=7))[0]
    spread = np.geomspace(1, share, features)
    return (numbers(*shape, seed=seed) * spread @ turn).astype("float32")


def deep(activation="relu", **kwargs):
    """Three dense layers, and inputs for them."""
    model = keras.Sequential(
        [
            keras.Input((24,)),
            layers.Dense(32, activation, name="first", **kwargs),
            layers.Dense(32, activation, name="second", **kwargs),
            layers.Dense(8, name="head", **kwargs),
        ]
    )
    return randomized(model), examples(256, 24)


def missed(model, small, x):
    wanted, found = (as_numpy(each(x)) for each in (model, small))
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
