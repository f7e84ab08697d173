"""Cores in eight bits: stored as integers with scales, used as floats.

Each slice of a core along its longest axis has a scale of its own, so that
its largest number becomes 127. Contractions run in the compute dtype.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

MODE = "int8"
LARGEST = 127


def check_policy(policy) -> None:
    """Refuses quantized dtype policies but that of eight bits.

    Args:
        policy: The dtype policy of a layer.

    Raises:
        ValueError: If it is another quantized one.
    """
    if policy.quantization_mode not in (None, MODE):
        raise ValueError(
            "A factorized layer is quantized to int8 or not at all. "
            f"Received: dtype={policy.name!r}. "
            'Use a float policy, or model.quantize("int8").'
        )


def quantized(array) -> tuple[np.ndarray, np.ndarray]:
    """A core as integers of eight bits, and the scale of each slice.

    Args:
        array: The core.

    Returns:
        Integers in [-127, 127], and scales that broadcast with them: their
        product is the core but for rounding.
    """
    array = np.asarray(array, np.float32)
    axis = int(np.argmax(array.shape))
    others = tuple(k for k in range(array.ndim) if k != axis)
    largest = np.abs(array).max(axis=others, keepdims=True)
    scale = np.where(largest > 0.0, largest / LARGEST, 1.0).astype(np.float32)
    return np.rint(array / scale).astype(np.int8), scale


def scale_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the scales of a core.

    Args:
        shape: The shape of the core.
    """
    axis = int(np.argmax(shape))
    return tuple(size if k == axis else 1 for k, size in enumerate(shape))


def add_cores(layer, shapes) -> tuple[list, list]:
    """Adds the variables of cores in eight bits to a layer.

    Args:
        layer: The layer, its state not locked.
        shapes: The shapes of the cores.

    Returns:
        The integers and the scales, one variable of each per core.
    """
    integers = [
        layer.add_weight(
            name=f"core_{number}",
            shape=shape,
            dtype="int8",
            initializer="zeros",
            trainable=False,
            autocast=False,
        )
        for number, shape in enumerate(shapes)
    ]
    scales = [
        layer.add_weight(
            name=f"core_{number}_scale",
            shape=scale_shape(tuple(shape)),
            dtype="float32",
            initializer="ones",
            trainable=False,
            autocast=False,
        )
        for number, shape in enumerate(shapes)
    ]
    return integers, scales


def assign(integers, scales, cores) -> None:
    """Gives quantized cores these numbers, rounded.

    Args:
        integers: The variables of the integers.
        scales: The variables of the scales.
        cores: One array per core.
    """
    for variable, scale, core in zip(integers, scales, cores, strict=True):
        rounded, size = quantized(core)
        variable.assign(rounded)
        scale.assign(size)


def dequantized(integers, scales, dtype: str) -> list:
    """The cores that quantized ones stand for.

    Args:
        integers: The variables of the integers.
        scales: The variables of the scales.
        dtype: The float type to compute in.
    """
    return [
        ops.cast(ops.multiply(ops.cast(core, "float32"), scale), dtype)
        for core, scale in zip(integers, scales, strict=True)
    ]


def policy_from(policy) -> keras.DTypePolicy:
    """The policy of a layer whose cores are in eight bits.

    Args:
        policy: Its policy so far.
    """
    return keras.dtype_policies.get(f"{MODE}_from_{policy.name}")
