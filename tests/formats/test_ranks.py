import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.formats import TensorTrain

sizes = st.integers(1, 300)
windows = st.sampled_from([(), (3,), (3, 3), (2, 3, 2)])


def test_an_int_is_cut_to_what_each_bond_can_carry():
    train = TensorTrain(100, (2, 3, 4), (2, 3, 4)).bind((24,), (24,))
    assert train.rank == (4, 16)
    assert train.attainable_ranks() == (4, 16)


def test_an_int_below_the_limits_is_used_for_every_bond():
    train = TensorTrain(3, (2, 3, 4), (2, 3, 4)).bind((24,), (24,))
    assert train.rank == (3, 3)


def test_a_tuple_is_kept_as_written():
    train = TensorTrain((100, 1), (2, 3, 4), (2, 3, 4)).bind((24,), (24,))
    assert train.rank == (100, 1)
    assert train.cut().rank == (4, 1)


def test_the_window_carries_as_much_as_it_has_entries():
    train = TensorTrain(100, (4, 4), (4, 4)).bind((16,), (16,), (3, 3))
    assert train.rank == (9, 16)


def test_one_is_a_rank_and_one_point_zero_a_share():
    one = TensorTrain(1).bind((64,), (64,))
    everything = TensorTrain(1.0).bind((64,), (64,))
    assert one.rank == (1, 1)
    assert max(everything.rank) > 1
    assert one.num_params < everything.num_params <= 64 * 64


@given(sizes, sizes, windows, st.floats(0.02, 1.0))
def test_a_share_is_never_exceeded_and_spent_to_one_rank_step(
    inputs, outputs, window, share
):
    one = TensorTrain(1).bind((inputs,), (outputs,), window)
    budget = share * one.dense_params
    if one.num_params > budget:
        with pytest.raises(ValueError, match="must allow rank 1"):
            TensorTrain(share).bind((inputs,), (outputs,), window)
        return
    train = TensorTrain(share).bind((inputs,), (outputs,), window)
    assert train.num_params <= budget
    common = max(train.rank, default=1)
    more = TensorTrain(common + 1).bind((inputs,), (outputs,), window)
    assert more == train or more.num_params > budget


@given(sizes, sizes, windows, st.integers(1, 40))
def test_ranks_grow_to_the_attainable_and_no_further(
    inputs, outputs, window, rank
):
    train = TensorTrain(rank).bind((inputs,), (outputs,), window)
    limits = train.attainable_ranks()
    assert train.rank == tuple(min(rank, limit) for limit in limits)
    assert train.cut() == train


def test_attainable_ranks_hold_every_matrix():
    train = TensorTrain(1, (2, 3), (4, 5)).bind((6,), (20,))
    [limit] = train.attainable_ranks()
    weight = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    unfolded = weight.transpose(0, 2, 1, 3).reshape(8, 15)
    assert np.linalg.matrix_rank(unfolded) == limit


def test_other_ranks_keep_modes_and_sizes():
    train = TensorTrain(2).bind((30,), (40,), (3,))
    other = train.with_rank((1,) * len(train.rank))
    assert other == dataclasses.replace(train, rank=(1,) * len(train.rank))
    assert other.dense_shape == train.dense_shape


def test_numbers_of_numpy_are_numbers():
    assert TensorTrain(np.int64(4)) == TensorTrain(4)
    assert TensorTrain(np.float64(0.5)) == TensorTrain(0.5)
    assert isinstance(TensorTrain(np.int64(4)).rank, int)


@pytest.mark.parametrize(
    ("rank", "error", "message"),
    [
        (0, ValueError, r"at least 1\. Received: rank=0\. Pass an int"),
        (-3, ValueError, r"Received: rank=-3"),
        ((4, 0), ValueError, r"Received: rank=\(4, 0\)\. Replace 0"),
        ((4, 2.5), ValueError, r"Received: rank=\(4, 2\.5\)"),
        (0.0, ValueError, r"\(0, 1\]\. Received: rank=0\.0"),
        (1.5, ValueError, r"Received: rank=1\.5\. Pass an int for a rank"),
        (float("nan"), ValueError, "Received: rank=nan"),
        (True, TypeError, "Received: rank=True"),
        ("8", TypeError, r"Received: rank='8'\. Pass for example rank=8"),
    ],
)
def test_ranks_that_are_none_are_refused(rank, error, message):
    with pytest.raises(error, match=message):
        TensorTrain(rank)


def test_a_tuple_needs_one_rank_per_bond():
    with pytest.raises(ValueError, match=r"2 for modes.*Received: rank=\(4,\)"):
        TensorTrain((4,), (2, 3, 4), (2, 3, 4)).bind((24,), (24,))


def test_a_tuple_of_a_kernel_counts_the_window():
    kernel = TensorTrain((4, 4), (2, 3, 4), (2, 3, 4))
    with pytest.raises(ValueError, match=r"3 for modes.*window \(3, 3\)"):
        kernel.bind((24,), (24,), (3, 3))


def test_a_share_too_small_for_rank_one_says_what_rank_one_takes():
    with pytest.raises(ValueError, match=r"takes 0\.\d+ .*rank=0\.0001"):
        TensorTrain(1e-4).bind((20,), (20,))


def test_no_rank_cannot_be_bound():
    with pytest.raises(ValueError, match="rank=None.*pass error= to"):
        TensorTrain().bind((24,), (24,))
