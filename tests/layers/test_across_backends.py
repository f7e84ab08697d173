"""A model saved under TensorFlow loads under the other backends."""

import json

import keras
import numpy as np
import pytest

from tests.laws.examples import examples_of_every_layer
from tests.laws.oracles import as_numpy, assert_close, random_array

LOAD = """
import json
import keras
import numpy as np
import tensornet_keras

outputs = []
for number, shape in enumerate(json.load(open("shapes.json"))):
    model = keras.models.load_model(f"{number}.keras")
    inputs = np.random.default_rng(0).standard_normal(shape).astype("float32")
    outputs.append(keras.ops.convert_to_numpy(model(inputs)))
np.savez("outputs.npz", *outputs)
print(keras.backend.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_saved_layers_give_the_same_outputs(fresh_process, tmp_path, backend):
    expected = []
    examples = examples_of_every_layer()
    for number, example in enumerate(examples):
        layers = [keras.Input(example.input_shape[1:]), example.unbuilt()]
        model = keras.Sequential(layers)
        model.save(tmp_path / f"{number}.keras")
        inputs = random_array(example.input_shape)
        expected.append(as_numpy(model(inputs)))
    shapes = [example.input_shape for example in examples]
    (tmp_path / "shapes.json").write_text(json.dumps(shapes))

    assert fresh_process(LOAD, KERAS_BACKEND=backend) == backend

    with np.load(tmp_path / "outputs.npz") as outputs:
        assert len(outputs) == len(expected)
        for found, output in zip(outputs.values(), expected, strict=True):
            assert_close(found, output)
