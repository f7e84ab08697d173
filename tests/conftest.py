"""Every test starts from the same seeds, on a quiet backend."""

import gc
import importlib.util
import os
import random
import subprocess
import sys
import textwrap

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# JAX compiles every operation of every shape; tests have few numbers to run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Workers on every core: more threads would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# No plan of a test depends on what was measured on this machine before.
os.environ["TENSORNET_KERAS_CACHE"] = os.devnull

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile(
    "reproducible",
    deadline=None,
    derandomize=True,
    max_examples=30,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("reproducible")


def pytest_collection_finish():
    """What was imported stays: the collector need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def fixed_seeds():
    """The same seeds and layer names, whatever ran before."""
    keras = sys.modules.get("keras")
    if keras is None:
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 -- libraries draw from it
    else:
        keras.backend.clear_session(free_memory=False)
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def unmeasured_devices():
    """No rates that a test before has measured in this process."""
    devices = sys.modules.get("tensornet_keras.contraction.devices")
    if devices is not None:
        devices.forget_machines()


@pytest.fixture
def fresh_process(tmp_path):
    """Runs code in a Python process of its own; returns what it printed.

    Keywords are environment variables. A backend that is not installed skips
    the test, but never in CI, where it fails.
    """

    def run(code, **environment):
        backend = environment.get("KERAS_BACKEND", "tensorflow")
        missing = importlib.util.find_spec(backend) is None
        if missing and not os.environ.get("CI"):
            pytest.skip(f"{backend} is not installed")
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout.strip()

    return run
