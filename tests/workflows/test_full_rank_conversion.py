"""Full rank changes nothing, whatever the arguments of the layers are."""

import dataclasses

import pytest

import tensornet_keras as tk
from tests.layer_variants import data_for_every_variant, every_variant
from tests.small_models import (
    FULL_RANK,
    assert_same_outputs,
    assert_same_values,
    values_of,
)


@pytest.fixture(scope="module")
def source():
    return every_variant()


@pytest.fixture(scope="module")
def conversion(source):
    return tk.convert(source, FULL_RANK, min_compression=0)


def test_every_dense_and_conv_layer_is_replaced(conversion):
    _, report = conversion
    kept = {row.kind for row in report.rows if row.action == "kept"}
    assert kept == {"Concatenate", "Flatten", "LayerNormalization"}


def test_full_rank_conversion_keeps_the_outputs(source, conversion):
    small, _ = conversion
    data = data_for_every_variant()

    def predicted(model):
        return model.predict(data, verbose=0)

    assert_same_outputs(predicted(source), predicted(small))


def test_an_error_of_zero_is_full_rank(source, conversion):
    small, report = conversion
    exact, same = tk.convert(source, "tt", error=0, min_compression=0)
    # Ranks above the attainable were cut, and an error asks for none.
    assert not any(row.cut for row in same.rows)
    rows = [dataclasses.replace(row, cut=False) for row in report.rows]
    assert same == dataclasses.replace(report, rows=tuple(rows))
    assert_same_values(values_of(small), values_of(exact))
