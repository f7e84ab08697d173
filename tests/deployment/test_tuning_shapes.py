"""What is timed of a layer, and what its report says is kept."""

import keras
import pytest

import tensornet_keras as tk
from tensornet_keras.deployment import tuning_report
from tests.deployment.small_tuning import dense, known_times, model_of, tuning


@pytest.fixture
def quick(monkeypatch):
    return known_times(monkeypatch)


def test_the_way_back_of_a_table_is_timed_too():
    format = tk.formats.TensorTrain(2, (10, 6), (4, 4))
    table = tk.layers.FactorizedReversibleEmbedding(60, 16, format)
    model = keras.Sequential([keras.Input((3,), dtype="int32"), table])
    report = tk.autotune(model, 4)
    assert {row.key for row in report.rows} == set(table.tuned_plans)
    back = table.plan((4, 3, 16), reverse=True)
    there = table.plan((4, 3))
    assert (there.tuned, back.tuned) == (True, True)
    names = {key.rsplit("/")[-1] for key in table.tuned_plans}
    assert names == {"inference", "inference-reverse"}


def test_open_axes_are_taken_for_usual_ones(quick):
    layer = dense()
    tk.autotune(model_of(layer, shape=(None, 16)), 8)
    assert quick[0][0][0].positions == ((32,), (32,))
    assert layer.plan((8, 32, 16)).tuned
    assert not layer.plan((8, 4, 16)).tuned


def test_what_is_predicted_is_timed(quick):
    """In parts or not, within a memory or not."""
    modes = (8, 8, 8, 8)
    tiles = set()
    for memory in (None, 2**26):
        layer = tk.layers.TTDense(4096, 16, modes, modes, max_memory=memory)
        report = tk.autotune(model_of(layer, shape=(4096,)), 1024)
        predicted = type(layer).from_config(
            layer.get_config() | {"tuned_plans": {}}
        )
        predicted.build((None, 4096))
        predicted = predicted.plan(1024)
        (row,) = report.rows
        named = (row.default.order, row.default.tiles)
        assert named == (predicted.order, predicted.tiles)
        tiles.add(predicted.tiles > 1)
    assert tiles == {True, False}


def test_rows_of_one_name_show_what_is_kept(monkeypatch):
    times = {20: (1.0, 2.0), 32: (3.0, 1.0)}
    monkeypatch.setattr(
        tuning,
        "measure",
        lambda plans, *_, **__: [*times[plans[0].batch], 9.0, 9.0, 9.0, 9.0][
            : len(plans)
        ],
    )
    layer = dense()
    report = tk.autotune(model_of(layer), (20, 32), candidates=2)
    assert {row.key for row in report.rows} == set(layer.tuned_plans)
    (kept,) = layer.tuned_plans.values()
    for row, batch in zip(report.rows, (20, 32), strict=True):
        assert row.batch == batch
        assert row.chosen.order == kept["order"]
        assert f"timed at {batch}" in tuning_report._purpose(row)
