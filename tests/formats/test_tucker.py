import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.formats import Tucker
from tests.laws.oracles import dense_weight, random_cores

sizes = st.integers(1, 3000)


def modes(*sizes, window=()):
    format = Tucker(1).bind(*((size,) for size in sizes), window)
    return format.input_modes, format.output_modes


def test_a_core_stands_between_the_factors_of_input_and_output():
    format = Tucker((2, 3, 4, 5, 6), (7, 8, 9), (10, 11))
    assert format.bind((504,), (110,)).core_shapes == (
        (7, 2),
        (8, 3),
        (9, 4),
        (2, 3, 4, 5, 6),
        (5, 10),
        (6, 11),
    )


def test_the_channels_of_a_kernel_are_one_mode_each():
    format = Tucker((4, 5)).bind((64,), (128,), (3, 2))
    assert format.core_shapes == ((64, 4), (3, 2, 4, 5), (5, 128))


def test_modes_of_a_kernel_share_the_core_with_the_window():
    format = Tucker((2, 3, 4), (8, 4), (16,)).bind((32,), (16,), (3,))
    assert format.core_shapes == ((8, 2), (4, 3), (3, 2, 3, 4), (4, 16))


@pytest.mark.parametrize(
    ("format", "equation"),
    [
        (
            Tucker((2, 3, 2), (3, 4), (5,)).bind((12,), (5,)),
            "ia,jb,abc,ck->ijk",
        ),
        (
            Tucker((2, 3)).bind((4,), (5,), (3, 2)),
            "ia,yxac,ck->yxik",
        ),
        (
            Tucker(2, (2, 3), (3, 2)).bind((6,), (6,), (2,)),
            "ia,jb,wabcd,ck,dl->wijkl",
        ),
    ],
    ids=str,
)
def test_the_cores_contract_to_the_weight(format, equation):
    cores = random_cores(format.network, "float64")
    expected = np.einsum(equation, *cores).reshape(format.dense_shape)
    np.testing.assert_allclose(dense_weight(format.network, cores), expected)


@given(sizes, sizes)
def test_a_side_of_a_matrix_has_at_most_two_even_modes(inputs, outputs):
    for side, size in zip(
        modes(inputs, outputs), (inputs, outputs), strict=True
    ):
        assert len(side) == (1 if size < 16 else 2)
        assert math.prod(side) >= size
        assert max(side) <= 2 * math.sqrt(size) or len(side) == 1


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (10, (10,)),
        (16, (4, 4)),
        (784, (28, 28)),
        (1024, (32, 32)),
        (3072, (64, 48)),
        # A prime, and twice a prime: padded.
        (1009, (44, 23)),
        (1018, (34, 30)),
    ],
)
def test_sizes_in_use_are_split_evenly(size, expected):
    assert modes(size, 10) == (expected, (10,))


@given(sizes, sizes, st.sampled_from([(3,), (3, 3), (1, 2, 3)]))
def test_the_channels_of_a_kernel_are_never_padded(inputs, outputs, window):
    assert modes(inputs, outputs, window=window) == ((inputs,), (outputs,))


def test_a_side_of_several_dimensions_has_them_as_modes():
    format = Tucker(2).bind((768,), (12, 64))
    assert (format.input_modes, format.output_modes) == ((32, 24), (12, 64))


def test_sides_may_have_different_numbers_of_modes():
    format = Tucker(2, (2, 3, 2), (8,)).bind((12,), (8,))
    assert format.rank == (2, 2, 2, 2)


def test_a_factor_carries_its_mode_or_what_the_others_hold():
    format = Tucker(100, (3, 4), (5,)).bind((12,), (5,))
    assert format.rank == (3, 4, 5)
    assert Tucker(100).bind((3,), (11,)).rank == (3, 3)
    assert Tucker(100).bind((3,), (40,), (3, 3)).rank == (3, 27)


def test_a_share_is_never_exceeded():
    format = Tucker(0.1).bind((64,), (128,), (3, 3))
    assert format.num_params <= 0.1 * format.dense_params
    more = format.with_rank(tuple(rank + 1 for rank in format.rank))
    assert more.num_params > 0.1 * format.dense_params


# Su et al. 2018: R solves k^2 R^2 + (S + T) R = rho k^2 S T.
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_tucker_2_has_the_rank_that_the_paper_gives_a_rate(share):
    format = Tucker(share).bind((64,), (64,), (3, 3))
    root = max(np.roots([9, 64 + 64, -share * 9 * 64 * 64]))
    assert format.rank == (math.floor(root),) * 2


def test_a_tuple_needs_one_rank_per_factor():
    with pytest.raises(ValueError, match=r"4 for modes 4·4 x 4·4\..*\(3, 4\)"):
        Tucker((3, 4)).bind((16,), (16,))


def test_modes_that_do_not_multiply_to_the_size_are_refused():
    with pytest.raises(ValueError, match=r"its dimension, 12.*is 16\. .*pad"):
        Tucker(2, (4, 4), (5,)).bind((12,), (5,))


def test_modes_of_one_side_only_are_refused():
    with pytest.raises(ValueError, match="given together"):
        Tucker(2, input_modes=(3, 4)).bind((12,), (5,))
