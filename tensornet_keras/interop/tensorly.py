"""Cores to and from TensorLy's factorized tensors.

TensorLy (Kossaifi et al. 2019, JMLR 20(26)) has tensors with one axis per
core where a core here has several legs: those of a core, window first, then
input, then output mode, become one axis in row-major order.
"""

from __future__ import annotations

import math

import numpy as np

from tensornet_keras.decomposition import Decomposition
from tensornet_keras.formats import (
    CP,
    Format,
    Kronecker,
    LowRank,
    TensorRing,
    TensorTrain,
    Tucker,
)
from tensornet_keras.interop.arrays import from_numpy, to_numpy

KINDS = "TensorTrain, TensorRing, Tucker, CP, Kronecker and LowRank"


def to_tensorly(source, cores=None):
    """A TensorLy tensor with the cores of a layer or a decomposition.

    Args:
        source: A built factorized layer, a decomposition, or the bound
            format of `cores`.
        cores: The cores, with a format only.

    Returns:
        A `TTTensor` or, for the train of a matrix, a `TTMatrix`; a
        `TRTensor`, a `TuckerTensor` (window axes have the identity as
        factor), or for CP, Kronecker and low rank a `CPTensor`. The arrays
        are copies.

    Raises:
        ImportError: If TensorLy is not installed.
        TypeError: If the source has no cores.
        ValueError: If TensorLy has no such format.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> result = tk.decompose(np.eye(16), tk.formats.TensorTrain(rank=2))
    >>> tk.interop.to_tensorly(result).shape
    (4, 4, 4, 4)
    """
    format, cores = to_numpy(source, cores)
    _import_tensorly()
    if isinstance(format, TensorTrain):
        return _to_train(format, cores)
    if isinstance(format, TensorRing):
        return _to_ring(format, cores)
    if isinstance(format, Tucker):
        return _to_tucker(format, cores)
    if isinstance(format, (CP, Kronecker, LowRank)):
        return _to_cp(format, cores)
    raise _unknown(format)


def from_tensorly(tensor, format: Format) -> Decomposition:
    """The cores of a TensorLy tensor, in a format of ours.

    Args:
        tensor: A TensorLy tensor of the kind that `to_tensorly` makes of the
            format, or its cores as a sequence of arrays.
        format: The bound format of the same sizes and modes; its ranks are
            read off the tensor.

    Returns:
        A `Decomposition` with the format of the ranks found.

    Raises:
        ImportError: If TensorLy is not installed.
        ValueError: If TensorLy has no such format, or the cores do not fit.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> result = tk.decompose(np.eye(16), tk.formats.TensorTrain(rank=2))
    >>> tensor = tk.interop.to_tensorly(result)
    >>> again = tk.interop.from_tensorly(tensor, result.format)
    >>> bool(np.all(again.to_dense() == result.to_dense()))
    True
    """
    _import_tensorly()
    _check_axes(tensor, format)
    if isinstance(format, (TensorTrain, TensorRing)):
        arrays = [np.asarray(core) for core in tensor]
        last = None if isinstance(format, TensorRing) else -1
        rank = tuple(core.shape[-1] for core in arrays)[:last]
        if format.num_bonds == 0:
            rank = ()
        sizes = format.network.sizes
        arrays = [
            _unlinked(array, *link, sizes)
            for array, link in zip(arrays, _links(format), strict=True)
        ]
    elif isinstance(format, Tucker):
        core, factors = tensor
        inputs = len(format.input_modes)
        axes = len(format.window)
        outer = [*factors[:inputs], *factors[inputs + axes :]]
        arrays = [np.asarray(factor) for factor in outer]
        rank = tuple(factor.shape[1] for factor in arrays)
        arrays[inputs:] = [factor.T for factor in arrays[inputs:]]
        whole = _absorbed(core, factors[inputs : inputs + axes], inputs)
        arrays.insert(inputs, whole)
    elif isinstance(format, (CP, Kronecker, LowRank)):
        arrays = _cp_factors(format, *tensor)
        rank = tuple({factor.shape[1] for factor in arrays})[: format.num_bonds]
        arrays = [
            _bond_placed(factor, labels, format)
            for factor, labels in zip(arrays, format.network.cores, strict=True)
        ]
    else:
        raise _unknown(format)
    format = format.with_rank(rank)
    shapes = format.core_shapes
    sizes = [array.size for array in arrays]
    if sizes != [math.prod(shape) for shape in shapes]:
        raise ValueError(
            f"The cores must fit the format's shapes, {shapes}. "
            f"Received: arrays of shapes {[a.shape for a in arrays]}. "
            "Pass the bound format with the modes of the tensor."
        )
    pairs = zip(arrays, shapes, strict=True)
    return from_numpy(format, [array.reshape(s) for array, s in pairs])


def _check_axes(tensor, format) -> None:
    """Refuses a TTMatrix or a Tucker tensor whose axes are other modes."""
    if isinstance(format, TensorTrain) and not format.window:
        found = [core.shape[1:-1] for core in tensor if len(core.shape) == 4]
        wanted = list(zip(format.input_modes, format.output_modes, strict=True))
        fits = not found or [tuple(map(int, each)) for each in found] == wanted
    elif isinstance(format, Tucker):
        core, factors = tensor
        wanted = [*format.input_modes, *format.window, *format.output_modes]
        found = [factor.shape for factor in factors]
        ranks = tuple(shape[1] for shape in found)
        fits = [shape[0] for shape in found] == wanted
        fits = fits and tuple(core.shape) == ranks
    else:
        return
    if not fits:
        raise ValueError(
            "The cores must fit the format's shapes, "
            f"modes {format.describe_modes()}. Received: axes {found}. "
            "Pass the bound format with the modes of the tensor."
        )


def _to_train(format, cores):
    from tensorly.tt_matrix import TTMatrix
    from tensorly.tt_tensor import TTTensor

    links = _links(format)
    if format.window:
        return TTTensor([_linked(*each) for each in _each(links, cores)])
    modes = zip(format.input_modes, format.output_modes, strict=True)
    return TTMatrix(
        [
            core.reshape(len(core), i, j, core.shape[-1])
            for core, (i, j) in zip(
                (_linked(*each) for each in _each(links, cores)),
                modes,
                strict=True,
            )
        ]
    )


def _to_ring(format, cores):
    from tensorly.tr_tensor import TRTensor

    links = _links(format)
    return TRTensor([_linked(*each) for each in _each(links, cores)])


def _links(format):
    """The labels of every core, and its bonds to the left and the right."""
    network = format.network
    bonds = [label for label, _ in network.bonds]
    if isinstance(format, TensorRing) and bonds:
        ends = [bonds[-1], *bonds]
    else:
        ends = [None, *bonds, None]
    return [
        (labels, ends[k], ends[k + 1]) for k, labels in enumerate(network.cores)
    ]


def _each(links, cores):
    return [(core, *link) for core, link in zip(cores, links, strict=True)]


def _linked(core, labels, left, right) -> np.ndarray:
    """A core as `(left bond, legs, right bond)`, bonds of 1 at the ends."""
    legs = [x for x in labels if x not in (left, right)]
    order = [x for x in (left, *legs, right) if x is not None]
    core = core.transpose([labels.index(x) for x in order])
    first = core.shape[0] if left is not None else 1
    last = core.shape[-1] if right is not None else 1
    return core.reshape(first, -1, last)


def _unlinked(array, labels, left, right, sizes) -> np.ndarray:
    """The core of an array `(left bond, legs, right bond)`."""
    legs = [x for x in labels if x not in (left, right)]
    order = [x for x in (left, *legs, right) if x is not None]
    inner = [sizes[x] for x in legs]
    if math.prod(inner) != math.prod(array.shape[1:-1]):
        return array
    outer = [array.shape[0]] * (left is not None)
    outer += [*inner, *[array.shape[-1]] * (right is not None)]
    spread = array.reshape(outer)
    return spread.transpose([order.index(x) for x in labels])


def _to_tucker(format, cores):
    from tensorly.tucker_tensor import TuckerTensor

    inputs = len(format.input_modes)
    before, core, after = cores[:inputs], cores[inputs], cores[inputs + 1 :]
    # The core has the window first; TensorLy's axes follow the factors.
    axes = len(format.window)
    order = (
        *range(axes, axes + inputs),
        *range(axes),
        *range(axes + inputs, core.ndim),
    )
    window = [np.eye(size, dtype=core.dtype) for size in format.window]
    factors = [*before, *window, *(factor.T for factor in after)]
    return TuckerTensor((core.transpose(order), factors))


def _absorbed(core, factors, inputs: int) -> np.ndarray:
    """The core times the factors of the window, with the window in front."""
    core = np.asarray(core)
    for axis, factor in enumerate(factors, inputs):
        moved = np.tensordot(np.asarray(factor), core, (1, axis))
        core = np.moveaxis(moved, 0, axis)
    axes = range(inputs, inputs + len(factors))
    return np.moveaxis(core, axes, range(len(factors)))


def _to_cp(format, cores):
    from tensorly.cp_tensor import CPTensor

    if format.num_bonds == 0:
        return CPTensor((None, [cores[0].reshape(-1, 1)]))
    bond = format.network.bonds[0][0]
    factors = []
    for core, labels in zip(cores, format.network.cores, strict=True):
        last = np.moveaxis(core, labels.index(bond), -1)
        factors.append(last.reshape(-1, last.shape[-1]))
    return CPTensor((None, factors))


def _cp_factors(format, weights, factors) -> list[np.ndarray]:
    """The factors, with the weights in the first of them."""
    factors = [np.asarray(factor) for factor in factors]
    if weights is not None:
        factors[0] = factors[0] * np.asarray(weights)
    if format.num_bonds == 0:
        factors[0] = factors[0].sum(axis=1, keepdims=True)
    return factors


def _bond_placed(factor, labels, format) -> np.ndarray:
    """A factor `(legs, r)` with the bond where the core has it."""
    if format.num_bonds == 0:
        return factor
    bond = format.network.bonds[0][0]
    sizes = [format.network.sizes[x] for x in labels if x != bond]
    if math.prod(sizes) != len(factor):
        return factor
    spread = factor.reshape(*sizes, factor.shape[1])
    return np.moveaxis(spread, -1, labels.index(bond))


def _unknown(format) -> ValueError:
    return ValueError(
        f"TensorLy has {KINDS}. Received: format={format!r}. "
        "Take the cores with to_numpy."
    )


def _import_tensorly():
    try:
        import tensorly
    except ImportError as error:
        raise ImportError(
            "Exchanging cores with TensorLy needs the package tensorly. "
            "Received: it is not installed. "
            "Install it with `pip install tensornet_keras[tensorly]`."
        ) from error
    return tensorly
