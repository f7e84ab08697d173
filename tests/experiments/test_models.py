"""The networks have the parameters that were published."""

import math

import keras
import numpy as np
import pytest

from experiments import models
from experiments.datasets import weights
from experiments.models.efficientnet import efficientnet_lite0
from experiments.training import count_parameters

PUBLISHED = {
    "EfficientNet-Lite0": (efficientnet_lite0, 4_652_008),
    "Garipov conv": (models.conv, 557_248),
    "Garipov TT-conv": (models.tt_conv, 172_518),
    "Garipov conv-fc": (models.conv_fc, 13_934_538),
    "Garipov TT-conv-TT-fc": (models.tt_conv_tt_fc, 334_554),
    "Garipov, ranks 20": (lambda: models.tt_conv_tt_fc(20, 20), 168_154),
    "ResNet-20": (models.resnet_cifar, 269_722),
    "ResNet-56": (lambda: models.resnet_cifar(56), 853_018),
    "t3f dense": (models.dense_net, 496_885),
    "t3f rank 4": (models.tt_net, 7_985),
    "t3f rank 16": (lambda: models.tt_net(16), 21_845),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_are_those_published(name):
    build, count = PUBLISHED[name]
    assert count_parameters(build()) == count


def test_a_resnet_of_another_depth_is_refused():
    with pytest.raises(ValueError, match=r"6 n \+ 2. Received: depth=18"):
        models.resnet_cifar(18)


def as_torch(model, seed=0):
    """Arrays under the names and in the layout of PyTorch."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for layer in model.layers:
        for kind, weight in zip(
            weights.KINDS.get(len(layer.weights), ()),
            layer.weights,
            strict=True,
        ):
            array = generator.random(weight.shape).astype("float32")
            axes = (3, 2, 0, 1) if array.ndim == 4 else None
            arrays[f"{layer.name}.{kind}"] = array.transpose(axes)
    return arrays


def test_pretrained_weights_are_those_of_the_layers(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    model = models.resnet_cifar(8)
    assert weights.fill(model, "net", smoke=True) == "random weights"
    with pytest.raises(FileNotFoundError, match="net.npz"):
        weights.fill(model, "net")
    arrays = as_torch(model)
    (tmp_path / "weights").mkdir()
    path = tmp_path / "weights" / "net.npz"
    np.savez(path, **arrays)
    assert "data folder" in weights.fill(model, "net")
    kernel = keras.ops.convert_to_numpy(model.get_layer("conv1").kernel)
    expected = arrays["conv1.weight"]
    np.testing.assert_array_equal(kernel[0, 1, 2, 3], expected[3, 2, 0, 1])
    head = keras.ops.convert_to_numpy(model.get_layer("linear").kernel)
    np.testing.assert_array_equal(head, arrays["linear.weight"].T)
    np.savez(path, **arrays, **{"other.weight": np.ones(3)})
    with pytest.raises(ValueError, match="must belong to a layer. .*other"):
        weights.fill(model, "net")


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
def test_every_net_gives_a_logit_for_each_class(name):
    model = PUBLISHED[name][0]()
    shape = (2, *model.input_shape[1:])
    logits = model(keras.random.normal(shape, seed=0))
    assert logits.shape == (2, 1000 if name.startswith("Efficient") else 10)
    assert float(keras.ops.max(logits)) != float(keras.ops.min(logits))
