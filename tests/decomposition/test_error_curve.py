"""Curves say what decompositions miss, without decomposing."""

import numpy as np
import pytest

from tensornet_keras import formats
from tensornet_keras.decomposition import decompose, error_curve

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((48, 36)) * np.geomspace(1, 1e-3, 36)
KERNEL = RNG.standard_normal((3, 3, 12, 16)) * np.geomspace(1, 1e-2, 16)
# One bond: the curve is exact. Several: a bound.
EXACT = [
    (MATRIX, formats.LowRank()),
    (MATRIX, formats.BlockTensorTrain()),
    (MATRIX, formats.Kronecker()),
    (MATRIX, formats.TensorTrain(None, (8, 6), (6, 6))),
    (KERNEL, formats.LowRank()),
    (KERNEL, formats.LowRank(conv_split="spatial")),
    (KERNEL, formats.LowRank(conv_split="spatial_transposed")),
]
BOUNDED = [
    (MATRIX, formats.TensorTrain(None, (4, 4, 3), (4, 3, 3))),
    (MATRIX, formats.Tucker()),
    (KERNEL, formats.Tucker()),
    (KERNEL, formats.TensorTrain()),
    (KERNEL, formats.TensorTrain(conv_order="channels_outside")),
]
DECOMPOSED = [
    (MATRIX, formats.CP(None, (4, 4, 3), (4, 3, 3))),
    (MATRIX, formats.TensorRing(None, (8, 6), (6, 6))),
]


def names(cases):
    return [f"{weight.ndim} {format}" for weight, format in cases]


def check_order(curve):
    sizes = [point.num_params for point in curve]
    errors = [point.error for point in curve]
    assert len(curve) > 1
    assert (np.diff(sizes) > 0).all()
    assert (np.diff(errors) < 0).all()


@pytest.mark.parametrize(("weight", "format"), EXACT, ids=names(EXACT))
def test_the_error_of_one_bond_is_that_of_its_decomposition(weight, format):
    curve = error_curve(weight, format)
    check_order(curve)
    for point in curve[:: max(1, len(curve) // 5)]:
        found = decompose(weight, point.format)
        assert found.format == point.format
        np.testing.assert_allclose(
            found.relative_error, point.error, rtol=1e-6, atol=1e-7
        )
    assert curve[-1].error < 1e-6


@pytest.mark.parametrize(("weight", "format"), BOUNDED, ids=names(BOUNDED))
def test_the_error_of_several_bonds_is_bounded(weight, format):
    curve = error_curve(weight, format)
    check_order(curve)
    for point in curve[:: max(1, len(curve) // 5)]:
        found = decompose(weight, point.format).relative_error
        # The bound of successive SVDs is no further than this from the best.
        bonds = len(point.format.rank)
        assert found <= point.error * (1 + 1e-6) + 1e-7
        assert point.error <= found * bonds**0.5 * (1 + 1e-6) + 1e-7


@pytest.mark.parametrize(
    ("weight", "format"), DECOMPOSED, ids=names(DECOMPOSED)
)
def test_a_format_without_spectra_is_decomposed(weight, format):
    curve = error_curve(weight, format)
    check_order(curve)
    for point in curve:
        assert point.num_params < weight.size
        again = decompose(weight, point.format)
        np.testing.assert_allclose(again.relative_error, point.error)


def test_ranks_are_multiples():
    curve = error_curve(MATRIX, formats.LowRank(rank_multiple=8))
    assert [point.format.rank for point in curve[:-1]] == [
        (8 * n,) for n in range(1, len(curve))
    ]


def test_a_format_of_a_rank_is_refused():
    with pytest.raises(ValueError, match="ranks are looked for has none"):
        error_curve(MATRIX, formats.LowRank(rank=3))


def test_a_weight_of_zeros_has_no_error():
    (point,) = error_curve(np.zeros((6, 4)), formats.LowRank())
    assert (point.error, point.format.rank) == (0.0, (1,))
