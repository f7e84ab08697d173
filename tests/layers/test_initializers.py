import math

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tests.laws.oracles import as_numpy

MODES = (4, 3, 5, 2), (3, 6, 2, 4)


def train_cores(rank, **arguments):
    sizes = [math.prod(side) for side in MODES]
    layer = tk.layers.TTDense(sizes[1], rank, *MODES, **arguments)
    layer.build((None, sizes[0]))
    return [as_numpy(core).astype("float64") for core in layer.cores]


@pytest.mark.parametrize("rank", [1, 3, 8, 100])
def test_cores_are_semi_orthogonal_from_what_comes_in_to_what_goes_out(rank):
    first, *middle, last = train_cores(rank)
    whole = [first[None], *middle, last[..., None]]
    for core in whole:
        left, ins, outs, right = core.shape
        matrix = core.reshape(left * ins, outs * right)
        if matrix.shape[0] < matrix.shape[1]:
            matrix = matrix.T
        gram = matrix.T @ matrix
        np.testing.assert_allclose(
            gram / gram[0, 0], np.eye(len(gram)), atol=1e-5
        )


def test_cores_of_a_train_share_the_norm_evenly():
    norms = [np.linalg.norm(core) for core in train_cores((2, 9, 5))]
    np.testing.assert_allclose(norms, norms[0], rtol=1e-6)


def test_only_the_last_core_is_zero_for_a_zero_kernel():
    *others, last = train_cores(3, kernel_initializer="zeros")
    assert not last.any()
    assert all(np.linalg.norm(core) > 0.0 for core in others)


def test_entries_have_a_mean_of_zero():
    layer = tk.layers.TTDense(1024, rank=8)
    layer.build((None, 1024))
    kernel = as_numpy(layer.kernel)
    assert abs(kernel.mean()) < 0.05 * kernel.std()
    expected = keras.initializers.GlorotUniform(0)((1024, 1024))
    assert kernel.std() == pytest.approx(as_numpy(expected).std(), rel=0.01)
