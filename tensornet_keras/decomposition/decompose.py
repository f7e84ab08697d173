"""The door: one dense weight becomes a bound format and its cores."""

from __future__ import annotations

import contextlib
import math

import numpy as np

from tensornet_keras import formats, validation
from tensornet_keras.decomposition.block_svd import block_svd
from tensornet_keras.decomposition.cp_als import sum_of_products
from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.low_rank import low_rank
from tensornet_keras.decomposition.mode_search import best_of, rivals
from tensornet_keras.decomposition.network_als import network_als
from tensornet_keras.decomposition.tr_svd import tr_svd
from tensornet_keras.decomposition.tt_svd import tt_svd
from tensornet_keras.decomposition.tucker import tucker
from tensornet_keras.decomposition.unfolding import BLOCK_SIZE
from tensornet_keras.decomposition.vbmf import vbmf_ranks
from tensornet_keras.formats import (
    CP,
    BlockTensorTrain,
    EinsumNetwork,
    Format,
    Kronecker,
    LowRank,
    Monarch,
    TensorRing,
    TensorTrain,
    Tucker,
)
from tensornet_keras.formats.format import ShareTooSmall

# Each takes the weight, the bound format and a Target, and returns a
# Decomposition: the format of the ranks obtained, its cores, their error.
ALGORITHMS = {
    BlockTensorTrain: block_svd,
    CP: sum_of_products,
    Kronecker: sum_of_products,
    LowRank: low_rank,
    Monarch: block_svd,
    TensorRing: tr_svd,
    EinsumNetwork: network_als,
    TensorTrain: tt_svd,
    Tucker: tucker,
}


def decompose(
    weight,
    format: Format | str | dict,
    error: float | None = None,
    *,
    dims: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
    search_modes: bool = False,
    tolerance: float = Target.tolerance,
    max_iterations: int = Target.max_iterations,
    seed: int = Target.seed,
) -> Decomposition:
    r"""Approximates a dense weight by the cores of a format.

    For a tensor train this is the TT-SVD: each of its $d - 1$ bonds keeps at
    most the format's rank of singular values, or with `error` the fewest
    that leave out at most

    $$\delta = \frac{\text{error}}{\sqrt{d - 1}} \lVert W \rVert_F,$$

    which keeps the relative error of the whole within `error`.

    Args:
        weight: A matrix of shape `(input, output)`, or a convolution kernel
            of shape `(*kernel_size, input, output)` with one to three
            kernel axes, of floating dtype.
        format: A format, a catalog name or a format's dict. Unbound, it is
            bound to the weight's shape. Its ranks are cut to the attainable.
        error: Relative error to stay within, in [0, 1), in place of a rank.
            0 keeps the full rank. The rounding of the dtype adds to errors
            near its resolution. `None` leaves the ranks to the format.
        dims: Dimensions of the input side and of the output side where they
            have several, such as `((768,), (12, 64))` for 12 heads of size
            64: modes are chosen within them. `None` is one each.
        search_modes: Whether a handful of balanced splits into modes is
            tried, for a format that chooses its modes, and the one kept that
            has the lowest error at equal parameters, or the fewest
            parameters within `error`.
        tolerance: An iterative algorithm (HOOI, CP-ALS, network ALS) has
            converged once a pass lowers the relative error by less.
        max_iterations: Most passes of an iterative algorithm.
        seed: Seed of what an algorithm draws at random.

    Returns:
        The bound format with the ranks obtained, its cores (in the weight's
        dtype, of equal Frobenius norms), the relative error measured on
        these cores, and whether an iterative algorithm converged.

    Raises:
        TypeError: If the weight is not of a floating dtype.
        ValueError: If the weight has another number of axes, is empty or
            holds numbers that are not finite; if neither a rank nor an error
            is given, or both; if the format is bound to another shape.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> weight = np.outer(np.arange(1.0, 65.0), np.arange(1.0, 33.0))
    >>> train = tk.formats.TensorTrain(rank=4)
    >>> result = tk.decompose(weight, train)
    >>> result.relative_error < 1e-12
    True
    >>> tk.decompose(weight, tk.formats.TensorTrain(), error=0.1).format.rank
    (1, 1)

    Reference:
        Oseledets 2011, "Tensor-Train Decomposition",
        https://doi.org/10.1137/090752286, theorem 2.2 and algorithm 1.
    """
    weight = checked_weight(weight)
    format = formats.get(format)
    target = Target(
        None if error is None else validation.relative_error(error),
        validation.non_negative(tolerance, "tolerance"),
        validation.positive_integer(max_iterations, "max_iterations"),
        validation.seed(seed),
    )
    sizes = sizes_of(weight.shape, dims)
    first = _decomposed(weight, format, target, sizes)
    if not validation.boolean(search_modes, "search_modes"):
        return first
    found = [first]
    for rival in rivals(format, first.format, error):
        with contextlib.suppress(ShareTooSmall):
            found.append(_decomposed(weight, rival, target, sizes))
    return best_of(found, error)


def _decomposed(weight, format, target, sizes) -> Decomposition:
    bound = _bound(format, target.error, sizes)
    if format.rank == "vbmf":
        bound = bound.with_rank(vbmf_ranks(weight, bound))
    return _algorithm_of(bound)(weight, bound, target)


def sizes_of(shape: tuple[int, ...], dims) -> tuple[tuple[int, ...], ...]:
    """Dimensions of input and output, and the window.

    Args:
        shape: Shape of a weight.
        dims: As in `decompose`.

    Raises:
        ValueError: If they do not multiply to the shape.
    """
    *window, rows, columns = shape
    dims = ((rows,), (columns,)) if dims is None else tuple(dims)
    if len(dims) != 2:
        raise ValueError(
            "`dims` must be the dimensions of two sides. "
            f"Received: dims={dims}. Pass for example ((768,), (12, 64))."
        )
    sides = [
        validation.integer_tuple(side, name)
        for side, name in zip(dims, ("input dims", "output dims"), strict=True)
    ]
    if tuple(map(math.prod, sides)) != (rows, columns):
        raise ValueError(
            "`dims` must multiply to the sizes of the weight's sides, "
            f"{rows} and {columns}. Received: dims={dims}. "
            "Pass the dimensions of the input and of the output."
        )
    return (*sides, tuple(window))


def checked_weight(weight) -> np.ndarray:
    """A weight as an array that can be decomposed.

    Args:
        weight: What a caller passed.

    Raises:
        TypeError: If it is not of a floating dtype.
        ValueError: If it has another number of axes, is empty or not finite.
    """
    weight = np.asarray(weight)
    # bfloat16 comes from ml_dtypes and is of no kind that NumPy knows.
    if weight.dtype.kind != "f" and weight.dtype.name != "bfloat16":
        raise TypeError(
            "A weight must be an array of floating dtype. "
            f"Received: weight of dtype {weight.dtype}. "
            "Convert it, for example with weight.astype('float32')."
        )
    if not 2 <= weight.ndim <= 5 or weight.size == 0:
        raise ValueError(
            "A weight must be a matrix (input, output) or a kernel "
            "(*kernel_size, input, output) with one to three kernel axes, "
            f"and not empty. Received: weight of shape {weight.shape}. "
            "Reshape it, for example with weight.reshape(-1, output)."
        )
    weight = np.ascontiguousarray(weight)
    flat = weight.reshape(-1)
    starts = range(0, flat.size, BLOCK_SIZE)
    bad = sum(
        int(np.count_nonzero(~np.isfinite(flat[start : start + BLOCK_SIZE])))
        for start in starts
    )
    if bad:
        raise ValueError(
            "A weight must be finite. "
            f"Received: weight of shape {weight.shape} with {bad} entries "
            "that are NaN or infinite. Repair or retrain it first."
        )
    return weight


def bound_without_rank(format: Format, sizes) -> Format:
    """A format bound to sizes, whose ranks something else decides on.

    Args:
        format: A format.
        sizes: What `sizes_of` returned.

    Raises:
        ValueError: If it has a rank.
    """
    if format.rank is not None:
        raise ValueError(
            "A format whose ranks are looked for has none. "
            f"Received: format={format!r}. Pass it without a rank."
        )
    return format.shaped(*sizes)


def _bound(format: Format, error, sizes) -> Format:
    if error is not None and format.rank is not None:
        raise ValueError(
            "A format with a rank and an error exclude each other. "
            f"Received: rank={format.rank}, error={error}. "
            "Pass a format without rank, or leave error out."
        )
    if error is None and format.rank is None:
        raise ValueError(
            "A decomposition needs a rank or an error. "
            "Received: rank=None, error=None. Pass a format with a rank "
            "such as 8, or an error such as error=0.05."
        )
    if format.is_bound:
        shape = (*sizes[2], *map(math.prod, sizes[:2]))
        if format.dense_shape != shape:
            raise ValueError(
                "A bound format fits only the shape it is bound to, "
                f"{format.dense_shape}. Received: weight of shape {shape}. "
                "Pass an unbound format, or the weight it belongs to."
            )
        return format.cut()
    if format.rank is None or format.rank == "vbmf":
        # The error, or the noise, decides on the ranks later.
        return format.shaped(*sizes)
    return format.bind(*sizes).cut()


def _algorithm_of(format: Format):
    if type(format) not in ALGORITHMS:
        known = sorted(known.__name__ for known in ALGORITHMS)
        raise ValueError(
            f"`decompose` has algorithms for the formats {known}. "
            f"Received: format={format!r}. Choose one of them."
        )
    return ALGORITHMS[type(format)]
