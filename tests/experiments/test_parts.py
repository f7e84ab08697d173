"""Long experiments: parts that are done are not done again."""

from types import SimpleNamespace

import pytest

from experiments import record, run
from experiments.parts import Parts

SETTINGS = {"ratios": [0.5, 0.3], "epochs": 2}


@pytest.fixture
def commit(monkeypatch):
    """A function that says which commit the checkout is at."""

    def is_at(name):
        monkeypatch.setattr(record, "provenance", lambda: {"commit": name})

    is_at("abc")
    return is_at


def config(done, broken=()):
    """A config that notes what it is asked for, and may break off."""

    def run(data, settings, seed):
        (ratio,) = settings["ratios"]
        if ratio in broken:
            raise KeyboardInterrupt
        done.append((seed, ratio))
        return {"accuracy": 0.9, f"at {ratio}": ratio + seed}

    return SimpleNamespace(PARTS="ratios", run=run)


def broken_off(folder):
    with pytest.raises(KeyboardInterrupt):
        Parts("name", SETTINGS, folder).run(config([], {0.3}), None, 1)


def test_a_run_that_broke_off_goes_on(tmp_path, commit):
    broken_off(tmp_path)
    done = []
    parts = Parts("name", SETTINGS, tmp_path)
    metrics, seconds = parts.run(config(done), None, 1)
    assert done == [(1, 0.3)]
    assert metrics == {"accuracy": 0.9, "at 0.5": 1.5, "at 0.3": 1.3}
    assert seconds > 0
    parts.run(config(done), None, 2)
    assert done == [(1, 0.3), (2, 0.5), (2, 0.3)]
    parts.forget()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({**SETTINGS, "epochs": 3}, "abc"),
        (SETTINGS, "def"),
        (SETTINGS, "abc+"),
        (SETTINGS, None),
    ],
)
def test_what_another_run_did_is_not_taken_up(tmp_path, commit, settings, name):
    broken_off(tmp_path)
    commit(name)
    done = []
    Parts("name", settings, tmp_path).run(config(done), None, 1)
    assert done == [(1, 0.5), (1, 0.3)]


def test_a_whole_run_leaves_its_result_alone(tmp_path, monkeypatch):
    whole = config([])
    vars(whole).update(SETTINGS=SETTINGS, SEEDS=(1,), DATA=None, TARGETS={})
    monkeypatch.setattr(run, "config", lambda name: whole)
    result, path = run.run("name", output=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert list(result["summary"]) == ["accuracy", "at 0.5", "at 0.3"]
