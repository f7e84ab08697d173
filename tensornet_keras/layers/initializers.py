"""Cores such that the dense kernel they stand for is initialized right.

A product of cores drawn one by one has the wrong variance, by a factor that
grows with their number and ranks. Here every core is drawn semi-orthogonal
and the Frobenius norm of the *dense* kernel is then set exactly to what the
named initializer asks for, shared evenly by the cores.
"""

from __future__ import annotations

import contextlib
import math
from contextvars import ContextVar

import keras
import numpy as np
import opt_einsum

from tensornet_keras.network import TensorNetwork

# Variance of a normal distribution cut off at two standard deviations.
TRUNCATED_VARIANCE = 0.7737413

_DRAWING: ContextVar[bool] = ContextVar("drawing", default=True)


@contextlib.contextmanager
def without_drawing():
    """Context in which cores start as zeros: they are about to be given.

    Drawing the cores of a large model takes longer than decomposing it.
    """
    token = _DRAWING.set(False)
    try:
        yield
    finally:
        _DRAWING.reset(token)


def initial_cores(network: TensorNetwork, initializer) -> list[np.ndarray]:
    """Cores for a kernel that is trained from scratch.

    Args:
        network: The network whose cores are drawn.
        initializer: A Keras initializer of the variance-scaling family
            (Glorot, He, LeCun), `Orthogonal`, `RandomNormal`,
            `RandomUniform`, `TruncatedNormal` or `Zeros` (a zero last core,
            so that the kernel is zero and its gradient is not).

    Returns:
        One float32 array per core, of equal Frobenius norms, such that the
        dense kernel has the mean square that the initializer asks for.

    Raises:
        ValueError: If the initializer is of another kind, or its mean is not
            zero.
    """
    variance = kernel_variance(_fan_shape(network), initializer)
    # What was merged is given to a layer, never trained from scratch.
    if network.settled or not _DRAWING.get():
        return [np.zeros(shape, "float32") for shape in network.core_shapes]
    generator = np.random.default_rng(_seed(initializer))
    cores = [
        _semi_orthogonal(network, labels, shape, generator)
        for labels, shape in zip(
            network.cores, network.core_shapes, strict=True
        )
    ]
    if variance == 0.0:
        cores[-1] = np.zeros_like(cores[-1])
        return [core.astype("float32") for core in cores]
    entries = math.prod(leg.size for leg in network.legs)
    wanted = math.sqrt(variance * entries) / _norm(network, cores)
    norms = [np.linalg.norm(core) for core in cores]
    common = (wanted * math.prod(norms)) ** (1 / len(cores))
    return [
        (core * (common / norm)).astype("float32")
        for core, norm in zip(cores, norms, strict=True)
    ]


def _fan_shape(network: TensorNetwork) -> tuple[int, ...]:
    """The shape whose fans count: a stack of matrices has more outputs."""
    stack = math.prod(leg.size for leg in network.legs_of("batch"))
    window = tuple(leg.size for leg in network.legs_of("window"))
    return (*window, network.input_size, stack * network.output_size)


def kernel_variance(shape: tuple[int, ...], initializer) -> float:
    """The variance that an initializer asks of a dense kernel.

    Args:
        shape: Shape of the dense kernel, `(*window, input, output)`.
        initializer: A Keras initializer; see `initial_cores`.

    Raises:
        ValueError: If the initializer cannot be matched in variance.
    """
    known = keras.initializers
    if isinstance(initializer, known.Zeros):
        return 0.0
    if isinstance(initializer, known.VarianceScaling):
        return _scaled_variance(shape, initializer)
    if isinstance(initializer, known.Orthogonal):
        # Q of a QR decomposition: its shorter side has unit vectors.
        rows, columns = math.prod(shape[:-1]), shape[-1]
        return initializer.gain**2 / max(rows, columns)
    if isinstance(initializer, known.RandomNormal):
        _refuse_mean(initializer, initializer.mean)
        return initializer.stddev**2
    if isinstance(initializer, known.TruncatedNormal):
        _refuse_mean(initializer, initializer.mean)
        return TRUNCATED_VARIANCE * initializer.stddev**2
    if isinstance(initializer, known.RandomUniform):
        _refuse_mean(initializer, initializer.minval + initializer.maxval)
        return (initializer.maxval - initializer.minval) ** 2 / 12
    raise ValueError(
        "`kernel_initializer` must be of the variance-scaling family "
        "(Glorot, He, LeCun), Orthogonal, RandomNormal, RandomUniform, "
        "TruncatedNormal or Zeros. "
        f"Received: kernel_initializer={initializer!r}. "
        "Choose one of these: a factorized kernel is matched in variance."
    )


def check_initializer(initializer) -> None:
    """Refuses an initializer that cannot be matched in variance.

    Args:
        initializer: A Keras initializer; see `initial_cores`.

    Raises:
        ValueError: If it is of another kind, or its mean is not zero.
    """
    kernel_variance((1, 1), initializer)


def _scaled_variance(shape, initializer) -> float:
    *window, inputs, outputs = shape
    field = math.prod(window)
    fans = {
        "fan_in": inputs * field,
        "fan_out": outputs * field,
        "fan_avg": (inputs + outputs) * field / 2,
    }
    return initializer.scale / max(1.0, fans[initializer.mode])


def _refuse_mean(initializer, mean: float) -> None:
    if mean != 0:
        raise ValueError(
            "`kernel_initializer` must have a mean of zero. Received: "
            f"kernel_initializer={type(initializer).__name__} with "
            f"{initializer.get_config()}. Centre it at zero."
        )


def _seed(initializer):
    """Seed for NumPy from a Keras initializer's seed."""
    seed = getattr(initializer, "seed", None)
    if isinstance(seed, keras.random.SeedGenerator):
        return [int(n) for n in keras.ops.convert_to_numpy(seed.next())]
    return seed


def _semi_orthogonal(network, labels, shape, generator) -> np.ndarray:
    """A core that maps what comes in (left) to what goes out (right)."""
    outs = set(network.labels_of("out"))
    later = _later_bonds(network, labels)
    goes_out = [label in outs or label in later for label in labels]
    axes = sorted(range(len(shape)), key=lambda axis: goes_out[axis])
    moved = [shape[axis] for axis in axes]
    rows = math.prod(moved[: goes_out.count(False)])
    columns = math.prod(moved) // rows
    draw = generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draw)
    # The signs make the distribution uniform (Haar), as Mezzadri 2007.
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    matrix = q if rows >= columns else q.T
    return matrix.reshape(moved).transpose(np.argsort(axes))


def _later_bonds(network, labels) -> set[str]:
    """Bonds of a core to cores that come after it."""
    later = network.cores[network.cores.index(labels) + 1 :]
    return {label for core in later for label in core if label in labels}


def _norm(network: TensorNetwork, cores) -> float:
    """Frobenius norm of the uncropped weight, without building it."""
    bonds = {label for label, _ in network.bonds}
    symbol = {
        label: opt_einsum.get_symbol(n) for n, label in enumerate(network.sizes)
    }
    twin = {
        label: opt_einsum.get_symbol(len(symbol) + n)
        for n, label in enumerate(network.sizes)
    }
    terms = ["".join(symbol[x] for x in core) for core in network.cores] + [
        "".join((twin if x in bonds else symbol)[x] for x in core)
        for core in network.cores
    ]
    square = opt_einsum.contract(",".join(terms) + "->", *cores, *cores)
    return math.sqrt(float(square))


def holding(array):
    """An initializer that fills a variable with an array.

    Args:
        array: A NumPy array.
    """
    return lambda shape, dtype=None: keras.ops.convert_to_tensor(
        array, dtype=dtype
    )
