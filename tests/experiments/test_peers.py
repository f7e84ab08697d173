"""Layers of other libraries: as large as ours, and the same product."""

import importlib.util

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from experiments import peers
from experiments.peers import t3f_matmul, tednet_layers, tensorly_torch

FORMATS = (
    tk.formats.TensorTrain(3, (4, 3, 4), (3, 4, 4)),
    tk.formats.CP(3, (6, 8), (6, 8)),
    tk.formats.Tucker(3, (6, 8), (8, 6)),
    tk.formats.TensorRing(3, (6, 8), (8, 6)),
)
KERNELS = (
    tk.formats.TensorTrain(0.3, conv_order="channels_outside"),
    tk.formats.TensorTrain(4, (4, 8), (4, 8)),
    tk.formats.Tucker(0.3),
    tk.formats.CP(0.3),
)


def installed(module):
    return importlib.util.find_spec(module.PACKAGE) is not None


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("module", [tensorly_torch, tednet_layers])
def test_a_dense_layer_has_our_shape_and_size(module, format):
    torch = pytest.importorskip("torch")
    pytest.importorskip(module.PACKAGE)
    bound = format.bind((48,), (48,))
    for layer in module.dense(bound).values():
        assert layer(torch.ones(2, 48)).shape == (2, 48)
        count = sum(one.numel() for one in layer.parameters())
        assert 0.6 < count / bound.num_params < 1.6


@pytest.mark.parametrize("format", KERNELS, ids=str)
def test_a_convolution_has_our_shape_and_size(format):
    torch = pytest.importorskip("torch")
    pytest.importorskip("tltorch")
    bound = format.bind((32,), (32,), (3, 3))
    found = tensorly_torch.convolution(bound)
    if installed(tednet_layers):
        found |= tednet_layers.convolution(bound)
    for layer in found.values():
        shape = layer(torch.ones(2, 32, 5, 5)).shape
        assert sorted(shape) == [2, 5, 5, 32]
        count = sum(one.numel() for one in layer.parameters())
        assert 0.8 < count / bound.num_params < 1.2


def test_t3f_multiplies_as_our_layer_does():
    pytest.importorskip("t3f")
    layer = tk.layers.TTDense(
        20, 3, input_modes=(3, 2, 2), output_modes=(2, 5, 2), use_bias=False
    )
    layer.build((None, 12))
    theirs = t3f_matmul.dense(layer.format)["t3f"]
    for ours, core in zip(layer.cores, theirs.weights, strict=True):
        core.assign(keras.ops.reshape(ours, core.shape))
    x = np.random.default_rng(0).normal(size=(3, 12)).astype("float32")
    np.testing.assert_allclose(theirs(x), layer(x), atol=1e-5)


def test_a_format_that_no_library_has_is_compared_with_none():
    bound = tk.formats.Monarch((4, 4), (4, 4)).bind((16,), (16,))
    assert peers.dense(bound) == {}


def test_a_library_that_is_missing_is_skipped_with_a_word(monkeypatch, capsys):
    peers._there.cache_clear()
    monkeypatch.setattr(peers.util, "find_spec", lambda name: None)
    bound = FORMATS[0].bind((48,), (48,))
    assert peers.dense(bound) == {}
    assert "Not compared with t3f, which is not installed" in (
        capsys.readouterr().err
    )
    peers._there.cache_clear()


def test_a_library_of_another_backend_is_skipped_with_a_word(
    monkeypatch, capsys
):
    peers._there.cache_clear()
    monkeypatch.setattr(peers.backend, "name", lambda: "jax")
    assert not peers._there("t3f", "keras", "tensorflow")
    assert "needs the tensorflow backend" in capsys.readouterr().err
    peers._there.cache_clear()
