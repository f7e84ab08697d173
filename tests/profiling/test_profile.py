import json

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk


def rows_by_kind(profile):
    return {row.kind: row for row in profile.rows}


def test_a_sequential_model_has_a_row_per_layer():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(3, name="dense"),
        ],
        name="net",
    )
    found = tk.profile(model, batch_size=2)
    assert [row.kind for row in found.rows] == ["Conv2D", "Flatten", "Dense"]
    conv, _, dense = found.rows
    assert conv.path == "net/conv"
    assert conv.output_shape == (2, 6, 6, 4)
    assert (conv.params, conv.bytes) == (40, 160)
    assert conv.multiply_adds == 2 * 36 * 9 * 4
    assert dense.multiply_adds == 2 * 144 * 3
    assert found.params == model.count_params()
    assert found.bytes == 4 * found.params
    assert found.multiply_adds == conv.multiply_adds + dense.multiply_adds
    assert found.uncounted == ()
    assert all(row.seconds > 0 for row in found.rows)
    assert found.layer_seconds == sum(row.seconds for row in found.rows)
    assert found.model_seconds > 0
    assert found.batch_size == 2


def test_a_shared_layer_counts_its_calls_and_its_weights_once():
    shared = layers.Dense(4)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, shared(shared(inputs)))
    (row,) = tk.profile(model).rows
    assert row.calls == 2
    assert row.multiply_adds == 2 * 16
    assert row.params == 20


def test_a_weight_that_two_layers_share_is_counted_once():
    class Tied(layers.Layer):
        def __init__(self, other):
            super().__init__()
            self.kernel = other.kernel

        def call(self, inputs):
            return inputs @ keras.ops.transpose(self.kernel)

    dense = layers.Dense(3, use_bias=False)
    inputs = keras.Input((4,))
    hidden = dense(inputs)
    found = tk.profile(keras.Model(inputs, Tied(dense)(hidden)))
    assert found.params == 12
    assert found.uncounted == (found.rows[1].path,)


def test_nested_models_are_entered():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), layers.ReLU()]
    )
    inputs = keras.Input((4,))
    found = tk.profile(keras.Model(inputs, [inner(inputs), inner(inputs)]))
    assert [(row.kind, row.calls) for row in found.rows] == [
        ("Dense", 2),
        ("ReLU", 2),
    ]


def test_a_subclassed_model_is_profiled_with_the_weights_of_its_own():
    class Scaled(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(3)
            self.idle = layers.Dense(2)
            self.scale = self.add_weight(shape=(3,), initializer="ones")
            self.idle.build((None, 5))

        def call(self, inputs):
            return self.scale * self.inner(inputs)

    model = Scaled()
    model(np.ones((2, 4), "float32"))
    found = tk.profile(model, batch_size=2)
    calls = {(row.kind, row.params): row.calls for row in found.rows}
    assert calls == {("Scaled", 3): 1, ("Dense", 15): 1, ("Dense", 12): 0}
    assert found.params == model.count_params()
    assert found.uncounted == (model.path,)
    assert "24+" in str(found)


def test_attention_is_split_into_its_layers_and_the_rest_left_open():
    inputs = keras.Input((6, 4))
    attention = layers.MultiHeadAttention(2, 3)
    found = tk.profile(keras.Model(inputs, attention(inputs, inputs)))
    assert [row.kind for row in found.rows if row.multiply_adds] == [
        "EinsumDense"
    ] * 4
    assert found.uncounted == (attention.path,)
    assert found.params == attention.count_params()


def test_recurrent_layers_and_wrappers_are_taken_as_a_whole():
    model = keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.TimeDistributed(layers.Dense(4)),
            layers.Bidirectional(layers.LSTM(2)),
        ]
    )
    found = tk.profile(model)
    kinds = [row.kind for row in found.rows]
    assert kinds == ["TimeDistributed", "LSTM", "LSTM"]
    assert found.params == model.count_params()
    assert all(row.multiply_adds and row.seconds for row in found.rows)


def test_a_layer_inside_a_traced_loop_is_not_timed():
    class Mapped(layers.Layer):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(3)

        def build(self, input_shape):
            self.inner.build(input_shape[1:])

        def call(self, inputs):
            return keras.ops.vectorized_map(self.inner, inputs)

    inputs = keras.Input((4, 2), batch_size=2)
    model = keras.Model(inputs, Mapped()(inputs))
    dense = rows_by_kind(tk.profile(model, batch_size=2))["Dense"]
    assert dense.seconds is None
    assert dense.params == 9


def test_several_inputs_and_outputs_and_masks():
    ids = keras.Input((5,), dtype="int32", name="ids")
    extra = keras.Input((3,), name="extra")
    hidden = layers.Embedding(10, 4, mask_zero=True)(ids)
    hidden, state = layers.SimpleRNN(3, return_state=True)(hidden)
    model = keras.Model(
        {"ids": ids, "extra": extra}, [layers.Add()([hidden, extra]), state]
    )
    rows = rows_by_kind(tk.profile(model, batch_size=2))
    assert rows["SimpleRNN"].output_shape == ((2, 3), (2, 3))
    assert rows["Embedding"].multiply_adds == 0


def test_factorized_layers_are_counted_by_their_plan():
    layer = tk.layers.TTDense(64, rank=2)
    model = keras.Sequential([keras.Input((64,)), layer])
    (row,) = tk.profile(model, batch_size=4).rows
    assert row.multiply_adds == layer.plan(4).multiply_adds
    assert row.params == layer.count_params()


def test_a_converted_model_is_smaller_and_keeps_its_paths():
    model = keras.Sequential([keras.Input((64,)), layers.Dense(64)])
    small, report = tk.convert(model, tk.formats.TensorTrain(rank=2))
    before, after = tk.profile(model), tk.profile(small)
    assert after.params == report.params_after < before.params


def test_bytes_follow_the_type_of_the_weights():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, dtype="float16")]
    )
    assert tk.profile(model).bytes == 2 * 15


def test_profiling_leaves_the_model_as_it_was():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    before = set(vars(model.layers[0]))
    tk.profile(model)
    assert set(vars(model.layers[0])) == before


def test_a_model_that_fails_is_left_as_it_was():
    class Failing(layers.Layer):
        def call(self, inputs):
            raise RuntimeError("no")

        def compute_output_spec(self, inputs):
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    dense = layers.Dense(3)
    inputs = keras.Input((4,))
    hidden = dense(inputs)
    outputs = Failing()(hidden)
    model = keras.Model(inputs, outputs)
    with pytest.raises(RuntimeError, match="no"):
        tk.profile(model)
    assert "call" not in vars(dense)


def test_the_table_shows_totals_and_what_is_unknown():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(300), layers.Lambda(lambda x: x)]
    )
    text = str(tk.profile(model))
    assert "1,500" in text
    assert "1,200+" in text
    assert "–" in text
    assert "whole model" in text


def test_the_profile_saves_as_json(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    found = tk.profile(model)
    found.save(tmp_path / "profile.json")
    data = json.loads((tmp_path / "profile.json").read_text())
    assert data["params"] == 15
    assert data["rows"][0]["output_shape"] == [1, 3]
    with pytest.raises(ValueError, match="must exist and be writable"):
        found.save(tmp_path / "no" / "profile.json")


def test_a_sample_sets_sizes_that_are_left_open():
    model = keras.Sequential([keras.Input((None, 3)), layers.Conv1D(2, 2)])
    with pytest.raises(ValueError, match="Pass sample="):
        tk.profile(model)
    found = tk.profile(model, sample=np.ones((4, 7, 3)))
    assert found.batch_size == 4
    assert found.rows[0].output_shape == (4, 6, 2)


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_below_one_is_refused(batch_size):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        tk.profile(model, batch_size=batch_size)


def test_a_batch_that_is_no_integer_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(TypeError, match="`batch_size` must be a whole number"):
        tk.profile(model, batch_size=1.5)


def test_another_batch_than_the_model_fixes_is_refused():
    inputs = keras.Input(batch_shape=(4, 3))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    with pytest.raises(ValueError, match="Pass batch_size=4"):
        tk.profile(model)


def test_a_model_that_is_not_built_is_refused():
    with pytest.raises(ValueError, match="must be built"):
        tk.profile(keras.Sequential([layers.Dense(3)]))
