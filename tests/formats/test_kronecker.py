import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensornet_keras.formats import Kronecker
from tests.laws.oracles import dense_weight, random_cores

modes = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=3
)


@settings(max_examples=30, deadline=None)
@given(pairs=modes, rank=st.integers(1, 3))
def test_the_weight_is_a_sum_of_numpys_kronecker_products(pairs, rank):
    rows, columns = zip(*pairs, strict=True)
    sizes = (math.prod(rows),), (math.prod(columns),)
    products = Kronecker((rank,), rows, columns).bind(*sizes)
    cores = random_cores(products.network, "float64")
    expected = sum(
        functools.reduce(np.kron, factors)
        for factors in zip(*cores, strict=True)
    )
    found = dense_weight(products.network, cores)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_window_of_a_kernel_is_on_the_first_factor():
    products = Kronecker((1,), (3, 2), (2, 4)).bind((6,), (8,), (3, 2))
    first, second = random_cores(products.network, "float64")
    assert first.shape == (3, 2, 1, 3, 2)
    found = dense_weight(products.network, (first, second))
    for y, x in np.ndindex(3, 2):
        expected = np.kron(first[y, x, 0], second[0])
        np.testing.assert_allclose(found[y, x], expected)


def test_modes_left_out_are_two_a_side_as_even_as_can_be():
    products = Kronecker(2).bind((1024,), (600,))
    assert products.input_modes == (32, 32)
    assert products.output_modes == (25, 24)
    assert not products.pad


def test_a_prime_is_padded_to_two_modes():
    products = Kronecker(2).bind((67,), (1,))
    assert products.input_modes == (10, 7)
    assert products.output_modes == (1, 1)
    assert products.dense_shape == (67, 1)


def test_two_dimensions_of_a_side_are_its_modes():
    assert Kronecker(2).bind((36,), (3, 16)).output_modes == (3, 16)


def test_one_mode_a_side_is_the_weight_itself():
    products = Kronecker(4, (3,), (5,)).bind((3,), (5,), (2,))
    assert products.rank == ()
    assert products.core_shapes == ((2, 3, 5),)


def test_a_rank_is_cut_to_the_size_of_the_smaller_factor():
    assert Kronecker(99, (3, 2), (5, 2)).bind((6,), (10,)).rank == (4,)
    assert Kronecker(99, (3, 2), (5, 2)).bind((6,), (10,), (3,)).rank == (4,)


def test_both_sides_have_as_many_modes():
    with pytest.raises(ValueError, match="must have one length"):
        Kronecker(2, (2, 3), (6,))
