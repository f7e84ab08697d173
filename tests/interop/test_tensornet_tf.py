"""The layer of TensorNet-TF, told again in NumPy, as an oracle."""

import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.formats import TensorTrain
from tests.decomposition.oracles import decaying_weight

EXAMPLES = [
    TensorTrain(3, (4, 3, 5), (2, 4, 3)),
    TensorTrain(2, (2, 2, 3, 5), (3, 2, 2, 2)),
    TensorTrain(5, (12, 5), (6, 4)),
    TensorTrain(1, (60,), (24,)),
]


def tensornet_forward(x, cores, input_modes, output_modes, ranks):
    """The loop of TensorNet-TF's `tt` layer (tensornet/layers/tt.py).

    Its cores are matrices with rows `(j, r')` and columns `(r, i)`; the
    batch runs last until the final transposition.
    """
    batch = len(x)
    rest = x.T
    for k, (i, j) in enumerate(zip(input_modes, output_modes, strict=True)):
        rest = cores[k] @ rest.reshape(ranks[k] * i, -1)
        rest = rest.reshape(j, -1).T
    return rest.reshape(batch, -1)


def as_tensornet_cores(format, cores):
    ranks = (1, *format.rank, 1)
    modes = zip(format.input_modes, format.output_modes, strict=True)
    return ranks, [
        cores[k]
        .reshape(ranks[k], i, j, ranks[k + 1])
        .transpose(2, 3, 0, 1)
        .reshape(j * ranks[k + 1], ranks[k] * i)
        for k, (i, j) in enumerate(modes)
    ]


@pytest.mark.parametrize("format", EXAMPLES, ids=str)
def test_outputs_are_those_of_tensornet(format):
    result = tk.decompose(decaying_weight((60, 24), dtype="float32"), format)
    x = np.random.default_rng(0).standard_normal((7, 60)).astype("float32")
    ranks, cores = as_tensornet_cores(result.format, result.cores)
    expected = tensornet_forward(
        x, cores, format.input_modes, format.output_modes, ranks
    )
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(x @ result.to_dense(), expected, atol=tolerance)

    layer = tk.layers.FactorizedDense(24, result.format, use_bias=False)
    layer.build((None, 60))
    layer.set_weights(result.cores)
    np.testing.assert_allclose(np.asarray(layer(x)), expected, atol=tolerance)
