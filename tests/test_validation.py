import os

import numpy as np
import pytest

from tensornet_keras import validation


@pytest.mark.parametrize("value", [1, 7, np.int32(7)])
def test_whole_numbers_become_ints(value):
    checked = validation.positive_integer(value, "units")
    assert checked == value
    assert type(checked) is int


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, r"at least 1\. Received: units=0"),
        (2.0, TypeError, r"whole number\. Received: units=2\.0 \(a float\)"),
        (True, TypeError, r"Received: units=True \(a bool\)"),
        (None, TypeError, "Received: units=None"),
    ],
)
def test_what_is_no_positive_integer_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        validation.positive_integer(value, "units")


@pytest.mark.parametrize("value", [(2, 3), [2, 3], np.array([2, 3])])
def test_iterables_of_whole_numbers_become_tuples(value):
    checked = validation.integer_tuple(value, "modes")
    assert checked == (2, 3)
    assert all(type(entry) is int for entry in checked)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (3, TypeError, r"Received: modes=3\. Pass for example modes=\(4, 8\)"),
        ("34", TypeError, "Received: modes='34'"),
        ((3, 0), ValueError, r"Received: modes=\(3, 0\)\. Replace 0 by"),
        ((3, 1.5), ValueError, r"Replace 1\.5 by"),
        ((3, True), ValueError, "Replace True by"),
    ],
)
def test_what_is_no_tuple_of_integers_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        validation.integer_tuple(value, "modes")


@pytest.mark.parametrize(
    ("value", "rank"),
    [(None, None), (3, 3), (0.5, 0.5), (1.0, 1.0), ([2, 3], (2, 3)), ((), ())],
)
def test_ranks_are_ints_tuples_shares_or_nothing(value, rank):
    checked = validation.rank(value)
    assert checked == rank
    assert type(checked) is type(rank)


@pytest.mark.parametrize("value", [0, 0.0, 0.5, np.float32(0.25)])
def test_relative_errors_lie_below_one(value):
    assert validation.relative_error(value) == value


@pytest.mark.parametrize(
    ("value", "error"),
    [(1.0, ValueError), (-0.1, ValueError), (float("nan"), ValueError)]
    + [("0.1", TypeError), (None, TypeError), (True, TypeError)],
)
def test_what_is_no_relative_error_is_refused(value, error):
    with pytest.raises(error, match=r"Received: error=.*error=0\.05"):
        validation.relative_error(value)


@pytest.mark.parametrize("value", [0, 2.5, 1e9])
def test_numbers_from_zero_up_are_taken(value):
    assert validation.non_negative(value, "min_compression") == value


@pytest.mark.parametrize("value", [-1, float("inf"), float("nan"), "1", None])
def test_numbers_below_zero_or_beyond_all_are_refused(value):
    with pytest.raises(ValueError, match="Received: min_compression="):
        validation.non_negative(value, "min_compression")


def test_a_new_file_in_a_folder_can_be_written(tmp_path):
    path = validation.writable_file(tmp_path / "new.json")
    assert path == str(tmp_path / "new.json")


def test_a_file_that_exists_needs_overwrite(tmp_path):
    path = tmp_path / "old.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="must not exist yet.*old.json"):
        validation.writable_file(path)
    assert validation.writable_file(path, overwrite=True) == str(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ValueError, match="a file, not a folder"):
        validation.writable_file(tmp_path, overwrite=True)


def test_a_missing_folder_is_named(tmp_path):
    path = tmp_path / "missing" / "new.json"
    with pytest.raises(ValueError, match="Create the folder '.*missing'"):
        validation.writable_file(path, name="report")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="exist and be writable"):
        validation.writable_file(tmp_path / "new.json")
