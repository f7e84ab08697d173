import json
import os

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tests.small_models import convert_exactly, randomized


@pytest.fixture(scope="module")
def model():
    shared = layers.Dense(18, name="shared", activation="relu")
    nested = keras.Sequential([keras.Input((18,)), shared], name="nested")
    inputs = keras.Input((9, 9, 6))
    x = layers.Conv2D(18, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(17, name="prime")(shared(nested(x)))
    outputs = layers.Dense(2, name="head")(layers.Dropout(0.5, name="drop")(x))
    return randomized(keras.Model(inputs, outputs, name="net"))


@pytest.fixture(scope="module")
def conversion(model):
    return tk.convert(
        model, tk.formats.TensorTrain(rank=2), filters="^(?!head)"
    )


def test_every_layer_is_listed_in_order_with_its_reason(conversion):
    _, report = conversion
    assert {
        row.path: (row.kind, row.action, row.reason) for row in report.rows
    } == {
        "conv": ("Conv2D", "replaced", ""),
        "norm": ("BatchNormalization", "kept", "kind"),
        "pool": ("GlobalAveragePooling2D", "kept", "kind"),
        "nested/shared": ("Dense", "replaced", ""),
        "prime": ("Dense", "replaced", ""),
        "drop": ("Dropout", "kept", "kind"),
        "head": ("Dense", "kept", "filter"),
    }
    assert len(report.rows) == 7


def test_parameters_add_up_to_those_of_the_models(model, conversion):
    small, report = conversion
    assert report.params_before == model.count_params()
    assert report.params_after == small.count_params()
    assert report.params_before == sum(r.params_before for r in report.rows)
    assert report.params_after == sum(r.params_after for r in report.rows)
    assert report.compression == model.count_params() / small.count_params()


def test_a_row_tells_what_the_layer_holds(model, conversion):
    small, report = conversion
    row = next(row for row in report.rows if row.path == "conv")
    layer = small.get_layer("conv")
    assert row.format == "tt"
    assert row.ranks == layer.format.rank
    assert row.modes == layer.format.describe_modes()
    assert row.params_before == model.get_layer("conv").count_params()
    assert row.params_after == layer.count_params()


def test_a_relative_error_is_what_is_measured(model, conversion):
    small, report = conversion
    errors = {row.path: row.relative_error for row in report.replaced}
    for name, source in [
        ("conv", model.get_layer("conv")),
        ("nested/shared", model.get_layer("shared")),
        ("prime", model.get_layer("prime")),
    ]:
        kernel = keras.ops.convert_to_numpy(source.kernel).astype("float64")
        twin = small.get_layer(source.name).kernel
        difference = kernel - keras.ops.convert_to_numpy(twin)
        measured = np.linalg.norm(difference) / np.linalg.norm(kernel)
        assert errors[name] == pytest.approx(measured, rel=1e-5)
        assert 0.1 < errors[name] < 1


def test_an_error_at_full_rank_is_of_the_order_of_rounding(model):
    _, report = convert_exactly(model)
    assert len(report.replaced) == 4
    assert all(row.relative_error < 1e-6 for row in report.replaced)


def test_a_report_prints_as_a_table(conversion):
    _, report = conversion
    text = str(report)
    assert "Conversion of net" in text
    assert max(map(len, text.splitlines())) <= 120
    lines = {
        line.split()[0]: line for line in text.splitlines() if line.strip()
    }
    assert "kept: filter" in lines["head"]
    assert "replaced: tt" in lines["prime"]
    shared = next(row for row in report.rows if row.path == "nested/shared")
    for number in (
        f"{shared.params_before:,}",
        f"{shared.params_after:,}",
        f"{shared.relative_error:.3g}",
    ):
        assert number in lines["nested/shared"]
    assert f"{report.compression:.2f}" in lines["whole"]


def test_long_paths_are_folded_into_the_table():
    name = "a_layer_with_quite_a_long_name_" * 5
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(4, name=name)(inputs))
    text = str(convert_exactly(model)[1])
    assert max(map(len, text.splitlines())) <= 120


def test_a_report_is_saved_as_json(conversion, tmp_path):
    _, report = conversion
    path = tmp_path / "report.json"
    path.write_text("older")
    report.save(path)
    data = json.loads(path.read_text())
    assert data == json.loads(json.dumps(report.to_dict()))
    assert data["params_after"] == report.params_after
    layer = next(layer for layer in data["layers"] if layer["path"] == "prime")
    row = next(row for row in report.rows if row.path == "prime")
    assert layer["ranks"] == list(row.ranks)
    assert layer["relative_error"] == row.relative_error
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_report_is_saved_whole_or_not_at_all(
    conversion, tmp_path, monkeypatch
):
    def failing(data, file, **kwargs):
        file.write("{")
        raise OSError("disk full")

    path = tmp_path / "report.json"
    path.write_text("older")
    monkeypatch.setattr(json, "dump", failing)
    with pytest.raises(OSError, match="disk full"):
        conversion[1].save(path)
    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_report_needs_a_folder_that_is_there(conversion, tmp_path):
    with pytest.raises(ValueError, match="folder .* must exist"):
        conversion[1].save(tmp_path / "missing" / "report.json")
    with pytest.raises(ValueError, match="must be a file, not a folder"):
        conversion[1].save(tmp_path)


def one_layer_report(format, **how):
    model = keras.Sequential([keras.Input((16,)), layers.Dense(12)])
    _, report = tk.convert(model, format, min_compression=0.0, **how)
    return report


@pytest.mark.parametrize(
    ("format", "ranks", "cut"),
    [
        (tk.formats.LowRank(12), (12,), False),
        (tk.formats.LowRank(13), (12,), True),
        (tk.formats.LowRank(9, rank_multiple=8), (12,), True),
        (tk.formats.LowRank(7, rank_multiple=8), (8,), False),
        (tk.formats.LowRank(0.5), (3,), False),
        (tk.formats.TensorTrain(6, (4, 4), (4, 3)), (6,), False),
        (tk.formats.TensorTrain((99,), (4, 4), (4, 3)), (12,), True),
    ],
)
def test_a_rank_above_the_attainable_is_cut_and_reported(format, ranks, cut):
    report = one_layer_report(format)
    (row,) = report.replaced
    assert (row.ranks, row.cut) == (ranks, cut)
    assert report.to_dict()["layers"][0]["cut"] is cut
    assert ("(cut)" in str(report)) is cut


def test_a_search_of_modes_cuts_no_rank():
    (row,) = one_layer_report(
        tk.formats.TensorTrain(12), search_modes=True
    ).replaced
    assert not row.cut
