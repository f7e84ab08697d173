"""Devices: what runs the layers, its rates, and the names of its plans.

Rates that `calibrate` measured, in this process or as the user's cache folder
has them, else typical ones of the kind of device. Nothing is measured here.
"""

from __future__ import annotations

import dataclasses
import math
import os
import platform
import re
from functools import lru_cache

from tensornet_keras import backend
from tensornet_keras.contraction import store
from tensornet_keras.contraction.cost import CPU, GPU, Machine
from tensornet_keras.contraction.steps import Positions

BYTES = {"float16": 2, "bfloat16": 2, "float64": 8}
# A core of a GPU multiplies numbers of 16 bits this many times faster.
SHORT_SPEED = 4
# The rates in use, by the folder they would be read from and their key.
_MACHINES: dict[tuple[str, str], Machine] = {}
XLA = "-xla"


@lru_cache(maxsize=1)
def device_kind() -> str:
    """The kind of the device that layers run on, as part of names.

    Two machines of one kind are expected to rank plans alike: an accelerator
    by its model, a CPU by its model and the cores this process may use.

    Returns:
        Words such as `"nvidia-h200"` or `"amd-epyc-2-cores"`.
    """
    accelerator = backend.accelerator()
    if accelerator:
        return _slug(accelerator)
    cores = _cores()
    return f"{_slug(_processor())}-{cores}-core{'s' if cores > 1 else ''}"


def machine_for(dtype: str = "float32") -> Machine:
    """The rates of the device at hand.

    Args:
        dtype: The type that the layer computes in.

    Returns:
        What `calibrate` has measured with this backend, device and version
        of the package, or typical rates of a CPU or a GPU.
    """
    key = _machine_key(dtype)
    place = store.folder(), key
    if place not in _MACHINES:
        kept = store.load(key, Machine.from_dict)
        _MACHINES[place] = kept or default_machine(dtype)
    return _MACHINES[place]


def keep_machine(machine: Machine, dtype: str) -> bool:
    """Keeps measured rates for this process and, where it can, later ones.

    Args:
        machine: The rates.
        dtype: The type that they were measured in.

    Returns:
        Whether they could be written to the cache folder.
    """
    key = _machine_key(dtype)
    _MACHINES[store.folder(), key] = machine
    return store.save(key, dataclasses.asdict(machine))


def forget_machines() -> None:
    """Lets rates be read from the cache folder anew, as by a new process."""
    _MACHINES.clear()


def itemsize_of(dtype: str) -> int:
    """Bytes of a number.

    Args:
        dtype: Its type.
    """
    return BYTES.get(dtype, 4)


def default_machine(dtype: str = "float32") -> Machine:
    """Typical rates of the kind of device at hand, not measured.

    Args:
        dtype: The type that the layer computes in.
    """
    itemsize = itemsize_of(dtype)
    if backend.accelerator() is None:
        return dataclasses.replace(CPU, itemsize=itemsize)
    rate = GPU.multiply_adds
    if itemsize < 4:
        rate *= SHORT_SPEED
    return dataclasses.replace(GPU, itemsize=itemsize, multiply_adds=rate)


def tuning_key(
    batch: int,
    dtype: str,
    mode: str,
    positions: Positions = ((), ()),
    xla: bool = False,
) -> str:
    """The name under which a measured plan is kept.

    Args:
        batch: Batch size; those up to the next power of two share a name.
        dtype: The type that the layer computes in.
        mode: `"inference"`, `"training"` or `"frozen"`, or such a name with
            another one behind it.
        positions: As in `plan_for`; their number, too, shares a name with
            those up to the next power of two.
        xla: Whether TensorFlow compiles by XLA.

    Returns:
        A string such as
        `"amd-epyc-2-cores/tensorflow/batch-32/float32/inference"`, or
        `"...-xla/batch-32x1024/..."` for images of 32 by 32, by XLA.
    """
    size, rows = bucket(batch), bucket(math.prod(positions[0]))
    many = f"x{rows}" if rows > 1 else ""
    where = f"{device_kind()}/{backend.name()}{XLA if xla else ''}"
    return f"{where}/batch-{size}{many}/{dtype}/{mode}"


def bucket(number: int) -> int:
    """The least power of two that is not below a number.

    Args:
        number: A number, 1 at least.
    """
    return 1 << (number - 1).bit_length()


def is_of_this_device(key: str) -> bool:
    """Whether a plan was measured on a device like this one.

    Args:
        key: A name that `tuning_key` made, here or elsewhere.
    """
    here = f"{device_kind()}/{backend.name()}"
    return key.startswith((f"{here}/", f"{here}{XLA}/"))


def _machine_key(dtype: str) -> str:
    return f"rates/{device_kind()}/{backend.name()}/{dtype}"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """The model of the CPU."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            named = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.M)
    except OSError:
        named = None
    return named[1] if named else platform.processor() or platform.machine()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
