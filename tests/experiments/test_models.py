"""The networks have the parameters that were published."""

import math

import keras
import pytest

from experiments import models
from experiments.training import count_parameters

PUBLISHED = {
    "Garipov conv": (models.conv, 557_248),
    "Garipov TT-conv": (models.tt_conv, 172_518),
    "Garipov conv-fc": (models.conv_fc, 13_934_538),
    "Garipov TT-conv-TT-fc": (models.tt_conv_tt_fc, 334_554),
    "Garipov, ranks 20": (lambda: models.tt_conv_tt_fc(20, 20), 168_154),
    "t3f dense": (models.dense_net, 496_885),
    "t3f rank 4": (models.tt_net, 7_985),
    "t3f rank 16": (lambda: models.tt_net(16), 21_845),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_those_published(name):
    build, count = PUBLISHED[name]
    assert count_parameters(build()) == count


def test_lenet5_has_430500_weights_without_biases():
    weights = sum(
        math.prod(variable.shape)
        for variable in models.lenet5().trainable_variables
        if len(variable.shape) > 1
    )
    assert weights == 430_500


def test_published_compressions_of_garipov():
    counts = {name: count for name, (_, count) in PUBLISHED.items()}
    conv, fc = counts["Garipov conv"], counts["Garipov conv-fc"]
    assert round(conv / counts["Garipov TT-conv"], 2) == 3.23
    assert round(fc / counts["Garipov TT-conv-TT-fc"], 2) == 41.65
    assert round(fc / counts["Garipov, ranks 20"], 2) == 82.87


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_net_gives_ten_logits(name):
    model = PUBLISHED[name][0]()
    shape = (2, *model.input_shape[1:])
    logits = model(keras.random.normal(shape, seed=0))
    assert logits.shape == (2, 10)
    assert float(keras.ops.max(logits)) != float(keras.ops.min(logits))
