"""What kernels are multiplied by, layer by layer."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.conversion import layer_inputs
from tensornet_keras.conversion.calibration import Calibration
from tests.conversion.calibrated import missed
from tests.laws.oracles import as_numpy, assert_close
from tests.nasty_models import NASTY
from tests.small_models import Pair, numbers, randomized

LOW = tk.formats.LowRank


def tensors(*arrays):
    return tuple(map(keras.ops.convert_to_tensor, arrays))


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize(
    ("kind", "shape", "how"),
    [
        (layers.Conv1D, (9, 4), {"strides": 2}),
        (layers.Conv1D, (9, 4), {"padding": "causal", "dilation_rate": 2}),
        (layers.Conv2D, (7, 6, 4), {"padding": "same"}),
        (layers.Conv2D, (9, 8, 4), {"dilation_rate": 2, "padding": "same"}),
        (layers.Conv2D, (8, 9, 4), {"strides": (2, 3)}),
        (layers.Conv3D, (4, 5, 4, 4), {"padding": "same", "strides": 2}),
    ],
)
def test_patches_are_what_a_kernel_is_multiplied_by(
    kind, shape, how, data_format
):
    if data_format == "channels_first" and backend.name() == "tensorflow":
        pytest.skip("TensorFlow has no channels-first convolution on a CPU")
    layer = kind(6, 3, use_bias=False, data_format=data_format, **how)
    x = numbers(3, *shape)
    if data_format == "channels_first":
        x = np.moveaxis(x, -1, 1)
    outputs = as_numpy(layer(x))
    if data_format == "channels_first":
        outputs = np.moveaxis(outputs, 1, -1)
    rows = np.concatenate(
        [
            found.array
            for found in layer_inputs.rows_of(
                layer, layer_inputs.Heard(tensors(x))
            )
        ]
    )
    kernel = as_numpy(layer.kernel)
    found = rows @ kernel.reshape(-1, kernel.shape[-1])
    assert (rows.shape[1],) == layer_inputs.features(layer)
    assert_close(found.reshape(outputs.shape), outputs)


@pytest.mark.parametrize(
    ("equation", "shape", "output"),
    [
        ("abc,cd->abd", (5, 6), (None, 7)),
        ("abc,cde->abde", (5, 6), (None, 2, 3)),
        ("abcd,cde->abe", (5, 2, 3), (None, 4)),
        ("ab,bc->ac", (6,), (7,)),
        ("abc,bcd->abd", (5, 6), (5, 7)),
        ("abcd,ceb->acde", (2, 3, 4), (3, 4, 5)),
    ],
)
def test_rows_of_an_einsum_are_what_its_matrix_is_multiplied_by(
    equation, shape, output
):
    layer = layers.EinsumDense(equation, output)
    model = randomized(keras.Sequential([keras.Input(shape), layer]))
    x = numbers(64, *shape)
    small, report = tk.convert(
        model, LOW(rank=2), calibration_data=x, min_compression=0
    )
    assert report.rows[0].output_error is not None
    wanted, found = (as_numpy(each(x)) for each in (model, small))
    error = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    assert error == pytest.approx(report.rows[0].output_error, rel=1e-2)


def test_the_matrices_of_a_stack_see_their_own_rows():
    layer = layers.EinsumDense("abc,bcd->abd", (3, 7))
    model = randomized(keras.Sequential([keras.Input((3, 4)), layer]))
    x = numbers(16, 3, 4)
    ((moments,),) = Calibration(model, x).source_moments([layer]).values()
    for number in range(3):
        rows = x[:, number].astype("float64")
        here = slice(4 * number, 4 * number + 4)
        assert_close(moments.own[here, here], rows.T @ rows)
        moments.own[here, here] = 0
    assert not moments.own.any()


def recurrent(kind, given=False, **how):
    inputs, state = keras.Input((5, 6)), keras.Input((8,))
    loop = kind(8, name="loop", **how)
    if not given:
        return randomized(keras.Model(inputs, loop(inputs))), loop
    initial = [state, state] if kind is layers.LSTM else state
    outputs = loop(inputs, initial_state=initial)
    return randomized(keras.Model([inputs, state], outputs)), loop


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize(
    "how", [{}, {"return_sequences": True}, {"go_backwards": True}], ids=str
)
@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_a_recurrent_kernel_is_multiplied_by_the_states(kind, how, given):
    model, loop = recurrent(kind, given, **how)
    x = [numbers(3, 5, 6), 0.1 * numbers(3, 8)]
    found = Calibration(model, x if given else x[0]).source_moments([loop])
    outer, inner = found[id(loop)]
    # The states by the layer's own cell, one step after another.
    state = x[1] if given else np.zeros((3, 8), "float32")
    states = [state, state] if kind is layers.LSTM else [state]
    steps = x[0][:, ::-1] if how.get("go_backwards") else x[0]
    rows = []
    for step in np.moveaxis(steps, 1, 0):
        rows.append(as_numpy(states[0]))
        _, states = loop.cell(*tensors(step), list(tensors(*states)))
    rows = np.concatenate(rows).astype("float64")
    flat = x[0].reshape(-1, 6).astype("float64")
    assert_close(outer.own, flat.T @ flat)
    np.testing.assert_allclose(inner.own, rows.T @ rows, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_both_kernels_of_a_loop_are_fitted(kind):
    model, loop = recurrent(kind)
    # Inputs, and so states, of few strong directions.
    spread = np.geomspace(1, 0.01, 6).astype("float32")
    x = numbers(64, 5, 6) * spread
    plain, _ = tk.convert(model, LOW(rank=3), min_compression=0)
    small, report = tk.convert(
        model, LOW(rank=3), min_compression=0, calibration_data=x
    )
    assert missed(model, small, x) < missed(model, plain, x)
    assert 0 < report.replaced[0].output_error < 1
    assert loop.return_sequences is False
    _, report = tk.convert(
        model, LOW(), error=0.3, calibration_data=x, min_compression=0
    )
    assert report.replaced[0].output_error <= 0.301


def test_a_budget_reaches_loops_and_tables():
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(40, 12),
            layers.Bidirectional(layers.LSTM(10)),
            layers.Dense(8),
        ]
    )
    ids = np.random.default_rng(0).integers(0, 40, (32, 6))
    small, report = tk.convert(
        randomized(model), LOW(), ratio=0.6, calibration_data=ids
    )
    assert len(report.replaced) >= 2
    assert all(0 < row.output_error < 1 for row in report.replaced)
    assert small(ids).shape == (32, 8)


def table(count=200, size=16):
    model = keras.Sequential(
        [keras.Input((8,), dtype="int32"), layers.Embedding(count, size)]
    )
    rng = np.random.default_rng(0)
    ids = np.minimum(rng.zipf(1.5, (64, 8)) - 1, count - 1).astype("int32")
    return randomized(model), ids


def test_rows_of_a_table_count_as_often_as_they_are_looked_up():
    model, ids = table()
    plain, _ = tk.convert(model, LOW(rank=4))
    small, report = tk.convert(model, LOW(rank=4), calibration_data=ids)
    assert missed(model, small, ids) < 0.7 * missed(model, plain, ids)
    assert 0 < report.replaced[0].output_error < 1
    # No row is given up, though no example has it.
    unseen = np.setdiff1d(np.arange(200), ids)[:, None]
    whole = np.broadcast_to(unseen, (len(unseen), 8))
    assert missed(model, small, whole) < 1.0


def test_counts_leave_out_what_is_no_row():
    counts = layer_inputs.Counts(3)
    ids = np.array([0, 2, 2, -1, 7])
    counts.add(ids, ids)
    np.testing.assert_array_equal(counts.own, [2, 1, 3])


def test_the_norm_of_counts_is_that_of_a_diagonal():
    counts = np.array([4.0, 1.0, 9.0, 2.0, 1.0, 5.0])
    weight = numbers(6, 5)
    for format in (LOW(rank=2), tk.formats.TensorTrain(rank=2)):
        found, error = tk.decomposition.decompose_for(weight, format, counts)
        other, same = tk.decomposition.decompose_for(
            weight, format, np.diag(counts)
        )
        assert error == pytest.approx(same, rel=1e-3)
        assert_close(found.to_dense(), other.to_dense())


def test_layers_in_a_loop_are_fitted():
    model, data = NASTY["time_distributed"]()
    _, report = tk.convert(
        randomized(model), LOW(rank=2), calibration_data=data
    )
    errors = [row.output_error for row in report.replaced]
    assert len(errors) == 2
    assert all(0 < error < 1 for error in errors)


@pytest.mark.parametrize("how", [{}, {"go_backwards": True}], ids=str)
@pytest.mark.parametrize("kind", [layers.LSTM, layers.GRU])
def test_masked_steps_of_a_loop_do_not_count(kind, how):
    inputs, mask = keras.Input((9, 6)), keras.Input((9,), dtype="bool")
    loop = kind(8, name="loop", **how)
    # By position, as Keras lets one do.
    model = randomized(keras.Model([inputs, mask], loop(inputs, None, mask)))
    x = numbers(4, 9, 6)
    mask = np.arange(9) < np.array([[5]] * 4)
    x[:, 5:] = 100.0
    whole = Calibration(model, [x, mask]).source_moments([loop])[id(loop)]
    short = [x[:, :5], mask[:, :5]]
    loop_alone = kind(8, **how)
    loop_alone.build((None, 5, 6))
    loop_alone.set_weights(loop.get_weights())
    inputs = keras.Input((5, 6))
    alone = keras.Model(inputs, loop_alone(inputs))
    right = Calibration(alone, short[0]).source_moments([loop_alone])
    for found, expected in zip(whole, right[id(loop_alone)], strict=True):
        assert found.count == expected.count == 20
        np.testing.assert_allclose(found.own, expected.own, 1e-4, 1e-4)


def test_padding_of_a_table_does_not_count():
    padded = layers.Embedding(5, 4, mask_zero=True)
    plain = layers.Embedding(5, 4)
    ids = np.array([[1, 2, 0, 0], [2, 2, 3, 0]], "int32")
    for layer, expected in (
        (padded, [1, 2, 4, 2, 1]),
        (plain, [4, 2, 4, 2, 1]),
    ):
        layer.build(None)
        counts = layer_inputs.Counts(5)
        heard = layer_inputs.Heard(tensors(ids))
        for rows in layer_inputs.rows_of(layer, heard):
            counts.add(rows.array, rows.array)
        np.testing.assert_array_equal(counts.own, expected)


class Half(Pair):
    """Owns two layers and calls one."""

    def call(self, x):
        return self.one(x)


def test_layers_that_are_not_called_are_decomposed_without_data():
    inputs = keras.Input((8,))
    half = Half()
    model = randomized(keras.Model(inputs, half(inputs)))
    x = numbers(64, 8)
    calibration = Calibration(model, x)
    order = calibration.in_order([half.two, half.one])
    assert order == [half.one, half.two]
    assert list(calibration.source_moments(order)) == [id(half.one)]
    assert calibration.joint_moments(half.two) is None
    _, report = tk.convert(
        model, LOW(rank=2), calibration_data=x, min_compression=0
    )
    told = [row.output_error is not None for row in report.replaced]
    assert told == [True, False]


def test_loops_that_keep_their_states_are_refused():
    inputs = keras.Input(batch_shape=(4, 3, 6))
    loop = layers.LSTM(8, stateful=True, name="loop")
    model = randomized(keras.Model(inputs, loop(inputs)))
    with pytest.raises(ValueError, match="'loop' with stateful=True"):
        tk.convert(model, LOW(), ratio=0.5, calibration_data=numbers(4, 3, 6))


@pytest.mark.parametrize(
    ("equation", "output", "axes", "plain"),
    [
        ("abc,cd->abd", (5, 7), "d", True),
        ("abc,cde->abde", (5, 2, 3), "de", True),
        ("abc,cde->abde", (5, 2, 3), "e", False),
        ("abc,cd->adb", (7, 5), "b", False),
        ("abc,bcd->abd", (5, 7), "bd", False),
        ("abc,bcd->abd", (5, 7), "d", True),
    ],
)
def test_a_bias_of_the_kernels_outputs_gets_the_mean(
    equation, output, axes, plain
):
    layer = layers.EinsumDense(equation, (*output,), bias_axes=axes)
    model = randomized(keras.Sequential([keras.Input((5, 6)), layer]))
    x = numbers(64, 5, 6) + 3.0
    small, _ = tk.convert(
        model, LOW(rank=1), calibration_data=x, min_compression=0
    )
    before, after = (as_numpy(each.layers[0].bias) for each in (model, small))
    assert (not np.array_equal(before, after)) == plain
    if plain:
        wanted, found = (as_numpy(each(x)) for each in (model, small))
        axis = tuple(range(wanted.ndim - before.ndim))
        assert_close(found.mean(axis), wanted.mean(axis))


def test_what_is_not_gathered_goes_without():
    grouped = layers.Conv2D(4, 3, groups=2)
    grouped.build((None, 8, 8, 4))
    tied = layers.ReversibleEmbedding(9, 4)
    tied.build(None)
    assert "groups" in layer_inputs.obstacle(grouped)
    assert "both ways" in layer_inputs.obstacle(tied)
    inputs = keras.Input((8, 8, 4))
    outputs = layers.Conv2D(8, 3)(layers.Conv2D(8, 3, groups=2)(inputs))
    model = randomized(keras.Model(inputs, outputs))
    _, report = tk.convert(
        model, LOW(rank=2), calibration_data=numbers(8, 8, 8, 4)
    )
    told = [row.output_error is not None for row in report.replaced]
    assert told == [False, True]
