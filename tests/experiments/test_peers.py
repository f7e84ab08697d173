"""Layers of other libraries: as large as ours, and the same product."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from experiments import peers
from experiments.peers import (
    t3f_matmul,
    tednet_layers,
    tensorly_torch,
    torch_calls,
)
from experiments.suites.sides import LEARNING_RATE
from tensornet_keras import backend

TRAIN = tk.formats.TensorTrain(3, (4, 3, 4), (3, 4, 4)), 48
CP = tk.formats.CP(3, (6, 8), (6, 8)), 48
TUCKER = tk.formats.Tucker(3, (6, 8), (8, 6)), 48
# Of these modes a ring of twice the rank, a core a mode, is as large.
RING = tk.formats.TensorRing(3, (8, 8), (8, 8)), 64
EXACT = 1.0, 1.0
# Where a library splits other modes, its rank is rounded.
NEAR = 0.95, 1.05
BOTH = tuple(tensorly_torch.IMPLEMENTATIONS)
DENSE = (
    (tensorly_torch, *TRAIN, BOTH, EXACT),
    (tensorly_torch, *TUCKER, BOTH, EXACT),
    (tensorly_torch, *CP, BOTH, NEAR),
    (tensorly_torch, *RING, (), EXACT),
    (tednet_layers, *TRAIN, ("tednet",), EXACT),
    (tednet_layers, *RING, ("tednet",), EXACT),
    (tednet_layers, *CP, ("tednet",), NEAR),
    (tednet_layers, *TUCKER, (), EXACT),
)
CHAIN = tk.formats.TensorTrain(0.3, conv_order="channels_outside")
WINDOW_FIRST = tk.formats.TensorTrain(4, (4, 8), (4, 8))
KERNELS = (
    (tensorly_torch, CHAIN, ("tensorly-torch",), NEAR),
    (tensorly_torch, WINDOW_FIRST, ("tensorly-torch",), NEAR),
    (tensorly_torch, tk.formats.Tucker(0.3), ("tensorly-torch",), NEAR),
    (tensorly_torch, tk.formats.CP(0.3), ("tensorly-torch",), NEAR),
    (tednet_layers, WINDOW_FIRST, ("tednet",), EXACT),
    (tednet_layers, tk.formats.Tucker(0.3), ("tednet",), EXACT),
    (tednet_layers, CHAIN, (), EXACT),
    (tednet_layers, tk.formats.CP(0.3), (), EXACT),
)


def titled(cases):
    """Cases as pytest's parameters, named by library and format."""
    return [
        pytest.param(*case, id=f"{case[0].NAME}, {case[1]}") for case in cases
    ]


def check_size(layer, bound, bounds):
    low, high = bounds
    count = sum(one.numel() for one in layer.parameters())
    assert low * bound.num_params <= count <= high * bound.num_params


@pytest.mark.parametrize(
    ("module", "format", "size", "names", "bounds"), titled(DENSE)
)
def test_a_dense_layer_has_our_shape_and_size(
    module, format, size, names, bounds
):
    torch = pytest.importorskip("torch")
    pytest.importorskip(module.PACKAGE)
    bound = format.bind((size,), (size,))
    found = module.dense(bound)
    assert tuple(found) == names
    for layer in found.values():
        assert layer(torch.ones(2, size)).shape == (2, size)
        check_size(layer, bound, bounds)


@pytest.mark.parametrize(
    ("module", "format", "names", "bounds"), titled(KERNELS)
)
def test_a_convolution_has_our_shape_and_size(module, format, names, bounds):
    torch = pytest.importorskip("torch")
    pytest.importorskip(module.PACKAGE)
    bound = format.bind((32,), (32,), (3, 3))
    found = module.convolution(bound)
    assert tuple(found) == names
    for layer in found.values():
        shape = layer(torch.ones(2, 32, 5, 5)).shape
        assert sorted(shape) == [2, 5, 5, 32]
        check_size(layer, bound, bounds)


def copied(layer, parameters, turn=(0, 1, 2, 3)):
    """Gives the parameters of another library the cores of our layer."""
    torch = pytest.importorskip("torch")
    bound = layer.format
    ranks = (1, *bound.rank, 1)
    for k, parameter in enumerate(parameters):
        modes = bound.input_modes[k], bound.output_modes[k]
        core = keras.ops.convert_to_numpy(layer.cores[k])
        core = core.reshape(ranks[k], *modes, ranks[k + 1]).transpose(turn)
        assert parameter.shape == core.shape
        parameter.data = torch.tensor(np.ascontiguousarray(core))


def test_a_train_of_tensorly_torch_multiplies_as_our_layer_does():
    pytest.importorskip("tltorch")
    layer = tk.layers.TTDense(
        20, 3, input_modes=(3, 2, 2), output_modes=(2, 5, 2), use_bias=False
    )
    layer.build((None, 12))
    x = np.random.default_rng(0).normal(size=(3, 12)).astype("float32")
    expected = keras.ops.convert_to_numpy(layer(x))
    for theirs in tensorly_torch.dense(layer.format).values():
        copied(layer, theirs.parameters(), turn=(0, 2, 1, 3))
        found = eager(theirs, x)().cpu().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_table_of_tensorly_torch_has_the_rows_of_our_layer():
    pytest.importorskip("tltorch")
    layer = tk.layers.FactorizedEmbedding(67, 12, tk.formats.TensorTrain(2))
    layer.build((None, None))
    assert layer.format.pad
    (theirs,) = peers.embedding(layer.format).values()
    check_size(theirs, layer.format, EXACT)
    copied(layer, theirs.parameters())
    ids = np.random.default_rng(0).integers(0, 67, (2, 5)).astype("int32")
    found = eager(theirs, ids)().cpu().numpy()
    expected = keras.ops.convert_to_numpy(layer(ids))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_table_of_another_format_is_compared_with_none():
    bound = tk.formats.CP(2).bind((66,), (12,))
    assert tensorly_torch.embedding(bound) == {}
    assert peers.embedding(bound) == {}


@pytest.fixture
def linear():
    """A module, its weight, an input and the output that is wanted."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(2, n)).astype("float32") for n in (3, 4))
    module = torch.nn.Linear(3, 4, bias=False)
    return module, module.weight.detach().numpy().copy(), x, y


def eager(module, x):
    return torch_calls.forward_calls(module, x, compiler=False)["eager"]


@pytest.mark.parametrize("compiler", [False, True])
def test_a_call_of_a_module_gives_its_output(linear, compiler):
    module, weight, x, _ = linear
    calls = torch_calls.forward_calls(module, x, compiler)
    for call in calls.values():
        for _ in range(2):
            outputs = call()
            assert not outputs.requires_grad
            np.testing.assert_allclose(
                outputs.cpu().numpy(), x @ weight.T, rtol=1e-5, atol=1e-6
            )


def test_a_compiler_that_fails_is_left_out_with_a_word(
    linear, monkeypatch, capsys
):
    module, _, x, y = linear

    def failing(*arguments):
        raise RuntimeError("No compiler is there.")

    monkeypatch.setattr(torch_calls, "_compiled", lambda *_: failing)
    assert list(torch_calls.forward_calls(module, x)) == ["eager"]
    assert list(torch_calls.step_calls(module, x, y)) == ["eager"]
    assert "Not compiled by PyTorch: RuntimeError" in capsys.readouterr().err


def test_a_step_of_a_module_has_every_gradient_and_an_update(linear):
    module, weight, x, y = linear
    calls = torch_calls.step_calls(module, x, y, compiler=False)
    slope = calls["eager"]().cpu().numpy()
    wrong = 2 / y.size * (x @ weight.T - y)
    np.testing.assert_allclose(slope, wrong @ weight, rtol=1e-4, atol=1e-6)
    # Adam's first step is as long as its learning rate, against the slope.
    moved = module.weight.detach().cpu().numpy() - weight
    np.testing.assert_allclose(
        moved, -LEARNING_RATE * np.sign(wrong.T @ x), rtol=1e-2
    )


def test_t3f_multiplies_as_our_layer_does():
    pytest.importorskip("t3f")
    if backend.name() != "tensorflow":
        pytest.skip("t3f multiplies tensors of TensorFlow")
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
    bound = TRAIN[0].bind((48,), (48,))
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
