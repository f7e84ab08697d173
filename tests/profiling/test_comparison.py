"""Models side by side."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.small_models import mlp, numbers


def test_sizes_times_and_scores_of_every_model():
    model = mlp()
    small, _ = tk.convert(model, tk.formats.LowRank(rank=1))
    seen = []

    def evaluate(each):
        seen.append(each)
        return {"count": each.count_params()}

    found = tk.compare({"a": model, "b": small}, 3, evaluate=evaluate, rounds=2)
    assert seen == [model, small]
    first, second = found.versions
    assert (first.params, second.params) == (
        model.count_params(),
        small.count_params(),
    )
    assert first.bytes == 4 * first.params
    assert first.seconds > 0
    assert second.scores == {"count": small.count_params()}
    assert "count" in str(found)
    assert found.to_dict()["versions"][1]["name"] == "b"


def test_a_bare_score_and_open_sizes():
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    found = tk.compare(
        {"m": model}, evaluate=lambda _: 0.5, sample=numbers(2, 5, 4), rounds=1
    )
    assert found.versions[0].scores == {"score": 0.5}
    assert found.batch_size == 2
    with pytest.raises(ValueError, match="Pass sample="):
        tk.compare({"m": model})


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="at least one model"):
        tk.compare({})
    with pytest.raises(TypeError, match="must be a Keras model"):
        tk.compare({"x": np.ones(3)})
