"""Cores for inputs of known second moments."""

import numpy as np
import pytest

from tensornet_keras import formats
from tensornet_keras.decomposition import decompose, decompose_for
from tensornet_keras.decomposition.weighted import InputNorm
from tensornet_keras.decomposition.whitened_start import whitened_start

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


CHAINS = [
    (MATRIX, formats.TensorTrain(6, (6, 5), (6, 4))),
    (MATRIX, formats.TensorTrain(6, (6, 6), (5, 5), pad=True)),
    (KERNEL, formats.LowRank(10, conv_split="spatial")),
    (KERNEL, formats.Tucker(5)),
    (KERNEL, formats.TensorTrain(5, conv_order="channels_outside")),
]


@pytest.mark.parametrize(
    ("weight", "format"), CHAINS, ids=[f"{w.ndim} {f!r}" for w, f in CHAINS]
)
def test_a_chain_starts_where_its_legs_are_whitened(weight, format):
    bound = decompose(weight, format).format
    rows = [
        x
        for x in bound.network.weight_labels
        if x not in bound.network.labels_of("out")
    ]
    *window, true, _ = bound.network.weight_shape
    whole = bound.network.padded_shape[-2]
    # Moments of one factor for each leg, so that the start has the norm.
    spread = np.ones((1, 1))
    for label in rows:
        size = bound.network.sizes[label]
        turn = np.linalg.qr(RNG.standard_normal((size, size)))[0]
        factor = turn.T @ np.diag(np.geomspace(1, 1e-3, size)) @ turn
        spread = np.kron(spread, factor)
    places = int(np.prod(window, initial=1))
    inside = spread.reshape(places, whole, places, whole)
    inside = inside[:, :true, :, :true].reshape([places * true] * 2)
    norm = InputNorm.of(inside, places * true)
    start = whitened_start(weight, bound, norm.matrix, 0)
    plain = decompose(weight, bound)
    assert norm.error(weight, start.to_dense()) < 0.9 * norm.error(
        weight, plain.to_dense()
    )
    _, error = decompose_for(weight, bound, norm, passes=0)
    assert error == pytest.approx(norm.error(weight, start.to_dense()))


def test_a_table_of_many_rows_has_a_start_of_its_counts():
    table = RNG.standard_normal((20_000, 8))
    counts = np.geomspace(1e4, 1, 20_000)
    bound = formats.TensorTrain(4, (100, 200), (2, 4)).bind((20_000,), (8,))
    start = whitened_start(table, bound, counts, 0)
    norm = InputNorm.of(counts, 20_000)
    plain = decompose(table, bound)
    assert norm.error(table, start.to_dense()) < norm.error(
        table, plain.to_dense()
    )


def test_what_is_no_chain_has_no_start_of_its_own():
    bound = formats.CP(8).bind((30,), (24,))
    assert whitened_start(MATRIX, bound, np.eye(30), 0) is None


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
