import json
import os

import pytest

from tensornet_keras import writing


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def test_a_draft_moves_into_place(tmp_path):
    with writing.draft(tmp_path / "a.txt") as beside:
        write(beside, "all")
        assert os.path.dirname(beside) == str(tmp_path)
        assert beside.endswith(".txt")
        assert not (tmp_path / "a.txt").exists()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_moves_into_place(tmp_path):
    with writing.draft(tmp_path / "model") as beside:
        os.mkdir(beside)
        write(os.path.join(beside, "part"), "one")
    assert os.listdir(tmp_path / "model") == ["part"]


def write_half(path, error):
    with writing.draft(path) as beside:
        write(beside, "half")
        raise error


def make_half(path):
    with writing.draft(path) as beside:
        os.mkdir(beside)
        write(os.path.join(beside, "part"), "one")
        raise RuntimeError


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_what_fails_half_way_leaves_what_was_there(tmp_path, error):
    write(tmp_path / "a.txt", "before")
    with pytest.raises(error):
        write_half(tmp_path / "a.txt", error)
    assert os.listdir(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


def test_a_folder_that_fails_half_way_is_removed(tmp_path):
    with pytest.raises(RuntimeError):
        make_half(tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_plain_data_becomes_json(tmp_path):
    writing.json_file(tmp_path / "a.json", {"shape": (1, 2), "none": None})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"shape": [1, 2], "none": None}
    assert text.endswith("\n")


def test_data_that_json_cannot_hold_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        writing.json_file(tmp_path / "a.json", {"a": 1, "set": {1}})
    assert os.listdir(tmp_path) == []
