"""A model saved under TensorFlow loads under the other backends."""

import keras
import numpy as np
import pytest

from tests.laws.examples import a_selection_of_layers
from tests.laws.oracles import as_numpy, assert_close

LOAD = """
import keras
import numpy as np
import tensornet_keras

outputs = []
for number, inputs in enumerate(np.load("inputs.npz").values()):
    model = keras.models.load_model(f"{number}.keras")
    outputs.append(keras.ops.convert_to_numpy(model(inputs)))
np.savez("outputs.npz", *outputs)
print(keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_saved_layers_give_the_same_outputs(fresh_process, tmp_path, backend):
    expected = []
    examples = a_selection_of_layers()
    for number, example in enumerate(examples):
        shape = example.input_shape[1:]
        model = keras.Sequential([example.symbolic(*shape), example.unbuilt()])
        model.save(tmp_path / f"{number}.keras")
        expected.append(as_numpy(model(example.inputs())))
    inputs = [example.inputs() for example in examples]
    np.savez(tmp_path / "inputs.npz", *inputs)

    assert fresh_process(LOAD, KERAS_BACKEND=backend) == backend

    with np.load(tmp_path / "outputs.npz") as outputs:
        assert len(outputs) == len(expected)
        for found, output in zip(outputs.values(), expected, strict=True):
            assert_close(found, output)
