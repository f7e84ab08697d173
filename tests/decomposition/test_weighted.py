"""Cores for inputs of known second moments."""

import numpy as np
import pytest

from tensornet_keras import formats
from tensornet_keras.decomposition import decompose, decompose_for
from tensornet_keras.decomposition.weighted import InputNorm

RNG = np.random.default_rng(0)
MATRIX = RNG.standard_normal((30, 24))
KERNEL = RNG.standard_normal((3, 3, 8, 12))
CASES = [
    (MATRIX, formats.LowRank(6)),
    (MATRIX, formats.TensorTrain(6, (6, 5), (6, 4))),
    (MATRIX, formats.TensorTrain(6, (6, 6), (5, 5), pad=True)),
    (MATRIX, formats.Tucker(4)),
    (MATRIX, formats.BlockTensorTrain(2)),
    (MATRIX, formats.CP(8)),
    (KERNEL, formats.LowRank(10)),
    (KERNEL, formats.LowRank(10, conv_split="spatial")),
    (KERNEL, formats.Tucker(5)),
    (KERNEL, formats.TensorTrain(5, conv_order="channels_outside")),
]
EVERY_CASE = pytest.mark.parametrize(
    ("weight", "format"), CASES, ids=[f"{w.ndim} {f!r}" for w, f in CASES]
)


def inputs_for(weight, share=0.02):
    """Inputs of few strong directions, turned against the axes."""
    rows = int(np.prod(weight.shape[:-1]))
    turn = np.linalg.qr(RNG.standard_normal((rows, rows)))[0]
    spread = np.geomspace(1, share, rows)
    return RNG.standard_normal((4 * rows, rows)) * spread @ turn


def missed(inputs, weight, other):
    """The relative error of the outputs, by the outputs themselves."""
    flat = [x.reshape(inputs.shape[1], -1) for x in (weight, other)]
    whole, found = (inputs @ x for x in flat)
    return np.linalg.norm(found - whole) / np.linalg.norm(whole)


@EVERY_CASE
def test_outputs_miss_less_and_what_is_said(weight, format):
    inputs = inputs_for(weight)
    found, error = decompose_for(weight, format, inputs.T @ inputs)
    plain = decompose(weight, format)
    assert found.format == plain.format
    actual = missed(inputs, weight, found.to_dense())
    assert actual == pytest.approx(error, rel=1e-3)
    assert actual < 0.9 * missed(inputs, weight, plain.to_dense())
    # The weight itself is met less well: that is the price.
    assert found.relative_error >= plain.relative_error * (1 - 1e-6)


@EVERY_CASE
def test_inputs_alike_in_all_directions_change_little(weight, format):
    rows = int(np.prod(weight.shape[:-1]))
    found, error = decompose_for(weight, format, 7.0 * np.eye(rows))
    assert error == pytest.approx(found.relative_error, rel=1e-4)
    plain = decompose(weight, format)
    assert found.relative_error <= plain.relative_error * (1 + 1e-4)


def test_two_factors_are_the_best_there_are():
    inputs = inputs_for(MATRIX)
    _, error = decompose_for(MATRIX, formats.LowRank(6), inputs.T @ inputs)
    outputs = inputs @ MATRIX
    values = np.linalg.svd(outputs, compute_uv=False)
    best = np.sqrt((values[6:] ** 2).sum() / (values**2).sum())
    assert error == pytest.approx(best, rel=1e-3)


def test_inputs_of_a_few_directions_need_only_these():
    inputs = RNG.standard_normal((99, 4)) @ RNG.standard_normal((4, 30))
    _, error = decompose_for(MATRIX, formats.LowRank(4), inputs.T @ inputs)
    assert error < 1e-2


def test_no_inputs_at_all_are_the_plain_norm():
    found, _ = decompose_for(MATRIX, formats.LowRank(6), np.zeros((30, 30)))
    plain = decompose(MATRIX, formats.LowRank(6))
    assert found.relative_error == pytest.approx(plain.relative_error)


def test_moments_of_another_shape_or_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"shape \(30, 30\), .*Received: .*24"):
        decompose_for(MATRIX, formats.LowRank(6), np.eye(24))
    bad = np.eye(30)
    bad[3, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        InputNorm.of(bad, 30)
