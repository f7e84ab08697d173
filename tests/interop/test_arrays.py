import numpy as np
import pytest

import tensornet_keras as tk
from tests.laws.format_examples import FORMATS
from tests.laws.oracles import as_numpy, random_array

EXAMPLES = [examples[0] for examples in FORMATS.values()]


@pytest.mark.parametrize("format", EXAMPLES, ids=str)
def test_cores_go_out_and_come_in_unchanged(format):
    cores = [random_array(shape) for shape in format.core_shapes]
    result = tk.interop.from_numpy(format, cores)
    for out in (
        tk.interop.to_numpy(result),
        tk.interop.to_numpy(format, cores),
    ):
        assert out[0] == format
        for given, core in zip(cores, out[1], strict=True):
            np.testing.assert_array_equal(core, given)
            assert not np.shares_memory(core, given)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_layer_takes_over_the_cores_of_another(scaled):
    first, second = (
        tk.layers.TTDense(16, rank=2, scale_learning_rates=each)
        for each in (scaled, False)
    )
    first.build((None, 16))
    second.build((None, 16))
    _, cores = tk.interop.to_numpy(first)
    second.set_cores(cores)
    np.testing.assert_allclose(
        as_numpy(first.kernel), as_numpy(second.kernel), rtol=1e-5, atol=1e-7
    )


def test_what_has_no_cores_is_refused():
    with pytest.raises(TypeError, match="Cores are those of a layer"):
        tk.interop.to_numpy(tk.formats.TensorTrain(2))
    with pytest.raises(ValueError, match="once it is built"):
        tk.interop.to_numpy(tk.layers.TTDense(4))
    with pytest.raises(ValueError, match="shapes of their format"):
        tk.interop.from_numpy(EXAMPLES[0], [np.ones(3)])
