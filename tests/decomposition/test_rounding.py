import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.decomposition import Decomposition, round_train
from tensornet_keras.formats import TensorTrain
from tests.decomposition.oracles import relative_error, textbook_tt_svd

FORMATS = [
    TensorTrain(4, (4, 3, 4), (2, 4, 3)).bind((48,), (24,)),
    TensorTrain(6, (4, 4), (6, 4)).bind((16,), (24,), (3, 3)),
    TensorTrain(5, (4, 3, 4), (2, 4, 3), pad=True).bind((45,), (23,)),
    TensorTrain(5, (4, 4), (6, 4), pad=True).bind((13,), (21,), (3,)),
    TensorTrain(3, (5,), (7,), pad=True).bind((4,), (6,)),
]


def random_train(format, seed=0, dtype="float64", decay=0.5):
    """A train whose bonds matter less and less towards their ends."""
    rng = np.random.default_rng(seed)
    cores = []
    for shape in format.core_shapes:
        core = rng.standard_normal(shape)
        cores.append((core * decay ** np.arange(shape[-1])).astype(dtype))
    return Decomposition(format, cores, 0.0)


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_rounding_twice_is_rounding_once(format, rank):
    once = round_train(random_train(format), rank=rank)
    twice = round_train(once, rank=rank)
    assert twice.format == once.format
    assert twice.relative_error < 1e-14
    np.testing.assert_allclose(
        twice.to_dense(), once.to_dense(), atol=1e-13 * _largest(once)
    )


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("limits", [{"rank": 2}, {"error": 0.2}])
def test_error_reported_is_the_difference_from_the_train(format, dtype, limits):
    given_train = random_train(format, dtype=dtype)
    rounded = round_train(given_train, **limits)
    measured = relative_error(rounded.to_dense(), given_train.to_dense())
    assert rounded.relative_error == pytest.approx(measured, abs=1e-6)
    assert rounded.cores[0].dtype == dtype
    assert rounded.relative_error <= limits.get("error", 1.0)


@given(
    st.sampled_from(FORMATS),
    st.floats(0.001, 0.9),
    st.floats(0.1, 1.0),
    st.integers(0, 9),
)
def test_error_obtained_is_within_the_error_asked(format, error, decay, seed):
    train = random_train(format, seed, decay=decay)
    rounded = round_train(train, error=error)
    assert rounded.relative_error <= error
    assert all(np.less_equal(rounded.format.rank, train.format.rank))


@pytest.mark.parametrize("format", FORMATS[:2], ids=str)
def test_rounding_is_the_tt_svd_of_the_dense_weight(format):
    train = random_train(format)
    dense = train.to_dense()
    by_rank = round_train(train, rank=2)
    expected, _ = textbook_tt_svd(dense, format, ranks=by_rank.format.rank)
    np.testing.assert_allclose(
        by_rank.to_dense(), expected, atol=1e-12 * _largest(train)
    )
    by_error = round_train(train, error=0.1)
    _, ranks = textbook_tt_svd(dense, format, error=0.1)
    assert all(np.less_equal(by_error.format.rank, ranks))


def test_idle_ranks_go_without_error():
    format = TensorTrain((9, 11), (2, 2, 3), (2, 1, 2)).bind((12,), (4,))
    rounded = round_train(random_train(format), error=0)
    assert rounded.format.rank == (4, 6)
    assert rounded.relative_error < 1e-14


def test_ranks_below_those_asked_stay():
    train = random_train(FORMATS[0])
    assert round_train(train, rank=99).format.rank == train.format.rank
    assert round_train(train, rank=(1, 99)).format.rank == (1, 4)


def test_a_share_of_the_parameters_is_never_exceeded():
    train = random_train(FORMATS[0])
    rounded = round_train(train, rank=0.1)
    assert rounded.format.num_params <= 0.1 * rounded.format.dense_params


def test_cores_come_back_with_equal_norms():
    rounded = round_train(random_train(FORMATS[1]), rank=3)
    norms = [np.linalg.norm(core) for core in rounded.cores]
    np.testing.assert_allclose(norms, norms[0], rtol=1e-12)


def test_a_zero_train_rounds_to_a_zero_train():
    format = FORMATS[0]
    zeros = [np.zeros(shape, "float32") for shape in format.core_shapes]
    train = Decomposition(format, zeros, 0.0)
    assert round_train(train, rank=2).format.rank == (2, 2)
    rounded = round_train(train, error=0.1)
    assert rounded.format.rank == (1, 1)
    assert rounded.relative_error == 0.0
    assert not rounded.to_dense().any()


def test_rounding_needs_no_dense_weight():
    format = TensorTrain(6, (10,) * 8, (10,) * 8)
    train = random_train(format.bind((10**8,), (10**8,)), decay=0.1)
    rounded = round_train(train, error=0.05)
    assert rounded.relative_error <= 0.05
    assert rounded.format.num_params < train.format.num_params


def test_what_cannot_be_rounded_is_refused():
    train = random_train(FORMATS[0])
    with pytest.raises(ValueError, match="only one of them.*rank=None"):
        round_train(train)
    with pytest.raises(ValueError, match="only one of them.*rank=2"):
        round_train(train, rank=2, error=0.1)
    with pytest.raises(ValueError, match="one entry per bond"):
        round_train(train, rank=(1, 2, 3))
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        round_train(train, error=2.0)
    with pytest.raises(TypeError, match="Only a decomposition"):
        round_train(train.format, rank=2)


def _largest(train):
    return np.abs(train.to_dense()).max()


def test_a_rounded_decomposition_is_reached_from_the_face():
    assert tk.decomposition.round_train is round_train
