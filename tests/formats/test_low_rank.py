import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.formats import LowRank
from tests.laws.oracles import dense_weight, random_cores

sizes = st.integers(1, 60)
windows = st.sampled_from([(), (3,), (3, 2), (2, 1, 3)])
splits = st.sampled_from(["matrix", "spatial", "spatial_transposed"])


def shapes(split, window, rank=5, inputs=6, outputs=8):
    format = LowRank(rank, split).bind((inputs,), (outputs,), window)
    return format.core_shapes


def test_a_matrix_is_two_factors_in_every_split():
    for split in ("matrix", "spatial", "spatial_transposed"):
        assert shapes(split, ()) == ((6, 5), (5, 8))


def test_the_matrix_split_keeps_the_window_with_the_input():
    assert shapes("matrix", (3,)) == ((3, 6, 5), (5, 8))
    assert shapes("matrix", (3, 2)) == ((3, 2, 6, 5), (5, 8))
    assert shapes("matrix", (3, 2, 4)) == ((3, 2, 4, 6, 5), (5, 8))


def test_the_spatial_split_gives_the_first_window_axis_to_the_input():
    assert shapes("spatial", (3,)) == shapes("matrix", (3,))
    assert shapes("spatial", (3, 2)) == ((3, 6, 5), (5, 2, 8))
    assert shapes("spatial", (3, 2, 4)) == ((3, 6, 5), (5, 2, 4, 8))


def test_the_transposed_split_gives_the_first_window_axis_to_the_output():
    assert shapes("spatial_transposed", (3,)) == ((6, 5), (5, 3, 8))
    assert shapes("spatial_transposed", (3, 2)) == ((2, 6, 5), (5, 3, 8))
    assert shapes("spatial_transposed", (3, 2, 4)) == (
        (2, 4, 6, 5),
        (5, 3, 8),
    )


@pytest.mark.parametrize(
    ("split", "equation"),
    [
        ("matrix", "yxir,rj->yxij"),
        ("spatial", "yir,rxj->yxij"),
        ("spatial_transposed", "xir,ryj->yxij"),
    ],
)
def test_the_cores_contract_to_the_kernel(split, equation):
    format = LowRank(3, split).bind((4,), (5,), (3, 2))
    cores = random_cores(format.network, "float64")
    np.testing.assert_allclose(
        dense_weight(format.network, cores), np.einsum(equation, *cores)
    )


@given(sizes, sizes, windows, splits)
def test_the_attainable_rank_is_that_of_the_unfolding(
    inputs, outputs, window, split
):
    one = LowRank(1, split).bind((inputs,), (outputs,), window)
    rows, columns = (math.prod(shape) for shape in one.core_shapes)
    assert rows * columns == one.dense_params
    assert one.attainable_ranks() == (min(rows, columns),)
    full = LowRank(10_000, split).bind((inputs,), (outputs,), window)
    assert full.rank == (min(rows, columns),)


# Su et al. 2018: R = rho k^2 S T / (k (S + T)) keeps the share rho.
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_the_spatial_split_has_the_rank_that_the_paper_gives_a_rate(share):
    format = LowRank(share, "spatial").bind((64,), (32,), (3, 3))
    most = share * 9 * 64 * 32 / (3 * (64 + 32))
    assert format.rank == (math.floor(most),)


def test_several_dimensions_of_a_side_are_one_axis():
    format = LowRank(2).bind((3, 4), (2, 5))
    assert format.core_shapes == ((12, 2), (2, 10))


def test_the_split_is_seen_where_there_is_a_window():
    matrix = LowRank(2, "spatial").bind((6,), (8,))
    kernel = LowRank(2, "spatial").bind((6,), (8,), (3, 3))
    assert str(matrix) == "low_rank(6 x 8, ranks (2,))"
    assert str(kernel) == "low_rank(6 x 8 spatial, ranks (2,))"


def test_an_unknown_split_is_refused():
    with pytest.raises(
        ValueError, match=r"\['matrix', 'spatial', .*conv_split='svd'"
    ):
        LowRank(3, "svd")


def test_a_tuple_has_one_rank():
    with pytest.raises(ValueError, match=r"1 for modes 6 x 8\. .*\(3, 4\)"):
        LowRank((3, 4)).bind((6,), (8,))
