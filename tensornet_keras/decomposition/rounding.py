"""Rounding: a tensor train of smaller ranks, without the dense weight.

Oseledets 2011, "Tensor-Train Decomposition" (SIAM J. Sci. Comput. 33(5),
algorithm 2): orthogonalization from right to left, then truncated SVDs of the
cores from left to right.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tensornet_keras import validation
from tensornet_keras.decomposition import chain as chains
from tensornet_keras.decomposition.chain import Chain
from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.decomposition.svd import truncated_svd
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.formats import TensorTrain


def round_train(
    decomposition: Decomposition,
    rank: int | tuple[int, ...] | float | None = None,
    error: float | None = None,
) -> Decomposition:
    """The best train of smaller ranks that one sweep finds.

    Rounding costs what the cores cost: the dense weight is never built.
    Rounding to a rank a second time changes nothing.

    Args:
        decomposition: A tensor train of a matrix or of a convolution kernel.
            That of a built layer is
            `Decomposition(layer.format, layer.cores, 0.0)`.
        rank: Largest ranks: an int, one int per bond, or the share of the
            dense parameters to spend. `None` leaves them to `error`.
        error: Relative error to stay within, in [0, 1). Every bond keeps the
            fewest singular values that the tolerance
            `error / sqrt(bonds)` allows; 0 removes only what a bond cannot
            carry. `None` leaves the ranks to `rank`.

    Returns:
        A train of the same modes. Its `relative_error` is with respect to
        the train given, *not* to a weight which that train may approximate
        in turn.

    Raises:
        TypeError: If `decomposition` is no decomposition.
        ValueError: If it is not of a tensor train, or if neither a rank nor
            an error is given, or both.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> weight = np.random.default_rng(0).standard_normal((64, 64))
    >>> fine = tk.decompose(weight, tk.formats.TensorTrain(rank=16))
    >>> tk.decomposition.round_train(fine, rank=4).format.rank
    (4, 4)

    Reference:
        Oseledets 2011, https://doi.org/10.1137/090752286, algorithm 2.
    """
    format = _checked_format(decomposition, rank, error)
    given = chains.from_cores(format, decomposition.cores)
    dtype = decomposition.cores[0].dtype
    weight_norm = chains.norm(_cropped(given, format))
    tail, limits = None, format.attainable_ranks()
    if rank is not None:
        limits = _with_rank(format, rank).rank
    elif error := validation.relative_error(error):
        tail = tail_norm(error, len(given), dtype) * weight_norm
    orthogonal = chains.right_orthogonal(given)
    chain = _truncated(orthogonal, limits, tail)
    needed = chains.ranks(chain)
    rounded = format.with_rounded_up(needed)
    if tail is not None and rounded != needed:
        chain = _truncated(orthogonal, rounded, None)
    format, cores = chains.to_cores(
        chains.right_orthogonal(chain), format, dtype
    )
    missed = _difference(given, chains.from_cores(format, cores))
    missed = chains.norm(_cropped(missed, format))
    relative = missed / weight_norm if weight_norm else 0.0
    return Decomposition(format, cores, relative)


def _checked_format(decomposition, rank, error) -> TensorTrain:
    if not isinstance(decomposition, Decomposition):
        raise TypeError(
            "Only a decomposition can be rounded. "
            f"Received: decomposition={type(decomposition).__name__}. "
            "Pass what `decompose` returned, or "
            "Decomposition(layer.format, layer.cores, 0.0)."
        )
    if not isinstance(decomposition.format, TensorTrain):
        raise ValueError(
            "Rounding is for tensor trains. "
            f"Received: format={decomposition.format!r}. "
            "Decompose the dense weight anew with fewer parameters."
        )
    if (rank is None) == (error is None):
        raise ValueError(
            "Rounding needs a rank or an error, and only one of them. "
            f"Received: rank={rank}, error={error}. "
            "Pass for example rank=4, or error=0.05."
        )
    return decomposition.format


def _with_rank(format: TensorTrain, rank) -> TensorTrain:
    """The format's modes with ranks resolved as `bind` resolves them."""
    sizes = (format.input_dims, format.output_dims, format.window)
    unbound = dataclasses.replace(
        format, rank=rank, input_dims=None, output_dims=None, window=()
    )
    return unbound.bind(*sizes)


def _truncated(chain: Chain, limits, tail) -> Chain:
    """Sweep of truncated SVDs over a chain that is right-orthogonal."""
    chain = list(chain)
    for k, limit in enumerate(limits):
        left, size, right = chain[k].shape
        matrix = chain[k].reshape(-1, right)
        u, values, vt = truncated_svd(matrix, limit, tail)
        chain[k] = u.reshape(left, size, -1)
        carried = values[:, None] * vt
        rest = chain[k + 1]
        product = carried @ rest.reshape(len(rest), -1)
        chain[k + 1] = product.reshape(-1, *rest.shape[1:])
    return chain


def _difference(first: Chain, second: Chain) -> Chain:
    """The train of the difference: bonds side by side."""
    last = len(first) - 1
    if last == 0:
        return [first[0] - second[0]]
    cores = []
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        if k == 0:
            cores.append(np.concatenate([a, b], axis=2))
        elif k == last:
            cores.append(np.concatenate([a, -b], axis=0))
        else:
            shape = np.add(a.shape, b.shape)
            core = np.zeros((shape[0], a.shape[1], shape[2]))
            core[: a.shape[0], :, : a.shape[2]] = a
            core[a.shape[0] :, :, a.shape[2] :] = b
            cores.append(core)
    return cores


def _cropped(chain: Chain, format: TensorTrain) -> Chain:
    """The train of the weight itself: zero where a padded one is cut off.

    The indices below a size are the digits that compare as smaller, which a
    train of rank 2 decides digit by digit.
    """
    sides = (
        (format.input_modes, format.input_size, "i", 0),
        (format.output_modes, format.output_size, "j", 1),
    )
    chain = list(chain)
    pairs = chains.site_modes(format)
    for modes, size, letter, side in sides:
        if math.prod(modes) == size:
            continue
        digits = np.unravel_index(size - 1, modes)
        # The cores that hold the digits of one side follow one another.
        where = [
            number
            for number, site in enumerate(format.sites)
            if any(label.startswith(letter) for label in site)
        ]
        for k, number in enumerate(where):
            mask = _comparison(modes[k], int(digits[k]))
            if k == 0:
                mask = mask[:1]
            if k == len(modes) - 1:
                mask = mask.sum(axis=2, keepdims=True)
            other = pairs[number][1 - side]
            mask = (
                np.repeat(mask, other, axis=1)
                if side == 0
                else np.tile(mask, (1, other, 1))
            )
            chain[number] = _entrywise(chain[number], mask)
    return chain


def _comparison(mode: int, digit: int) -> np.ndarray:
    """Transitions between the states `equal so far` and `smaller`."""
    core = np.zeros((2, mode, 2))
    core[0, :digit, 1] = 1.0
    core[0, digit, 0] = 1.0
    core[1, :, 1] = 1.0
    return core


def _entrywise(core: np.ndarray, mask: np.ndarray) -> np.ndarray:
    product = np.einsum("anb,cnd->acnbd", core, mask)
    left, states, size, right, after = product.shape
    return product.reshape(left * states, size, right * after)
