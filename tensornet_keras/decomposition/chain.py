"""Chains: the cores of a train with exactly one open axis each, in float64.

A core of a tensor train has a window, or an input and an output mode, and no
bond at the ends. The algorithms see one shape only, `(r, n, r')`, with unit
bonds at the ends and `n` the core's open entries together.
"""

from __future__ import annotations

import math

import numpy as np

from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.formats.tensor_train import TensorTrain

Chain = list[np.ndarray]


def site_modes(format: TensorTrain) -> list[tuple[int, int]]:
    """The row mode and the column mode of every core of a bound train.

    A convolution kernel is a matrix, see `as_matrices`: a spatial core has
    its window as row mode and a column mode of 1.

    Args:
        format: The bound train.
    """
    sizes, outs = format.network.sizes, format.network.labels_of("out")
    return [
        (
            math.prod(sizes[label] for label in site if label not in outs),
            math.prod(sizes[label] for label in site if label in outs),
        )
        for site in format.sites
    ]


def as_matrices(weight: np.ndarray, format: TensorTrain) -> np.ndarray:
    """The weight with its rows in the order of a train's cores.

    Args:
        weight: An array of the shape `format.dense_shape`.
        format: The bound train.

    Returns:
        Shape `(1, input, output)` for a matrix, `(window, input, output)`
        for a kernel whose spatial core is the first, and a copy of shape
        `(1, input * window, output)` for the other orders.
    """
    *_, inputs, outputs = weight.shape
    weight = weight.reshape(-1, inputs, outputs)
    if not format.window or format.conv_order == "spatial_first":
        return weight
    return weight.transpose(1, 0, 2).reshape(1, -1, outputs)


def from_cores(format: TensorTrain, cores, dtype=np.float64) -> Chain:
    """The chain of a train's cores.

    Args:
        format: The bound train.
        cores: Its cores, in the shapes of `format.core_shapes`.
        dtype: Dtype of the chain.
    """
    bonds = (1, *format.rank, 1)
    return [
        np.moveaxis(np.asarray(core, dtype), *moved).reshape(left, -1, right)
        for core, moved, left, right in zip(
            cores, _window_axes(format), bonds[:-1], bonds[1:], strict=True
        )
    ]


def to_cores(chain: Chain, format: TensorTrain, dtype, balanced: bool = True):
    """A bound train of the chain's ranks and its cores.

    Args:
        chain: Shapes `(r, n, r')`.
        format: A bound train of the same modes, of any ranks.
        dtype: Dtype of the cores.
        balanced: Whether the cores get equal norms.

    Returns:
        The bound train and a tuple of arrays.
    """
    format = format.with_rank(ranks(chain))
    cores = []
    for core, shape, (axes, places) in zip(
        _balanced(chain) if balanced else chain,
        format.core_shapes,
        _window_axes(format),
        strict=True,
    ):
        in_order = np.moveaxis(np.empty(shape, bool), axes, places).shape
        moved = np.moveaxis(core.reshape(in_order), places, axes)
        # A copy: an untouched core may be a view of the weight.
        cores.append(np.array(moved, dtype, order="C"))
    return format, tuple(cores)


def _window_axes(format: TensorTrain):
    """Where the window's axes of each core are, and where a chain has them.

    A core has them first, a chain after the bond to the left.
    """
    for number, site in enumerate(format.sites):
        count = len(site) if number and site[0].startswith("w") else 0
        yield tuple(range(count)), tuple(range(1, count + 1))


def ranks(chain: Chain) -> tuple[int, ...]:
    """Sizes of the inner bonds.

    Args:
        chain: Shapes `(r, n, r')`.
    """
    return tuple(core.shape[2] for core in chain[:-1])


def right_orthogonal(chain: Chain) -> Chain:
    """The same train with every core but the first a row-orthonormal one.

    A bond larger than what stands to the right of it can carry shrinks to
    that, without error. The norm of the train is that of the first core.

    Args:
        chain: Shapes `(r, n, r')`.
    """
    chain = list(chain)
    for k in range(len(chain) - 1, 0, -1):
        left, size, right = chain[k].shape
        with threads_for(min(left, size * right)):
            q, triangle = np.linalg.qr(chain[k].reshape(left, -1).T)
            chain[k - 1] = chain[k - 1] @ triangle.T
        chain[k] = q.T.reshape(-1, size, right)
    return chain


def left_orthogonal(chain: Chain, count: int) -> Chain:
    """The same train with its first cores column-orthonormal ones.

    Args:
        chain: Shapes `(r, n, r')`.
        count: How many cores, fewer than there are.
    """
    chain = list(chain)
    for k in range(count):
        left, size, right = chain[k].shape
        with threads_for(min(left * size, right)):
            q, triangle = np.linalg.qr(chain[k].reshape(-1, right))
            rest = chain[k + 1]
            product = triangle @ rest.reshape(right, -1)
            chain[k + 1] = product.reshape(-1, *rest.shape[1:])
        chain[k] = q.reshape(left, size, -1)
    return chain


def norm(chain: Chain) -> float:
    """Frobenius norm of the train.

    Args:
        chain: Shapes `(r, n, r')`.
    """
    return float(np.linalg.norm(right_orthogonal(chain)[0]))


def halves(chain: Chain, modes, bond: int):
    """The two sides of a bond, each contracted, as factors of the matrix.

    Args:
        chain: Shapes `(r, n, r')`.
        modes: The pairs `(i, j)` of its cores.
        bond: How many cores stand on the left side, at least 1.

    Returns:
        Arrays of shape `(rows, columns, r)` and `(r, rows', columns')`; the
        matrix has `rows * rows'` rows, in row-major order, and its columns
        likewise. With every core on the left, the right one is a single 1.
    """
    left = _contracted(chain[:bond], modes[:bond])
    if bond == len(chain):
        return left[0], np.ones((1, 1, 1), left.dtype)
    return left[0], _contracted(chain[bond:], modes[bond:])[..., 0]


def _contracted(chain: Chain, modes) -> np.ndarray:
    product = chain[0]
    for core in chain[1:]:
        bond = core.shape[0]
        product = product.reshape(-1, bond) @ core.reshape(bond, -1)
    left, right = chain[0].shape[0], chain[-1].shape[2]
    pairs = [size for pair in modes for size in pair]
    count = 2 * len(modes)
    axes = (*range(1, count, 2), *range(2, count + 1, 2))
    rows, columns = (math.prod(side) for side in zip(*modes, strict=True))
    product = product.reshape(left, *pairs, right)
    return product.transpose(0, *axes, -1).reshape(left, rows, columns, right)


def interleaved(array: np.ndarray, modes) -> np.ndarray:
    """Brings the two modes of each core side by side.

    Args:
        array: Shape `(r, i1 .. in, j1 .. jn, any)`.
        modes: The pairs `(i, j)`.

    Returns:
        An array of shape `(r, i1 j1 .. in jn, any)`.
    """
    rows, columns = zip(*modes, strict=True)
    count = len(modes)
    pairs = [axis for k in range(1, count + 1) for axis in (k, count + k)]
    bond, *_, rest = array.shape
    split = array.reshape(bond, *rows, *columns, rest)
    return split.transpose(0, *pairs, -1).reshape(bond, -1, rest)


def _balanced(chain: Chain) -> Chain:
    """The same train with cores of equal Frobenius norm.

    A train of zeros keeps the cores that are not zero: were all of them, no
    gradient would ever reach one.
    """
    # Summed in float64: squares of large or small float32 numbers are not.
    norms = [frobenius_norm(np.ascontiguousarray(core)) for core in chain]
    if 0.0 in norms:
        return chain
    common = math.exp(math.fsum(map(math.log, norms)) / len(norms))
    return [
        np.multiply(core, common / size, dtype=np.float64)
        for core, size in zip(chain, norms, strict=True)
    ]
