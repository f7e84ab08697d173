import sys
import warnings

import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.formats import TensorTrain
from tests.decomposition.oracles import decaying_weight, relative_error

# t3f is not maintained: what it and TensorFlow warn of while importing is
# nothing that users of ours can act on.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    t3f = pytest.importorskip("t3f")
tensorflow = pytest.importorskip("tensorflow")

MODES = ((4, 3, 5), (2, 4, 3))
FORMAT = TensorTrain(4, *MODES)


def weight(dtype="float32"):
    return decaying_weight((60, 24), dtype=dtype)


def test_cores_go_to_t3f_unchanged():
    result = tk.decompose(weight(), FORMAT)
    there = tk.interop.to_t3f(result)
    assert there.is_tt_matrix()
    assert there.get_tt_ranks().as_list() == [1, 4, 4, 1]
    for ours, theirs in zip(result.cores, there.tt_cores, strict=True):
        np.testing.assert_array_equal(theirs.numpy().reshape(ours.shape), ours)
    np.testing.assert_allclose(
        t3f.full(there).numpy(), result.to_dense(), atol=1e-6
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cores_come_back_from_t3f_unchanged(dtype):
    result = tk.decompose(weight(dtype), FORMAT)
    format, cores = tk.interop.from_t3f(tk.interop.to_t3f(result))
    assert format == result.format
    for ours, back in zip(result.cores, cores, strict=True):
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, ours)


def test_an_imported_train_gives_the_outputs_of_t3f():
    there = t3f.to_tt_matrix(weight(), MODES, max_tt_rank=4)
    format, cores = tk.interop.from_t3f(there)
    for ours, theirs in zip(cores, there.tt_cores, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy().reshape(ours.shape))

    layer = tk.layers.FactorizedDense(24, format, use_bias=False)
    layer.build((None, 60))
    layer.set_weights(cores)
    x = np.random.default_rng(0).standard_normal((7, 60)).astype("float32")
    expected = t3f.matmul(tensorflow.constant(x), there).numpy()
    np.testing.assert_allclose(
        np.asarray(layer(x)), expected, atol=1e-5 * np.abs(expected).max()
    )


def test_a_built_layer_goes_to_t3f():
    layer = tk.layers.TTDense(24, 4, *MODES)
    layer.build((None, 60))
    there = tk.interop.to_t3f(layer.format, layer.cores)
    np.testing.assert_allclose(
        t3f.full(there).numpy(), np.asarray(layer.kernel), atol=1e-6
    )


def test_a_single_core_and_a_padded_train_go_and_come():
    single = tk.decompose(weight(), TensorTrain(1, (60,), (24,)))
    format, cores = tk.interop.from_t3f(tk.interop.to_t3f(single))
    assert (format, cores[0].shape) == (single.format, (60, 24))

    padded = tk.decompose(weight(), TensorTrain(3, (4, 16), (5, 5), pad=True))
    full = t3f.full(tk.interop.to_t3f(padded)).numpy()
    assert full.shape == (64, 25)
    np.testing.assert_allclose(full[:60, :24], padded.to_dense(), atol=1e-6)


@pytest.mark.parametrize("rank", [2, 4])
@pytest.mark.parametrize("shape", [MODES, ((4, 3, 5, 1), (2, 4, 1, 3))])
def test_tt_svd_is_that_of_t3f(rank, shape):
    ours = tk.decompose(weight(), TensorTrain(rank, *shape))
    theirs = t3f.full(
        t3f.to_tt_matrix(weight(), shape, max_tt_rank=rank)
    ).numpy()
    assert ours.relative_error == pytest.approx(
        relative_error(theirs, weight()), rel=0.01
    )
    np.testing.assert_allclose(
        ours.to_dense(), theirs, atol=1e-4 * np.abs(theirs).max()
    )


def test_rounding_misses_as_much_as_t3f():
    fine = tk.decompose(weight(), FORMAT)
    ours = tk.decomposition.round_train(fine, rank=2)
    theirs = t3f.round(tk.interop.to_t3f(fine), max_tt_rank=2)
    # t3f truncates from right to left: close, but not the same train.
    missed = relative_error(t3f.full(theirs).numpy(), fine.to_dense())
    assert ours.relative_error == pytest.approx(missed, rel=0.01)


def test_what_t3f_cannot_hold_is_refused():
    kernel = decaying_weight((3, 3, 16, 16))
    convolution = tk.decompose(kernel, TensorTrain(rank=2))
    with pytest.raises(ValueError, match=r"no convolution.*window=\(3, 3\)"):
        tk.interop.to_t3f(convolution)
    result = tk.decompose(weight(), FORMAT)
    with pytest.raises(TypeError, match="holds no numbers"):
        tk.interop.to_t3f(result.format)
    with pytest.raises(TypeError, match="Cores go with a TensorTrain"):
        tk.interop.to_t3f(result, result.cores)
    with pytest.raises(ValueError, match="shapes of their format"):
        tk.interop.to_t3f(result.format, result.cores[:-1])
    with pytest.raises(TypeError, match="Only tensor trains"):
        tk.interop.to_t3f(weight())


def test_what_is_no_tt_matrix_is_refused():
    with pytest.raises(TypeError, match=r"t3f.TensorTrain.*ndarray"):
        tk.interop.from_t3f(weight())
    tensor = t3f.to_tt_tensor(np.ones((2, 3, 2), "float32"), max_tt_rank=2)
    with pytest.raises(ValueError, match="TT-tensor of shape"):
        tk.interop.from_t3f(tensor)


def test_without_t3f_the_install_line_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "t3f", None)
    result = tk.decompose(weight(), FORMAT)
    with pytest.raises(ImportError, match=r"tensornet_keras\[t3f\]"):
        tk.interop.to_t3f(result)
