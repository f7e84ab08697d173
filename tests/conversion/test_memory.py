"""How much memory a conversion takes, measured in a process of its own."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

PEAK = pathlib.Path("/proc/self/clear_refs")

# A kernel of 100 MB that is decomposed or copied, and a small one.
SCRIPT = """
import keras

import tensornet_keras as tk


def kilobytes(key):
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(key))
    return int(line.split()[1])


def rise(*conversion, **options):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = kilobytes("VmRSS")
    small, _ = tk.convert(*conversion, **options)
    size = model.count_params() * 4 / 1024
    print((kilobytes("VmHWM") - before) / size)
    return small


def dense(units, name):
    return keras.layers.Dense(units, kernel_initializer="zeros", name=name)


model = keras.Sequential([keras.Input((4096,)), dense(6144, "large")])
model.add(dense(16, "small"))
ones = keras.ops.ones((4096, 6144))
model.layers[0].kernel.assign(ones)
del ones
train = tk.formats.TensorTrain(rank=2)
# What is loaded on first use is no part of it.
tk.convert(keras.Sequential([keras.Input((16,)), dense(16, "tiny")]), train)
rise(model, train, filters="small")
rise(model, train, filters="large")
"""


@pytest.fixture(scope="module")
def rises():
    """Rise of the peak over the model's bytes: large kernel kept, replaced."""
    if not PEAK.exists():
        pytest.skip("The peak of the memory is reset on Linux only.")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return tuple(map(float, done.stdout.split()[-2:]))


def test_layers_that_are_copied_take_no_more_than_the_new_model(rises):
    assert rises[0] < 1.2


def test_a_large_kernel_is_decomposed_in_a_fraction_of_its_memory(rises):
    assert rises[1] < 1.0
