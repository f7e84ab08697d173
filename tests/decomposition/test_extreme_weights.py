"""Weights of zeros, of extreme size and shared memory, in every format."""

import numpy as np
import pytest

import tensornet_keras as tk

F = tk.formats
ZEROS = [
    (F.CP(8), (3, 3, 32, 64)),
    (F.CP(4, pair_modes=False), (30, 40)),
    (F.Kronecker(3, (4, 4, 4), (4, 4, 8)), (64, 128)),
    (F.TensorTrain(3), (64, 64)),
    (F.TensorRing(2), (64, 64)),
    (F.Tucker(2), (64, 64)),
    (F.LowRank(3), (64, 64)),
    (F.BlockTensorTrain(2), (64, 64)),
]


@pytest.mark.parametrize(("format", "shape"), ZEROS, ids=str)
def test_of_a_weight_of_zeros_one_core_is_zero(format, shape):
    result = tk.decompose(np.zeros(shape, "float32"), format)
    zero = [not core.any() for core in result.cores]
    assert sum(zero) == 1
    assert not result.to_dense().any()
    assert result.relative_error == 0.0


@pytest.mark.parametrize("format", [F.TensorTrain(50), F.TensorTrain(2)])
@pytest.mark.parametrize("scale", [1e25, 1e-25])
def test_the_scale_of_a_float32_weight_does_not_matter(format, scale):
    weight = np.random.default_rng(0).standard_normal((16, 16))
    plain = tk.decompose(weight.astype("float32"), format)
    result = tk.decompose((weight * scale).astype("float32"), format)
    assert np.isfinite(result.relative_error)
    assert result.relative_error == pytest.approx(
        plain.relative_error, abs=1e-5
    )


@pytest.mark.parametrize("shape", [(7, 1), (12, 18), (2, 1, 2, 4, 9)])
def test_cores_share_no_memory_with_the_weight(shape):
    weight = np.zeros(shape)
    for format in (F.TensorTrain(3), F.TensorTrain(1000)):
        result = tk.decompose(weight, format)
        assert not any(np.shares_memory(weight, c) for c in result.cores)
