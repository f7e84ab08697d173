import json
import os
import subprocess
import sys
import textwrap

import pytest

import tensornet_keras as tk
from tensornet_keras.contraction import store


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(**changed):
    """A file of a key, as the package writes it but for what is changed."""
    content = {"version": tk.__version__, "key": "a key", "data": 7}
    return json.dumps(content | changed)


def files(folder):
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_what_is_saved_is_loaded(cache):
    data = {"order": [[0, 1], 2], "tiles": 4, "seconds": 1.5e-3}
    assert store.load("a key") is None
    assert store.save("a key", data)
    assert store.load("a key") == data
    assert store.load("another key") is None
    assert store.load("a key", lambda data: data["tiles"]) == 4


def test_every_key_has_one_file_that_the_last_save_fills(cache):
    store.save("a", 1)
    store.save("b", 2)
    store.save("a", 3)
    assert (store.load("a"), store.load("b")) == (3, 2)
    assert len(files(cache)) == 2


def test_keys_that_look_alike_have_files_of_their_own(cache):
    keys = ["a/b", "a b", "A b", "a-b", "x" * 300, "x" * 301, "", "…"]
    for number, key in enumerate(keys):
        assert store.save(key, number)
    assert [store.load(key) for key in keys] == list(range(len(keys)))


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"version": 1, "key": "a key", "da',
        "[]",
        "{}",
        written(key="another key"),
        written(version="0"),
        written(version=1),
        written(data="seven"),
        b"\xff\xfe\x00",
    ],
    ids=[
        "empty",
        "cut",
        "list",
        "bare",
        "key",
        "version",
        "number",
        "data",
        "bytes",
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside_once(cache, content):
    store.save("a key", 7)
    [name] = files(cache)
    if isinstance(content, str):
        content = content.encode()
    (cache / name).write_bytes(content)
    with pytest.warns(UserWarning, match="set aside") as caught:
        assert store.load("a key", int) is None
    assert len(caught) == 1
    assert caught[0].filename.endswith(os.path.basename(__file__))
    assert files(cache) == [f"{name}.bad"]
    assert (cache / f"{name}.bad").read_bytes() == content
    assert store.load("a key", int) is None
    assert store.save("a key", 7)
    assert store.load("a key", int) == 7


def test_an_unwritable_folder_means_no_cache(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv(store.VARIABLE, str(blocked))
    assert not store.save("a key", 7)
    assert store.load("a key") is None
    monkeypatch.setenv(store.VARIABLE, str(blocked / "below"))
    assert not store.save("a key", 7)
    assert store.load("a key") is None
    assert blocked.read_text() == "no folder"


def test_a_bad_file_that_cannot_be_renamed_is_left(cache, monkeypatch):
    store.save("a key", 7)
    [name] = files(cache)
    (cache / name).write_text("{")

    def refuse(source, target):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(UserWarning, match="cannot be renamed"):
        assert store.load("a key") is None
    assert not store.save("a key", 7)
    assert files(cache) == [name]


def test_a_bad_file_that_another_process_set_aside_is_no_news(
    cache, monkeypatch
):
    store.save("a key", 7)
    [name] = files(cache)
    (cache / name).write_text("{")
    replace = os.replace

    def late(source, target):
        replace(source, target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", late)
    assert store.load("a key") is None
    assert files(cache) == [f"{name}.bad"]


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "/users/me/.cache/tensornet_keras"),
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/tensornet_keras"),
        ("linux", {"XDG_CACHE_HOME": "x"}, "/users/me/.cache/tensornet_keras"),
        ("darwin", {}, "/users/me/Library/Caches/tensornet_keras"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tensornet_keras"),
        ("win32", {}, "/users/me/AppData/Local/tensornet_keras"),
        ("linux", {store.VARIABLE: "~/mine"}, "/users/me/mine"),
        ("linux", {store.VARIABLE: ""}, "/users/me/.cache/tensornet_keras"),
    ],
)
@pytest.mark.skipif(os.sep != "/", reason="paths are written for POSIX")
def test_the_folder_is_where_the_platform_keeps_caches(
    platform, environment, expected, monkeypatch
):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", store.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/users/me")
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert store.folder() == expected


WRITER = """
import sys
from tensornet_keras.contraction import store

number = int(sys.argv[1])
sys.stdin.readline()
for count in range(200):
    assert store.save("shared", [number] * 500 * (1 + count % 3))
    read = store.load("shared")
    assert read is not None and len(set(read)) == 1, read
"""


def test_two_processes_write_one_key_at_once(cache):
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(WRITER), n],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in ("1", "2")
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    assert set(store.load("shared")) in ({1}, {2})
    assert len(files(cache)) == 1
