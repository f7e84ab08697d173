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
    return tuple(side + (1,) * (order - len(side)) for side in sides)


def _most_modes(size: int) -> int:
    return MOST_MODES_OF_A_LARGE_SIZE if size > LARGE_SIZE else MOST_MODES


def _even_modes(size: int, most: int) -> tuple[int, ...]:
    number = 1
    while number < most and LEAST_MEAN_MODE ** (number + 1) <= size:
        number += 1
    if number == 1:
        return (size,)
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
