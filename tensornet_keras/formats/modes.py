"""Choice of modes: how a dimension is split into factors.

The rule follows the experience of Novikov et al. 2015 (section 6.1: balanced
reshapes of moderate order do best) and pads what does not factor, as the
tensor-train embeddings of Hrinchuk et al. 2019 do.
"""

from __future__ import annotations

import math
from functools import lru_cache

from tensornet_keras import validation

LEAST_MEAN_MODE = 4
MOST_MODES = 4
MOST_MODES_OF_A_LARGE_SIZE = 6
LARGE_SIZE = 10_000
# A split counts as even when no mode exceeds this multiple of their mean.
WIDEST_MODE = 2.0


def choose_modes(
    input_size: int, output_size: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Modes of the two sides of a matrix, of equal number.

    As many modes as keep the mean (geometric) mode of the larger side at 4
    or more, at most 4 of them (6 for a size above 10,000), each side split
    as evenly as it can be. The side with fewer modes is filled with ones. A
    size that has no even split (a prime, or 1018 = 2 x 509) is padded up to
    the next one that has.

    Args:
        input_size: Length of the input axis.
        output_size: Length of the output axis.

    Returns:
        The input modes and the output modes, two tuples of one length.

    Example:

    >>> from tensornet_keras.formats.modes import choose_modes
    >>> choose_modes(800, 500)
    ((8, 5, 5, 4), (5, 5, 5, 4))
    >>> choose_modes(1018, 10)
    ((8, 8, 4, 4), (10, 1, 1, 1))
    """
    larger = max(input_size, output_size)
    order = len(_even_modes(larger, _most_modes(larger)))
    sides = [_even_modes(size, order) for size in (input_size, output_size)]
    return tuple(_filled(side, order) for side in sides)


def natural_modes(
    input_dims: tuple[int, ...], output_dims: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Modes that keep the dimensions of a side apart, of equal number.

    As many modes as `choose_modes` takes for the sizes, or as a side has
    dimensions if that is more. A side of several dimensions splits those
    whose modes are the largest; its modes never straddle two dimensions, so
    that heads and head size of attention stay what they are.

    Args:
        input_dims: Dimensions of the input side.
        output_dims: Dimensions of the output side.

    Returns:
        The input modes and the output modes, two tuples of one length.

    Example:

    >>> from tensornet_keras.formats.modes import natural_modes
    >>> natural_modes((768,), (12, 64))
    ((8, 6, 4, 4), (4, 3, 8, 8))
    """
    sides = (input_dims, output_dims)
    sizes = [math.prod(side) for side in sides]
    chosen = choose_modes(*sizes)
    order = max(len(chosen[0]), *map(len, sides))
    return tuple(
        _split_dims(dims, order)
        if len(dims) > 1
        else _filled(_even_modes(size, order), order)
        for dims, size in zip(sides, sizes, strict=True)
    )


def balanced_splits(
    input_size: int, output_size: int
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """A handful of even splits of both sides, of two modes and more.

    Args:
        input_size: Length of the input axis.
        output_size: Length of the output axis.

    Returns:
        Pairs of input modes and output modes of one length: of every order
        up to that of `choose_modes`, the most even split and the next one,
        with the output's modes in falling and in rising order.
    """
    larger = max(input_size, output_size)
    most = len(_even_modes(larger, _most_modes(larger)))
    splits = {}
    for order in range(2, most + 1):
        rows, columns = (
            _filled(_even_modes(size, order), order)
            for size in (input_size, output_size)
        )
        splits[rows, columns] = splits[rows, columns[::-1]] = None
        rows, columns = _next_even(rows), _next_even(columns)
        splits[rows, columns[::-1]] = splits[rows[::-1], columns] = None
    return list(splits)


def _next_even(modes: tuple[int, ...]) -> tuple[int, ...]:
    """The same product with its largest mode larger, if it is still even."""
    size, number = math.prod(modes), len(modes)
    bound = WIDEST_MODE * size ** (1 / number)
    for factor in _divisors(size):
        if modes[0] < factor <= bound:
            rest = most_even_split(size // factor, number - 1)
            if rest[0] <= factor:
                return (factor, *rest)
    return modes


def _split_dims(dims: tuple[int, ...], order: int) -> tuple[int, ...]:
    parts = [1] * len(dims)
    while sum(parts) < order:
        means = [n ** (1 / part) for n, part in zip(dims, parts, strict=True)]
        if max(means) < LEAST_MEAN_MODE:
            break
        parts[means.index(max(means))] += 1
    modes = (
        mode
        for size, part in zip(dims, parts, strict=True)
        for mode in most_even_split(size, part)
    )
    return _filled(tuple(modes), order)


def _filled(modes: tuple[int, ...], order: int) -> tuple[int, ...]:
    return modes + (1,) * (order - len(modes))


def _most_modes(size: int) -> int:
    return MOST_MODES_OF_A_LARGE_SIZE if size > LARGE_SIZE else MOST_MODES


def _even_modes(size: int, most: int) -> tuple[int, ...]:
    number = 1
    while number < most and LEAST_MEAN_MODE ** (number + 1) <= size:
        number += 1
    return even_split(size, number)


def even_split(size: int, number: int) -> tuple[int, ...]:
    """An even split of the size, or of the next one that has such a split.

    Args:
        size: The least product of the factors.
        number: How many factors.

    Returns:
        The factors, the largest first; none is more than twice their
        geometric mean.
    """
    bound = WIDEST_MODE * size ** (1 / number)
    while True:
        modes = most_even_split(size, number)
        if modes[0] <= bound:
            return modes
        size += 1


@lru_cache(maxsize=4096)
def most_even_split(size: int, number: int) -> tuple[int, ...]:
    """The split of `size` into `number` factors with the least sum.

    Args:
        size: The product of the factors.
        number: How many factors, some of which may be 1.

    Returns:
        The factors, the largest first.
    """
    if number == 1:
        return (size,)
    best = None
    for factor in _divisors(size):
        # The first factor is the largest: at least the geometric mean.
        if factor**number < size:
            continue
        rest = most_even_split(size // factor, number - 1)
        if rest[0] > factor:
            continue
        split = (factor, *rest)
        if best is None or (sum(split), split) < (sum(best), best):
            best = split
    return best


@lru_cache(maxsize=4096)
def _divisors(size: int) -> tuple[int, ...]:
    small = [n for n in range(1, math.isqrt(size) + 1) if size % n == 0]
    return tuple(sorted({*small, *(size // n for n in small)}))


def check_modes(modes, size: int, pad: bool, name: str) -> tuple[int, ...]:
    """Explicit modes of a dimension, checked against its size.

    Args:
        modes: The modes as the user wrote them.
        size: The dimension they stand for.
        pad: Whether their product may exceed the size.
        name: The argument's name, for the message.

    Returns:
        The modes as a tuple of ints.

    Raises:
        ValueError: If the modes multiply to less than the size, or to more
            without `pad`.
    """
    modes = validation.integer_tuple(modes, name)
    total = math.prod(modes)
    if total == size or (pad and total > size):
        return modes
    advice = (
        f"Choose modes whose product is {size}"
        if total < size
        else f"Choose modes whose product is {size}, or pass pad=True"
    )
    raise ValueError(
        f"`{name}` must multiply to the size of its dimension, {size}. "
        f"Received: {name}={modes}, whose product is {total}. {advice}."
    )
