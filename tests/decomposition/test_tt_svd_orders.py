"""TT-SVD and rounding of kernels whose window is not in front."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition import (
    Decomposition,
    round_train,
    svd,
    tt_svd,
    unfolding,
)
from tensornet_keras.formats import TensorTrain
from tests.decomposition.oracles import decaying_weight, relative_error
from tests.laws.oracles import dense_weight

ORDERS = ("channels_outside", "spatial_last")


@st.composite
def kernels(draw):
    """An order, a window, modes and what is cropped off each side."""
    order = draw(st.sampled_from(ORDERS))
    window = tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)))
    counts = [draw(st.integers(1, 3)) for _ in range(2)]
    if order == "spatial_last":
        counts[1] = counts[0]
    modes = [
        tuple(draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)))
        for n in counts
    ]
    cropped = [draw(st.integers(0, min(2, math.prod(m) - 1))) for m in modes]
    return order, window, modes, cropped


def kernel_and_format(case, rank, dtype="float64", seed=0):
    order, window, modes, cropped = case
    sizes = [
        math.prod(m) - less for m, less in zip(modes, cropped, strict=True)
    ]
    weight = decaying_weight((*window, *sizes), seed, dtype)
    return weight, TensorTrain(rank, *modes, pad=True, conv_order=order)


def chain_tensor(weight, format):
    """The padded kernel with one axis a core, in the order of the train."""
    *window, rows, columns = weight.shape
    sides = [math.prod(format.input_modes), math.prod(format.output_modes)]
    whole = np.zeros((*window, *sides))
    whole[..., :rows, :columns] = weight
    network = format.network
    axes = network.weight_labels
    whole = whole.reshape([network.sizes[label] for label in axes])
    order = [label for site in format.sites for label in site]
    whole = whole.transpose([axes.index(label) for label in order])
    sizes = [
        math.prod(network.sizes[label] for label in site)
        for site in format.sites
    ]
    return whole.reshape(sizes)


def textbook(weight, format, error=None):
    """What the bonds drop in Oseledets' algorithm 1, and their ranks."""
    tensor = chain_tensor(weight, format)
    bonds = tensor.ndim - 1
    tail = (error or 0) / math.sqrt(bonds) * np.linalg.norm(tensor)
    rest, bond, dropped, ranks = tensor, 1, 0.0, []
    for k in range(bonds):
        matrix = rest.reshape(bond * tensor.shape[k], -1)
        _, values, vt = np.linalg.svd(matrix, full_matrices=False)
        if error is None:
            rank = min(format.rank[k], len(values))
        else:
            tails = [np.linalg.norm(values[r:]) for r in range(len(values))]
            rank = max(1, sum(size > tail for size in tails))
        dropped += np.square(values[rank:]).sum()
        ranks.append(rank)
        rest, bond = values[:rank, None] * vt[:rank], rank
    return math.sqrt(dropped), ranks


@given(kernels())
def test_full_rank_reproduces_the_kernel(case):
    weight, format = kernel_and_format(case, None)
    result = tk.decompose(weight, format, error=0)
    assert result.format.rank == result.format.attainable_ranks()
    assert relative_error(result.to_dense(), weight) < 1e-14
    expected = dense_weight(result.format.network, result.cores)
    np.testing.assert_allclose(expected, weight, atol=1e-13)


@given(kernels(), st.integers(1, 5), st.integers(0, 9))
def test_error_is_that_of_the_textbook(case, rank, seed):
    weight, format = kernel_and_format(case, rank, seed=seed)
    result = tk.decompose(weight, format)
    measured = relative_error(result.to_dense(), weight)
    assert result.relative_error == pytest.approx(measured, rel=1e-6, abs=1e-14)
    bound = result.format.with_rank(format.bind(*_sizes(weight)).rank)
    dropped, _ = textbook(weight, bound.cut())
    # Cropping a padded train may only take error away.
    assert measured * np.linalg.norm(weight) <= dropped * (1 + 1e-9) + 1e-12
    if not any(case[3]):
        whole = measured * np.linalg.norm(weight)
        assert whole == pytest.approx(dropped, rel=1e-6, abs=1e-12)


@given(kernels(), st.floats(0.01, 0.6), st.integers(0, 9))
def test_error_obtained_is_within_the_error_asked(case, error, seed):
    weight, format = kernel_and_format(case, None, seed=seed)
    result = tk.decompose(weight, format, error=error)
    assert result.relative_error <= error
    _, ranks = textbook(weight, result.format, error)
    assert all(np.less_equal(result.format.rank, ranks))


@given(kernels(), st.integers(1, 3))
def test_rounding_is_within_its_error_and_done_once(case, rank):
    _, format = kernel_and_format(case, 4)
    sizes = [
        math.prod(m) - less for m, less in zip(case[2], case[3], strict=True)
    ]
    bound = format.bind((sizes[0],), (sizes[1],), case[1])
    rng = np.random.default_rng(0)
    cores = [
        rng.standard_normal(shape) * 0.5 ** np.arange(shape[-1])
        for shape in bound.core_shapes
    ]
    train = Decomposition(bound, cores, 0.0)
    for limits in ({"rank": rank}, {"error": 0.2}):
        once = round_train(train, **limits)
        measured = relative_error(once.to_dense(), train.to_dense())
        assert once.relative_error == pytest.approx(measured, abs=1e-12)
        assert measured <= limits.get("error", 1.0)
        twice = round_train(once, **limits)
        assert twice.relative_error < 1e-13 or "error" in limits


@pytest.fixture
def treated_as_large(monkeypatch):
    """Tiny kernels take the roads of large ones, in many blocks."""
    for module in (svd, tt_svd):
        monkeypatch.setattr(module, "SMALL_SIZE", 0)
    monkeypatch.setattr(tt_svd, "MOST_GROUPED_ROWS", 30)
    monkeypatch.setattr(unfolding, "BLOCK_SIZE", 500)
    monkeypatch.setattr(unfolding, "MOST_NARROW_COLUMNS", 8)


@pytest.mark.usefixtures("treated_as_large")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ORDERS)
def test_blocks_of_a_large_kernel_give_the_textbook_train(order, dtype):
    weight = decaying_weight((3, 3, 16, 18), 1, dtype)
    format = TensorTrain(4, (4, 4), (6, 3), conv_order=order)
    result = tk.decompose(weight, format)
    bound = format.bind(*_sizes(weight)).cut()
    dropped, _ = textbook(weight, bound)
    assert result.format.rank == bound.rank
    assert result.cores[0].dtype == dtype
    error = result.relative_error * np.linalg.norm(weight.astype("float64"))
    assert error == pytest.approx(dropped, rel=1e-2)


@pytest.mark.parametrize("order", ORDERS)
def test_zero_kernels_keep_a_gradient(order):
    weight = np.zeros((3, 3, 8, 8), "float32")
    result = tk.decompose(weight, TensorTrain(2, conv_order=order))
    assert result.relative_error == 0.0
    assert sum(not core.any() for core in result.cores) == 1


def test_channels_outside_is_the_chain_of_four_small_convolutions():
    weight = decaying_weight((3, 3, 16, 24), dtype="float32")
    format = TensorTrain(5, conv_order="channels_outside")
    result = tk.decompose(weight, format)
    assert [core.shape for core in result.cores] == [
        (16, 5),
        (3, 5, 5),
        (3, 5, 5),
        (5, 24),
    ]
    dense = np.einsum("ap,hpq,wqr,rb->hwab", *result.cores)
    np.testing.assert_allclose(dense, result.to_dense(), atol=1e-5)


def _sizes(weight):
    *window, rows, columns = weight.shape
    return (rows,), (columns,), tuple(window)
