import dataclasses
import time

import pytest

from tensornet_keras.contraction import calibration, cost, devices, store
from tensornet_keras.contraction.calibration import calibrate, fitted, probes
from tensornet_keras.contraction.cost import CPU, GPU

RATES = ("multiply_adds", "bytes_moved", "bytes_shuffled", "window_adds")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture
def few_probes(monkeypatch):
    """Two probes of little work, so that a test takes no time."""
    few = [
        cost.Shapes("matmul", ((16, 16), (16, 16))),
        cost.Shapes("move", ((16, 16, 16),), (1, 0, 2)),
    ]
    monkeypatch.setattr(calibration, "probes", lambda scale: few)
    monkeypatch.setattr(calibration, "BUDGET", 0.0)


def test_layers_plan_with_what_was_measured(cache, few_probes):
    typical = devices.machine_for("float32")
    machine = calibrate()
    assert machine != typical
    assert devices.machine_for("float32") == machine
    devices.forget_machines()
    assert devices.machine_for("float32") == machine
    assert devices.machine_for("float64") != machine


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_type_has_rates_of_its_own(cache, few_probes, dtype):
    machine = calibrate(dtype)
    assert machine.itemsize == 2
    assert devices.machine_for(dtype) == machine


def test_without_a_cache_folder_rates_are_for_this_process(few_probes):
    typical = devices.machine_for("float32")
    machine = calibrate()
    assert devices.machine_for("float32") == machine != typical
    devices.forget_machines()
    assert devices.machine_for("float32") == typical


def test_a_cache_folder_that_cannot_be_written_is_said(
    tmp_path, monkeypatch, few_probes
):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv(store.VARIABLE, str(blocked))
    with pytest.warns(UserWarning, match="this process alone") as caught:
        machine = calibrate()
    assert len(caught) == 1
    assert str(blocked) in str(caught[0].message)
    assert devices.machine_for("float32") == machine


def test_rates_that_were_set_aside_are_measured_anew(cache, few_probes):
    calibrate()
    [path] = cache.iterdir()
    path.write_text("{")
    devices.forget_machines()
    with pytest.warns(UserWarning, match="set aside") as caught:
        devices.machine_for("float32")
    assert len(caught) == 1
    machine = calibrate()
    devices.forget_machines()
    assert devices.machine_for("float32") == machine


@pytest.mark.slow
def test_all_probes_together_take_seconds(cache):
    start = time.perf_counter()
    machine = calibrate()
    assert time.perf_counter() - start < 60
    assert 1e8 < machine.multiply_adds < 1e16
    assert 1e7 < machine.bytes_moved < 1e14


@pytest.mark.parametrize("scale", [1, 16])
def test_the_probes_cover_every_rate(scale):
    steps = probes(scale)
    for name in calibration._FITTED:
        faster = dataclasses.replace(CPU, **{name: 2 * getattr(CPU, name)})
        assert any(
            cost.seconds(step, faster) != cost.seconds(step) for step in steps
        ), name


@pytest.mark.parametrize(
    ("true", "scale"), [(CPU, 1), (GPU, 16)], ids=["CPU", "GPU"]
)
def test_rates_are_found_again_from_the_times_they_give(true, scale):
    call = 1e-4
    samples = [
        (step, call + cost.seconds(step, true)) for step in probes(scale)
    ]
    start = dataclasses.replace(
        true, **{name: 0.4 * getattr(true, name) for name in RATES}
    )
    found = fitted(start, samples, call)
    for name in ("multiply_adds", "bytes_moved", "bytes_shuffled"):
        assert getattr(found, name) == pytest.approx(
            getattr(true, name), rel=0.3
        ), name
    for step, seconds in samples:
        predicted = cost.seconds(step, found) + call
        assert predicted == pytest.approx(seconds, rel=0.15)


def test_one_disturbed_time_changes_little():
    samples = [(step, cost.seconds(step)) for step in probes()]
    step, seconds = samples[0]
    samples[0] = (step, 30 * seconds)
    found = fitted(CPU, samples)
    for step, seconds in samples[1:]:
        assert cost.seconds(step, found) == pytest.approx(seconds, rel=0.5)


def test_what_no_probe_tells_stays():
    found = fitted(CPU, [(cost.Shapes("move", ((512, 512),), (1, 0)), 1.0)])
    assert found.multiply_adds == CPU.multiply_adds
    assert found.bytes_shuffled < CPU.bytes_shuffled / 10


def test_types_without_rates_are_refused():
    with pytest.raises(ValueError, match="Received: dtype='int8'"):
        calibrate("int8")
