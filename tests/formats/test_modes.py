import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.formats.modes import choose_modes, most_even_split

sizes = st.integers(1, 3000)
large_sizes = st.integers(10_001, 300_000)


def splits(size, number):
    """All ways to write `size` as a product of `number` factors."""
    if number == 1:
        return [(size,)]
    return [
        (factor, *rest)
        for factor in range(1, size + 1)
        if size % factor == 0
        for rest in splits(size // factor, number - 1)
    ]


def evenest(size, number):
    return min(sum(split) for split in splits(size, number))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@given(size=st.integers(1, 200))
def test_the_most_even_split_has_the_least_sum(number, size):
    split = most_even_split(size, number)
    assert math.prod(split) == size
    assert len(split) == number
    assert list(split) == sorted(split, reverse=True)
    assert sum(split) == evenest(size, number)


@given(st.one_of(sizes, large_sizes), sizes)
def test_modes_cover_both_sizes_and_are_of_one_number(larger, other):
    for pair in ((larger, other), (other, larger)):
        modes = choose_modes(*pair)
        assert len(modes[0]) == len(modes[1])
        for side, size in zip(modes, pair, strict=True):
            assert math.prod(side) >= size


@given(st.one_of(sizes, large_sizes), sizes)
def test_the_larger_side_has_as_many_modes_as_the_rule_allows(size, other):
    larger = max(size, other)
    modes = choose_modes(size, other)
    number = len(modes[0])
    most = 6 if larger > 10_000 else 4
    assert number <= most
    assert 4**number <= larger or number == 1
    assert number == most or 4 ** (number + 1) > larger


@given(st.one_of(sizes, large_sizes))
def test_no_mode_is_wider_than_twice_the_mean(size):
    modes, _ = choose_modes(size, 1)
    mean = math.prod(modes) ** (1 / len(modes))
    assert max(modes) <= 2 * mean


@given(st.integers(16, 400))
def test_padding_goes_no_further_than_to_the_next_even_split(size):
    modes, _ = choose_modes(size, 1)
    for skipped in range(size, math.prod(modes)):
        widest = min(max(split) for split in splits(skipped, len(modes)))
        assert widest > 2 * skipped ** (1 / len(modes))


@given(st.one_of(sizes, large_sizes), sizes)
def test_the_two_sides_are_chosen_alike(size, other):
    assert choose_modes(size, other) == choose_modes(other, size)[::-1]


@pytest.mark.parametrize(
    ("size", "modes"),
    [
        (1, (1,)),
        (15, (15,)),
        (16, (4, 4)),
        (512, (8, 4, 4, 4)),
        (784, (7, 7, 4, 4)),
        (800, (8, 5, 5, 4)),
        (1024, (8, 8, 4, 4)),
        (4096, (8, 8, 8, 8)),
        (25088, (8, 7, 7, 4, 4, 4)),
    ],
)
def test_sizes_in_use_are_split_evenly(size, modes):
    assert choose_modes(size, 1) == (modes, (1,) * len(modes))


@pytest.mark.parametrize(
    ("size", "padded"), [(17, 18), (67, 70), (1018, 1024), (1009, 1024)]
)
def test_a_size_without_an_even_split_is_padded(size, padded):
    assert math.prod(choose_modes(size, 1)[0]) == padded


def test_the_shorter_side_is_filled_with_ones():
    assert choose_modes(1024, 10) == ((8, 8, 4, 4), (10, 1, 1, 1))
    assert choose_modes(10, 1024) == ((10, 1, 1, 1), (8, 8, 4, 4))


def test_channels_of_images_stay_whole():
    for channels, filters in itertools.product((1, 3), (6, 8)):
        assert choose_modes(channels, filters) == ((channels,), (filters,))
