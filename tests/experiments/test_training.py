"""Training: what is averaged, and that averaging changes no step."""

import keras
import numpy as np

from experiments import training
from experiments.datasets.synthetic import synthetic_images


def small_net():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4)),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


def test_averaging_changes_no_step():
    x, y, *_ = synthetic_images((4, 4))
    plain, averaged = small_net(), small_net()
    recipe = {"epochs": 2, "batch_size": 64, "label": "test"}
    adam = keras.optimizers.Adam(0.1)
    keras.utils.set_random_seed(1)
    training.fit(plain, x / 255, y, optimizer=adam, **recipe)
    keras.utils.set_random_seed(1)
    last = training.fit_averaged(
        averaged, x / 255, y, learning_rate=0.1, average=0.9, **recipe
    )
    for one, other in zip(plain.get_weights(), last, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.abs(averaged.get_weights()[0] - last[0]).max() > 0.01


def test_a_cosine_ends_at_a_rate_of_zero():
    x, y, *_ = synthetic_images((4, 4), 100)
    model = small_net()
    seconds = training.fit_cosine(
        model, x, y, learning_rate=0.1, epochs=3, batch_size=64, label="test"
    )
    assert seconds > 0
    assert float(model.optimizer.iterations) == 6
    assert float(model.optimizer.learning_rate) < 1e-6


def test_accuracy_counts_right_answers():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Identity()])
    x = np.eye(3, dtype="float32")
    assert training.accuracy(model, x, np.array([0, 1, 0])) == 2 / 3


def test_moving_statistics_are_no_parameters():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.BatchNormalization()]
    )
    assert training.count_parameters(model) == 6
