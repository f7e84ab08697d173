"""Which of its candidates a layer becomes when it is frozen, and the door."""

import json

import keras
import pytest

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.deployment import choosing, freezable
from tensornet_keras.surgery import twins
from tests.deployment.frozen_models import (
    MODES,
    TRAIN,
    WIDE,
    assert_same,
    model_of,
    wide_model,
)
from tests.laws.oracles import random_array


def test_the_fastest_is_measured_and_reported():
    model = model_of(tk.layers.TTDense(WIDE, 2, MODES, MODES), (WIDE,))
    frozen, report = tk.freeze(model, 1, return_report=True)
    (row,) = report.rows
    assert row.measured_ms > 0
    assert row.measured_dense_ms > 0
    if "dense" in row.became:
        assert row.measured_ms == row.measured_dense_ms
    else:
        assert row.measured_ms < row.measured_dense_ms
    assert_same(frozen, model, random_array((2, WIDE)))


def times(*seconds):
    """A stand-in for the clock: seconds of the candidates, then dense ones."""

    def timed(calls, **kwargs):
        del kwargs
        for call in calls:
            call()
        return [seconds[0]] * (len(calls) - 2) + list(seconds[1:])

    return timed


@pytest.mark.parametrize(
    ("seconds", "dense"),
    [
        ((1.0, 2.0, 2.0), False),
        ((2.0, 1.0, 1.0), True),
        # No clear win: two timings of the same differ by as much.
        ((1.0, 1.1, 1.01), True),
        ((1.0, 1.01, 1.01), True),
    ],
)
def test_dense_stays_unless_clearly_beaten(seconds, dense, monkeypatch):
    monkeypatch.setattr(choosing, "interleaved_seconds", times(*seconds))
    frozen, report = tk.freeze(wide_model(), 1, return_report=True)
    assert (type(frozen.layers[0]) is keras.layers.Dense) == dense
    assert report.rows[0].measured_dense_ms == 1e3 * min(seconds[1:])


def test_an_unknown_batch_is_timed_at_several(monkeypatch):
    seen = []

    def timed(calls, **kwargs):
        seen.append([output.shape[0] for call in calls for output in call()])
        return times(1.0, 2.0, 2.0)(calls, **kwargs)

    monkeypatch.setattr(choosing, "interleaved_seconds", timed)
    tk.freeze(wide_model())
    assert [set(batches) for batches in seen] == [{1}, {32}, {1024}]


def test_an_activation_that_is_a_layer_is_timed_and_kept():
    relu = keras.layers.PReLU(alpha_initializer="ones")
    model = wide_model(activation=relu)
    frozen, report = tk.freeze(model, 1, return_report=True)
    assert report.rows[0].measured_ms > 0
    assert_same(frozen, model, random_array((2, WIDE)))


@pytest.mark.parametrize("jit_compile", [True, False])
def test_candidates_are_compiled_as_the_model_is(jit_compile, monkeypatch):
    seen = []
    compiled = backend.compiled

    def spied(function, xla=False):
        seen.append(xla)
        return compiled(function)

    monkeypatch.setattr(backend, "compiled", spied)
    model = wide_model()
    tk.freeze(model, 1)
    model.compile("sgd", "mse", jit_compile=jit_compile)
    tk.freeze(model, 1)
    half = len(seen) // 2
    assert seen == [False] * half + [jit_compile] * half
    assert half >= 2


PLANNED = {
    "dense": (lambda **how: tk.layers.TTDense(8, 2, **how), (8,)),
    "rows": (lambda **how: tk.layers.TTDense(8, 2, **how), (3, 8)),
    "lstm": (
        lambda **how: tk.layers.FactorizedLSTM(8, TRAIN, **how),
        (5, 8),
    ),
    "embedding": (
        lambda **how: tk.layers.FactorizedReversibleEmbedding(
            100, 8, TRAIN, **how
        ),
        (5,),
    ),
}


@pytest.mark.parametrize("name", PLANNED)
@pytest.mark.parametrize("batch", [1, None])
def test_layers_are_planned_for_the_batch_that_is_frozen_for(name, batch):
    make, shape = PLANNED[name]
    layer = make(planning_batch=512, max_memory=10**9)
    layer.build((None, *shape))
    planned = freezable.planned_shape(layer, batch)
    meetings = [
        meeting
        for site in freezable.sites(layer, planned)
        for meeting in site.meetings
    ]
    assert [meeting.batch for meeting in meetings] == [batch] * len(meetings)
    (kernel, *_) = twins.factorized_kernels(layer)
    assert (kernel.planning_batch, kernel.max_memory) == (512, 10**9)


def test_a_loop_that_keeps_its_state_is_timed_at_its_batch():
    inputs = keras.Input(batch_shape=(4, 5, 10))
    train = tk.formats.TensorTrain(rank=2)
    outputs = tk.layers.FactorizedLSTM(6, train, stateful=True)(inputs)
    model = keras.Model(inputs, outputs)
    frozen, report = tk.freeze(model, 4, return_report=True)
    assert report.rows[0].measured_ms > 0
    for seed in range(3):
        assert_same(frozen, model, random_array((4, 5, 10), seed))


def test_equal_layers_are_timed_once(monkeypatch):
    calls = []
    timed = times(1.0, 2.0, 2.0)
    monkeypatch.setattr(
        choosing,
        "interleaved_seconds",
        lambda runs, **how: (calls.append(1), timed(runs, **how))[1],
    )
    layers = [tk.layers.TTDense(WIDE, 2, MODES, MODES) for _ in range(2)]
    model = keras.Sequential([keras.Input((WIDE,)), *layers])
    tk.freeze(model, 1)
    assert len(calls) == 1


def test_size_never_stores_more():
    model = wide_model()
    frozen, report = tk.freeze(model, 64, "size", return_report=True)
    assert frozen.count_params() <= model.count_params()
    assert report.params_after == frozen.count_params()


def test_size_leaves_nothing_to_be_done_among_the_weights():
    frozen = tk.freeze(wide_model(), 1, "size")
    plan = frozen.layers[0].plan(1)
    assert not any(step.weight_only for step in plan.steps)


def test_what_is_hopeless_by_prediction_is_not_timed(monkeypatch):
    # Sliding before the channels are summed takes ages.
    layer = tk.layers.FactorizedConv2D(
        64, 3, tk.formats.LowRank(16, "spatial"), padding="same"
    )
    counts = []
    timed = times(1.0, 2.0, 2.0)
    monkeypatch.setattr(
        choosing,
        "interleaved_seconds",
        lambda runs, **how: (counts.append(len(runs)), timed(runs, **how))[1],
    )
    tk.freeze(model_of(layer, (16, 16, 64)), 8)
    assert counts == [3]


def test_size_merges_where_that_is_smaller():
    # Ranks above what the modes can carry.
    train = tk.formats.TensorTrain((64,), (4, 16), (4, 16))
    model = model_of(tk.layers.FactorizedDense(64, train), (64,))
    frozen = tk.freeze(model, 1, "size")
    assert type(frozen.layers[0]) is keras.layers.Dense
    assert frozen.count_params() < model.count_params()


def test_memory_counts_weights_and_intermediates():
    model = wide_model()
    _, report = tk.freeze(model, 1, "memory", return_report=True)
    (row,) = report.rows
    assert row.numbers_after < WIDE * WIDE
    assert row.measured_ms is None


def test_memory_that_nothing_keeps_to_names_the_least():
    model = wide_model()
    with pytest.raises(ValueError, match="`max_memory` must be") as caught:
        tk.freeze(model, 1, max_memory=100, measure=False)
    assert "wide" in str(caught.value)
    least = int(str(caught.value).split("at least ")[1].split()[0])
    frozen = tk.freeze(model, 1, max_memory=least, measure=False)
    assert_same(frozen, model, random_array((1, WIDE)))
    with pytest.raises(ValueError, match="Raise it"):
        tk.freeze(model, 1, max_memory=least - 1, measure=False)


def test_a_kernel_too_large_for_any_file_stays_factorized(monkeypatch):
    model = model_of(tk.layers.TTDense(16, rank=2), (16,))
    assert type(tk.freeze(model, 1).layers[0]) is keras.layers.Dense
    monkeypatch.setattr(choosing, "MOST_DENSE_BYTES", 4 * 16 * 16 - 1)
    frozen, report = tk.freeze(model, 1, return_report=True)
    assert type(frozen.layers[0]) is tk.layers.FactorizedDense
    assert_same(frozen, model, random_array((1, 16)))
    assert report.rows[0].measured_dense_ms is None


def test_the_report_prints_and_is_written(tmp_path):
    model = wide_model()
    _, report = tk.freeze(model, None, measure=False, return_report=True)
    text = str(report)
    assert "1…1024" in text
    assert "wide" in text
    report.save(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["rows"][0]["numbers_before"] == model.count_params()
    assert data["objective"] == "latency"


def test_a_fixed_batch_is_the_only_one():
    inputs = keras.Input(batch_shape=(4, 16))
    model = keras.Model(inputs, tk.layers.TTDense(16, rank=2)(inputs))
    with pytest.raises(ValueError, match="Pass batch_size=4"):
        tk.freeze(model, 3)
    for batch_size in (4, None):
        frozen = tk.freeze(model, batch_size, measure=False)
        assert_same(frozen, model, random_array((4, 16)))


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_below_one_is_refused(batch_size):
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        tk.freeze(wide_model(), batch_size)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 1.5}, TypeError, "`batch_size` must be a whole"),
        ({"objective": "speed"}, ValueError, "Choose one of these names"),
        ({"max_memory": 0}, ValueError, "`max_memory` must be at least 1"),
        ({"measure": "no"}, TypeError, "`measure` must be True or False"),
        ({"return_report": 1}, TypeError, "`return_report` must be"),
    ],
)
def test_arguments_are_checked_at_the_door(arguments, error, message):
    with pytest.raises(error, match=message):
        tk.freeze(wide_model(), **arguments)


def test_what_is_no_built_model_is_refused():
    with pytest.raises(TypeError, match="A Keras model is needed"):
        tk.freeze(tk.layers.TTDense(4, rank=2))
    unbuilt = keras.Sequential([tk.layers.TTDense(4, rank=2)])
    with pytest.raises(ValueError, match="must be built"):
        tk.freeze(unbuilt)

    class Subclassed(keras.Model):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def call(self, inputs):
            return self.layer(inputs)

    model = Subclassed(tk.layers.TTDense(4, rank=2))
    model(keras.ops.ones((2, 8)))
    with pytest.raises(ValueError, match="copyable from its config"):
        tk.freeze(model)
