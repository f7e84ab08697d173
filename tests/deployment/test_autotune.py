import json
import os

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.contraction import devices, store
from tensornet_keras.deployment.tuning_report import Timing
from tests.deployment.small_tuning import (
    FORMAT,
    dense,
    known_times,
    model_of,
    tuning,
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    return known_times(monkeypatch)


def key(batch, mode="inference", dtype="float32"):
    return devices.tuning_key(batch, dtype, mode)


def test_the_fastest_plan_is_written_into_the_layer(quick):
    layer = dense()
    report = tk.autotune(model_of(layer), batch_size=8)
    [(plans, dtype, convolution, xla)] = quick
    assert (dtype, convolution, xla) == ("float32", None, False)
    assert [plan.batch for plan in plans] == [8] * len(plans)
    [row] = report.rows
    assert row.key == key(8)
    assert row.chosen.order == plans[-1].order
    assert row.default.order == plans[0].order
    assert row.speed_up == len(plans) > 1
    assert layer.plan(8).order == plans[-1].order
    assert layer.plan(7).order == plans[-1].order
    assert set(layer.tuned_plans) == {key(8)}


def test_a_real_clock_finds_a_plan(monkeypatch):
    monkeypatch.undo()
    report = tk.autotune(model_of(dense()), batch_size=8, mode="both")
    assert [row.key for row in report.rows] == [key(8), key(8, "training")]
    for row in report.rows:
        assert row.chosen.measured > 0
        assert row.speed_up >= 1


def test_layers_of_one_shape_are_timed_once(quick):
    layers = [dense(), dense(), tk.layers.FactorizedDense(27, rank2())]
    report = tk.autotune(model_of(*layers), batch_size=8)
    assert len(quick) == 2
    assert [len(row.layers) for row in report.rows] == [2, 1]
    assert layers[0].tuned_plans == layers[1].tuned_plans
    assert all(layer.tuned_plans for layer in layers)


def rank2():
    return tk.formats.TensorTrain(rank=2)


def test_types_and_rows_make_shapes(quick):
    tk.autotune(model_of(dense(), dense(dtype="bfloat16")), 8)
    assert [dtype for _, dtype, *_ in quick] == ["float32", "bfloat16"]
    quick.clear()
    tk.autotune(model_of(dense(), shape=(5, 16)), 8)
    assert quick[0][0][0].positions == ((5,), (5,))


def test_a_layer_used_twice_is_timed_once(quick):
    layer = dense()
    report = tk.autotune(model_of(layer, layer), batch_size=8)
    assert len(quick) == 1
    assert report.rows[0].layers == (layer.path,)


def test_nested_models_are_tuned(quick):
    inner, outer = dense(), dense()
    nested = model_of(inner)
    tk.autotune(keras.Sequential([keras.Input((16,)), nested, outer]), 8)
    assert inner.tuned_plans == outer.tuned_plans != {}


@pytest.mark.parametrize("mode", ["inference", "training", "both"])
def test_plans_are_for_the_mode(mode, quick):
    layer = dense()
    tk.autotune(model_of(layer), 8, mode)
    modes = [plans[0].mode for plans, *_ in quick]
    assert modes == (["inference", "training"] if mode == "both" else [mode])
    assert {name.rsplit("/")[-1] for name in layer.tuned_plans} == set(modes)


def test_sizes_of_one_name_share_what_is_best_over_them(monkeypatch):
    times = {40: [4.0, 1.0, 2.0], 64: [1.0, 9.0, 1.5]}
    orders = []

    def measure(plans, dtype, convolution=None, xla=False):
        plans = sorted(plans, key=lambda plan: str(plan.order))
        orders[:] = [plan.order for plan in plans]
        found = dict(zip(orders, times[plans[0].batch], strict=True))
        return [found[plan.order] for plan in given]

    def shortlist(plan, *rest):
        given[:] = plans_of(plan)
        return list(given)

    given = []
    plans_of = tuning.shortlist
    monkeypatch.setattr(tuning, "shortlist", shortlist)
    monkeypatch.setattr(tuning, "measure", measure)
    layer = dense()
    tk.autotune(model_of(layer), (64, 40))
    assert layer.plan(40).order == layer.plan(64).order == orders[2]


def test_an_unknown_batch_branches_to_what_was_timed(quick):
    layer = dense()
    tk.autotune(model_of(layer), (4, 32))
    plan = layer.plan((None, 16))
    tuned = {plans[0].batch: plans[-1].order for plans, *_ in quick}
    for batch, size in ((3, 4), (4, 4), (17, 32), (32, 32)):
        assert plan.at(batch).tuned
        assert plan.at(batch).order == tuned[size]
    fresh = dense()
    fresh.build((None, 16))
    for batch in (1, 2, 5, 16, 33, 1024):
        assert not plan.at(batch).tuned
        assert plan.at(batch).steps == fresh.plan((None, 16)).at(batch).steps
    assert "autotuned" in str(plan)
    assert "autotuned" in str(layer.plan(4))
    assert "autotuned" not in str(fresh.plan(4))


def test_plans_timed_at_one_size_only_are_not_for_all():
    one = Timing("one", ((0, 1),), 1, 1.0, 1.0)
    other = Timing("other", (0, 1), 1, 1.0, 1.0)
    parts = Timing("parts", ((0, 1),), 4, 1.0, 0.5)
    assert tuning._best_over_all([(one,), (other,)]) == other
    assert tuning._best_over_all([(one, parts), (one, other)]) == one


def test_a_planning_batch_is_what_is_timed(quick):
    layer = dense(planning_batch=100)
    tk.autotune(model_of(layer), 8)
    assert quick[0][0][0].batch == 100
    assert set(layer.tuned_plans) == {key(100)}
    assert layer.plan(3).order == quick[0][0][-1].order


def test_a_layer_keeps_to_its_memory(quick):
    free = dense()
    tk.autotune(model_of(free), 64)
    peaks = [plan.peak_bytes for plan in quick[0][0]]
    quick.clear()
    bound = dense(max_memory=sorted(peaks)[1])
    tk.autotune(model_of(bound), 64)
    assert max(p.peak_bytes for p in quick[0][0]) <= sorted(peaks)[1]


@pytest.mark.parametrize("padding", ["same", "valid", "causal"])
def test_convolutions_are_timed_as_they_slide(padding, quick):
    layer = tk.layers.FactorizedConv1D(
        16, 3, FORMAT, padding=padding, dilation_rate=2
    )
    tk.autotune(model_of(layer, shape=(12, 16)), 8)
    [(plans, _, how, _)] = quick
    assert how.dilation_rate == (2,)
    assert how.padding == ("valid" if padding == "valid" else "same")
    assert plans[0].positions[0] == (12,)
    assert layer.plan(8).order == plans[-1].order


def test_look_ups_are_timed(monkeypatch):
    monkeypatch.undo()
    table = tk.layers.FactorizedEmbedding(16, 16, FORMAT)
    model = keras.Sequential([keras.Input((3,), dtype="int32"), table])
    report = tk.autotune(model, 4, "training")
    assert report.rows[0].layers == (table.path,)
    assert report.rows[0].key in table.tuned_plans


def test_a_loop_is_left_to_the_cost_model(quick):
    layer = tk.layers.FactorizedLSTM(4, tk.formats.TensorTrain(rank=2))
    report = tk.autotune(model_of(layer, shape=(5, 16)), 8)
    cell = layer.cell
    assert cell.state_kernel.tuned_plans == {}
    assert cell.input_kernel.plan(8).order == quick[0][0][-1].order
    [(path, reason)] = report.skipped
    assert path == cell.state_kernel.path
    assert "predicted" in reason


def test_layers_without_a_choice_are_named():
    grouped = tk.layers.FactorizedConv1D(
        16, 3, tk.formats.TensorTrain(rank=2), groups=2, padding="same"
    )
    model = model_of(grouped, dense(), shape=(12, 16))
    report = tk.autotune(model, 8)
    assert [row.layers for row in report.rows] == [(model.layers[1].path,)]
    assert report.skipped == ((grouped.path, "groups leave only one plan"),)
    assert grouped.path in str(report)


def test_tuned_plans_change_no_number(tmp_path):
    layer = dense()
    model = model_of(layer)
    x = np.random.default_rng(0).normal(size=(8, 16)).astype("float32")
    before = model.predict(x, verbose=0)
    tk.autotune(model, 8)
    after = model.predict(x, verbose=0)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    model.save(tmp_path / "tuned.keras")
    loaded = keras.saving.load_model(tmp_path / "tuned.keras")
    assert loaded.layers[0].tuned_plans == layer.tuned_plans
    assert loaded.layers[0].plan(8).order == layer.plan(8).order
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), after, rtol=1e-5, atol=1e-6
    )


def test_a_compiled_model_is_compiled_again():
    model = model_of(dense())
    model.compile("sgd", "mse")
    x = np.zeros((8, 16), "float32")
    model.fit(x, x, verbose=0)
    model.predict(x, verbose=0)
    assert model.train_function is not None
    tk.autotune(model, 8, "training")
    assert model.train_function is None
    assert model.predict_function is None
    model.fit(x, x, verbose=0)


def test_plans_of_another_device_are_ignored_and_said():
    elsewhere = "some-gpu/torch/batch-8/float32/inference"
    layer = dense(tuned_plans={elsewhere: {"order": [0, 1], "tiles": 1}})
    with pytest.warns(UserWarning, match="tuned on some-gpu"):
        report = tk.autotune(model_of(layer), 8)
    assert report.foreign == ((layer.path, elsewhere),)
    assert elsewhere in layer.tuned_plans
    assert "another device" in str(report)


def test_what_was_timed_is_not_timed_again(cache, quick):
    first = tk.autotune(model_of(dense()), 8)
    layer = dense()
    second = tk.autotune(model_of(layer), 8)
    assert len(quick) == 1
    assert not first.rows[0].stored
    assert second.rows[0].stored
    assert second.rows[0].timings == first.rows[0].timings
    assert layer.tuned_plans[key(8)]["order"] == first.rows[0].chosen.order
    assert "stored" in str(second)


def test_it_is_timed_again_if_asked(cache, quick):
    tk.autotune(model_of(dense()), 8)
    report = tk.autotune(model_of(dense()), 8, again=True)
    assert len(quick) == 2
    assert not report.rows[0].stored


def test_other_candidates_are_timed_again(cache, quick):
    tk.autotune(model_of(dense()), 8)
    tk.autotune(model_of(dense()), 8, candidates=2)
    assert [len(plans) for plans, *_ in quick][1] == 2


def test_corrupt_times_are_set_aside_and_measured(cache, quick):
    tk.autotune(model_of(dense()), 8)
    [name] = [name for name in os.listdir(cache) if name.startswith("plans")]
    content = json.loads((cache / name).read_text())
    content["data"][0]["order"] = [[0, 1, 2]]
    (cache / name).write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="set aside") as caught:
        tk.autotune(model_of(dense()), 8)
    assert len(caught) == 1
    assert len(quick) == 2
    assert f"{name}.bad" in os.listdir(cache)


def test_xla_is_timed_where_the_model_compiles_with_it(quick):
    model = model_of(dense())
    model.compile("sgd", "mse", jit_compile=True)
    tk.autotune(model, 8)
    assert quick[0][-1] is True


def test_the_report_is_a_table_and_plain_data(tmp_path):
    report = tk.autotune(model_of(dense(name="small")), 8)
    text = str(report)
    for word in ("small", "batch-8", "predicted ms", "measured ms"):
        assert word in text
    report.save(tmp_path / "report.json")
    data = json.loads((tmp_path / "report.json").read_text())
    assert data == json.loads(json.dumps(report.to_dict()))
    [row] = data["rows"]
    assert row["speed_up"] == report.rows[0].speed_up
    assert row["timings"][0]["measured"] == 1.0
    with pytest.raises(ValueError, match="folder"):
        report.save(tmp_path / "missing" / "report.json")
