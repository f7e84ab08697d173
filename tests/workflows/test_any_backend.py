import keras
import numpy as np
import pytest

import tensornet_keras as tk


@pytest.fixture
def trained():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(4),
        ]
    )
    return fitted(model)


def fitted(model):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 8, 8, 2)).astype("float32")
    y = rng.integers(0, 4, 16)
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    return model


def images():
    rng = np.random.default_rng(1)
    return rng.standard_normal((5, 8, 8, 2)).astype("float32")


def assert_same_outputs(model, other):
    expected = model.predict(images(), verbose=0)
    outputs = other.predict(images(), verbose=0)
    np.testing.assert_allclose(
        outputs, expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


def test_a_factorized_model_trains_from_scratch():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            tk.layers.TTConv2D(8, 3, rank=4),
            keras.layers.Flatten(),
            tk.layers.TTDense(4, rank=4),
        ]
    )
    before = [np.array(weight) for weight in model.get_weights()]
    after = fitted(model).get_weights()
    for old, new in zip(before, after, strict=True):
        assert not np.array_equal(old, new)


def test_a_trained_model_converts_saves_loads_and_trains_on(trained, tmp_path):
    small, report = tk.convert(trained, tk.formats.TensorTrain(rank=2))
    assert report.params_after < report.params_before
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    assert_same_outputs(small, loaded)
    fitted(loaded)


def test_densify_undoes_a_conversion_at_full_rank(trained):
    small, _ = tk.convert(
        trained, tk.formats.TensorTrain(rank=10_000), min_compression=0
    )
    assert_same_outputs(trained, tk.densify(small))
