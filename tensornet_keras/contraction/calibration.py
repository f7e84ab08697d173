"""Calibration: the rates of the device at hand, from a few short probes.

The probes are steps of the kinds that plans are made of, of few shapes each.
They are timed in turns through the Keras backend, and the rates are those
with which the cost model predicts the times best, in the mean square of their
logarithms; a rate on which no probe depends stays as it is.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence

import numpy as np
import scipy.optimize
from keras import ops

from tensornet_keras import backend, validation
from tensornet_keras.contraction import cost, devices, store
from tensornet_keras.contraction.cost import Machine, Shapes
from tensornet_keras.contraction.measure import interleaved_seconds
from tensornet_keras.contraction.running import depthwise

DTYPES = ("float16", "bfloat16", "float32", "float64")
# Seconds to time all probes in, once they are compiled.
BUDGET = 1.5
# On an accelerator the probes are this many times longer.
ACCELERATED = 16
# How many e-folds a rate may leave its default to cost as much as a probe
# that is off by one.
HELD = 4.0
_FITTED = (
    "multiply_adds",
    "half_long",
    "half_short",
    "half_contracted",
    "bytes_moved",
    "bytes_cached",
    "bytes_shuffled",
    "short_run",
    "launch",
    "stacked",
    "window_adds",
)
# Products in a row that tell the cost of a start.
_CHAIN = 32


def calibrate(dtype: str = "float32") -> Machine:
    """Measures the rates of the device at hand, once, for the cost model.

    Layers plan with them from then on, in this process and in later ones with
    the same backend, device and version of this package: they are kept in the
    user's cache folder, which `$TENSORNET_KERAS_CACHE` names. Where that
    cannot be written, a warning says that they serve this process alone. It
    takes a few seconds; leave the machine alone meanwhile.

    Args:
        dtype: The type that layers compute in: `"float16"`, `"bfloat16"`,
            `"float32"` or `"float64"`.

    Returns:
        The rates, in numbers and bytes a second.

    Raises:
        ValueError: If `dtype` is another type.

    Example:
        >>> import tensornet_keras as tk
        >>> machine = tk.calibrate()
        >>> machine.multiply_adds > 1e6
        True
    """
    dtype = validation.one_of(dtype, DTYPES, "dtype")
    start = devices.default_machine(dtype)
    steps = probes(1 if backend.accelerator() is None else ACCELERATED)
    none, chain, *times = interleaved_seconds(
        [
            _nothing(dtype),
            _chain(dtype),
            *(_probe(step, dtype) for step in steps),
        ],
        BUDGET,
        # The least is what the device can do when nothing disturbs it.
        of_all=min,
    )
    machine = fitted(start, list(zip(steps, times, strict=True)), none)
    # Without a graph every operation is started as the call is.
    launch = max(machine.launch, (chain - none) / _CHAIN)
    machine = dataclasses.replace(machine, launch=launch)
    if not devices.keep_machine(machine, dtype) and not store.is_off():
        warnings.warn(
            "The cache folder must be writable for rates to be kept. "
            f"Received: {store.folder()!r}, which is not. These serve this "
            f"process alone; name a folder by ${store.VARIABLE}.",
            stacklevel=2,
        )
    return machine


def probes(scale: int = 1) -> list[Shapes]:
    """The steps that are timed.

    Args:
        scale: How many times longer than for a CPU.
    """
    n = scale
    products = [
        ((512 * n, 512), (512, 512)),
        ((2048 * n, 64), (64, 64)),
        ((8192 * n, 16), (16, 32)),
        ((8192 * n, 4), (4, 64)),
        ((256 * n, 1024), (1024, 16)),
        ((32, 256), (256, 2048 * n)),
        ((1, 512), (512, 512 * n)),
        ((1, 2048), (2048, 4096 * n)),
        ((8, 64), (512 * n, 64, 32)),
        ((64, 256), (16 * n, 256, 64)),
        ((64 * n, 64, 32), (64 * n, 32, 64)),
        ((2048 * n, 8, 8), (2048 * n, 8, 8)),
    ]
    moves = [
        ((64 * n, 64, 64), (1, 0, 2)),
        ((512 * n, 64, 4), (1, 0, 2)),
        ((512 * n, 1024, 8), (1, 0, 2)),
        ((512 * n, 512), (1, 0)),
        ((64 * n, 512, 16), (0, 2, 1)),
        ((1024 * n, 64, 64), (0, 2, 1)),
    ]
    image = (4 * n, 16, 16)
    windows = [
        ("convolve", (*image, 64), (3, 3, 64, 64), (*image, 64)),
        ("convolve", (*image, 8), (3, 3, 8, 64), (*image, 64)),
        ("depthwise", (*image, 64), (3, 3, 64, 1), (*image, 64)),
        ("depthwise", (*image, 512), (3, 3, 512, 1), (*image, 512)),
    ]
    return [
        *(Shapes("matmul", operands) for operands in products),
        *(Shapes("move", (shape,), axes) for shape, axes in moves),
        *(Shapes(kind, tuple(shapes)) for kind, *shapes in windows),
    ]


def fitted(
    start: Machine, samples: Sequence[tuple[Shapes, float]], call: float = 0.0
) -> Machine:
    """The machine whose predictions are the nearest to measured times.

    Args:
        start: Where to begin. A rate that the times say little of stays near
            it; the sizes of the cache and of a number stay as they are.
        samples: Steps and their times in seconds.
        call: Seconds that every time holds for the call alone.
    """

    def machine(exponents) -> Machine:
        changed = {
            name: getattr(start, name) * math.exp(exponent)
            for name, exponent in zip(_FITTED, exponents, strict=True)
        }
        return dataclasses.replace(start, **changed)

    def errors(exponents) -> np.ndarray:
        guess = machine(exponents)
        missed = [
            math.log((cost.seconds(step, guess) + call) / seconds)
            for step, seconds in samples
        ]
        return np.array([*missed, *(exponents / HELD)])

    # A time that something else disturbed counts little.
    found = scipy.optimize.least_squares(
        errors,
        np.zeros(len(_FITTED)),
        loss="soft_l1",
        f_scale=0.3,
        diff_step=1e-2,
        bounds=(-7.0, 7.0),
        max_nfev=40,
    )
    return machine(found.x)


def _nothing(dtype):
    """A call of a compiled function that does next to nothing."""
    run = backend.compiled(lambda x: x + 1)
    x = ops.ones((8, 8), dtype)
    return lambda: run(x)


def _chain(dtype):
    """Products in a row, so small that only their starts take time."""
    # A mean of rows, over and over, stays what it is.
    x = ops.full((8, 8), 1 / 8, dtype)

    def products(x, y):
        for _ in range(_CHAIN):
            y = ops.matmul(x, y)
        return y

    run = backend.compiled(products)
    return lambda: run(x, x)


def _probe(step: Shapes, dtype):
    """A compiled call of one step on random numbers."""
    generator = np.random.default_rng(0)
    given = step.operands if step.kind == "matmul" else step.operands[:2]
    tensors = [
        ops.convert_to_tensor(generator.random(shape, "float32"), dtype)
        for shape in given
    ]
    run = backend.compiled(_OPERATIONS[step.kind](step))
    return lambda: run(*tensors)


def _transpose(step):
    # Where a transposition is a view, the reshape moves the numbers.
    return lambda x: ops.reshape(ops.transpose(x, step.axes), (-1,))


def _convolve(step):
    return lambda inputs, kernel: ops.conv(inputs, kernel, **_HOW)


def _depthwise(step):
    return lambda inputs, kernel: depthwise(inputs)(inputs, kernel, **_HOW)


_HOW = {
    "strides": (1, 1),
    "padding": "same",
    "data_format": "channels_last",
    "dilation_rate": (1, 1),
}
_OPERATIONS = {
    "matmul": lambda step: ops.matmul,
    "move": _transpose,
    "convolve": _convolve,
    "depthwise": _depthwise,
}
