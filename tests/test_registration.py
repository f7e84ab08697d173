import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras import registration

X = np.ones((3, 8), "float32")
LOAD = """
import numpy as np
model = keras.models.load_model("model.keras")
outputs = model(np.ones((3, 8), "float32"))
np.save("outputs.npy", keras.ops.convert_to_numpy(outputs))
print(type(model.layers[-1]).__name__)
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import keras\nimport tensornet_keras",
        "import tensornet_keras\nimport keras",
        "from tensornet_keras import backend\nimport keras",
    ],
    ids=lambda imports: imports.replace("\n", ", "),
)
def test_a_saved_layer_loads_whatever_was_imported_first(
    fresh_process, tmp_path, imports
):
    layer = tk.layers.TTDense(6, rank=2)
    model = keras.Sequential([keras.Input((8,)), layer])
    model.save(tmp_path / "model.keras")
    assert fresh_process(imports + LOAD, KERAS_BACKEND="jax") == "TTDense"
    outputs = np.load(tmp_path / "outputs.npy")
    np.testing.assert_allclose(outputs, model(X), rtol=1e-5)


def test_every_layer_of_the_package_is_registered_by_name():
    layers = {
        name: getattr(tk.layers, name)
        for name in tk.layers.__all__
        if name != "FactorizedLayer"  # the abstract class of the others
    }
    names = (*registration.LAYERS, *registration.OTHER_LAYERS)
    assert sorted(layers) == sorted(names)
    for name, layer in layers.items():
        registered = keras.saving.get_registered_name(layer)
        assert registered == f"tensornet_keras>{name}"


def test_asking_whether_keras_is_there_changes_nothing(fresh_process):
    printed = fresh_process(
        """
        import importlib.util
        import tensornet_keras

        assert importlib.util.find_spec("keras") is not None
        import keras
        print("tensornet_keras>TTDense" in keras.saving.get_custom_objects())
        """,
        KERAS_BACKEND="jax",
    )
    assert printed == "True"


def test_a_keras_that_cannot_be_imported_raises_its_own_error(fresh_process):
    printed = fresh_process(
        """
        import os
        import tensornet_keras

        os.environ["KERAS_BACKEND"] = "abacus"
        try:
            import keras
        except ValueError as error:
            print(error)
        """
    )
    assert "abacus" in printed
