import dataclasses
import json
import os

import pytest

import tensornet_keras
from tensornet_keras import backend
from tensornet_keras.contraction import devices, store
from tensornet_keras.contraction.cost import CPU, GPU


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(store.VARIABLE, str(tmp_path))
    return tmp_path


def on_accelerator(monkeypatch, name="Some GPU (80 GB)"):
    monkeypatch.setattr(backend, "accelerator", lambda: name)
    devices.device_kind.cache_clear()


@pytest.fixture(autouse=True)
def forget_the_device():
    yield
    devices.device_kind.cache_clear()


def test_the_kind_of_a_device_is_one_word():
    kind = devices.device_kind()
    assert kind == devices.device_kind()
    assert set(kind) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_the_kind_of_a_cpu_counts_its_cores(monkeypatch):
    monkeypatch.setattr(backend, "accelerator", lambda: None)
    monkeypatch.setattr(devices, "_processor", lambda: "Fast(R) CPU @ 3 GHz")
    for cores, words in ((1, "1-core"), (12, "12-cores")):
        devices.device_kind.cache_clear()
        monkeypatch.setattr(devices, "_cores", lambda cores=cores: cores)
        assert devices.device_kind() == f"fast-r-cpu-3-ghz-{words}"


def test_the_kind_of_an_accelerator_is_its_model(monkeypatch):
    on_accelerator(monkeypatch)
    assert devices.device_kind() == "some-gpu-80-gb"


def test_without_measurements_rates_are_those_of_the_kind(monkeypatch):
    monkeypatch.setattr(backend, "accelerator", lambda: None)
    assert devices.machine_for("float32") == CPU
    assert devices.machine_for("bfloat16").itemsize == 2
    assert devices.machine_for("float64").itemsize == 8
    on_accelerator(monkeypatch)
    assert devices.machine_for("float32") == GPU
    short = devices.machine_for("float16")
    assert short.multiply_adds > GPU.multiply_adds
    assert short.itemsize == 2


def test_measured_rates_are_kept_for_their_type_alone(cache):
    devices.machine_for("float16")
    measured = dataclasses.replace(CPU, launch=1e-3)
    assert devices.machine_for("float32") == devices.default_machine()
    assert devices.keep_machine(measured, "float32")
    assert devices.machine_for("float32") == measured
    assert devices.machine_for("float16") == devices.default_machine("float16")
    assert len(os.listdir(cache)) == 1


def test_rates_of_another_version_are_set_aside_and_rebuilt(cache, monkeypatch):
    measured = dataclasses.replace(CPU, launch=1e-3)
    devices.keep_machine(measured, "float32")
    [name] = os.listdir(cache)
    monkeypatch.setattr(tensornet_keras, "__version__", "99")
    devices.forget_machines()
    with pytest.warns(UserWarning, match="its version is") as caught:
        assert devices.machine_for("float32") == devices.default_machine()
    assert len(caught) == 1
    assert os.listdir(cache) == [f"{name}.bad"]
    # Once is enough.
    devices.forget_machines()
    assert devices.machine_for("float32") == devices.default_machine()
    assert devices.keep_machine(measured, "float32")
    devices.forget_machines()
    assert devices.machine_for("float32") == measured


def test_rates_that_make_no_sense_are_set_aside(cache):
    devices.keep_machine(CPU, "float32")
    [name] = os.listdir(cache)
    content = json.loads((cache / name).read_text())
    content["data"]["launch"] = -1.0
    (cache / name).write_text(json.dumps(content))
    devices.forget_machines()
    with pytest.warns(UserWarning, match="launch=-1.0"):
        machine = devices.machine_for("float32")
    assert machine == devices.default_machine()
    assert os.listdir(cache) == [f"{name}.bad"]


def test_rates_are_read_from_disk_once(monkeypatch):
    devices.machine_for("float32")
    monkeypatch.setattr(store, "load", None)
    assert devices.machine_for("float32") == devices.default_machine()


def test_without_a_cache_folder_rates_are_for_this_process(monkeypatch):
    monkeypatch.setenv(store.VARIABLE, os.devnull)
    measured = dataclasses.replace(CPU, launch=1e-3)
    assert devices.machine_for("float32") == devices.default_machine()
    assert not devices.keep_machine(measured, "float32")
    assert devices.machine_for("float32") == measured
    devices.forget_machines()
    assert devices.machine_for("float32") == devices.default_machine()


def test_a_key_names_device_backend_batch_type_and_mode():
    key = devices.tuning_key(32, "float32", "training")
    assert key == (
        f"{devices.device_kind()}/{backend.name()}/batch-32/float32/training"
    )


@pytest.mark.parametrize(
    ("batch", "bucket"),
    [(1, "1"), (2, "2"), (3, "4"), (32, "32"), (33, "64")],
)
def test_batches_up_to_a_power_of_two_share_a_key(batch, bucket):
    key = devices.tuning_key(batch, "float32", "inference")
    assert f"/batch-{bucket}/" in key


def test_positions_and_xla_are_in_a_key():
    def key(positions, xla=False):
        return devices.tuning_key(
            8, "float32", "inference", (positions, positions), xla
        )

    assert "/batch-8/" in key((1,))
    assert "/batch-8x64/" in key((8, 8)) == key((6, 10))
    assert key((8, 8)) != key((8, 9))
    assert "-xla/batch-8/" in key((), xla=True)
    assert devices.is_of_this_device(key((), xla=True))


def test_a_key_of_another_device_is_told(monkeypatch):
    key = devices.tuning_key(32, "float32", "inference")
    assert devices.is_of_this_device(key)
    on_accelerator(monkeypatch)
    assert not devices.is_of_this_device(key)
    assert not devices.is_of_this_device("")
