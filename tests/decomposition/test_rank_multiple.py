"""Ranks found for an error are multiples that hardware likes, in any format."""

import numpy as np
import pytest

import tensornet_keras as tk

NAMES = ["btt", "cp", "kronecker", "low_rank", "tr", "tt", "tucker"]


def weight():
    generator = np.random.default_rng(0)
    left, right = (
        np.linalg.qr(generator.standard_normal((64, 64)))[0] for _ in range(2)
    )
    return (left * np.arange(1, 65.0) ** -1.0) @ right


@pytest.mark.parametrize("name", NAMES)
def test_ranks_for_an_error_are_multiples_and_keep_it(name):
    plain = tk.decompose(weight(), tk.formats.get(name), error=0.5)
    format = tk.formats.get(name, rank_multiple=4)
    result = tk.decompose(weight(), format, error=0.5)
    limits = result.format.attainable_ranks()
    for rank, limit in zip(result.format.rank, limits, strict=True):
        # A ring may be left open: its closing bond is then no bond.
        opened = name == "tr" and rank == 1
        assert rank % 4 == 0 or rank >= limit or opened
    assert result.relative_error <= 0.5
    assert result.format.num_params >= plain.format.num_params


@pytest.mark.parametrize("name", NAMES)
def test_an_int_is_rounded_up_and_a_share_down(name):
    sizes = ((64,), (64,))
    by_int = tk.formats.get(name, rank=3, rank_multiple=4).bind(*sizes)
    limits = by_int.attainable_ranks()
    assert by_int.rank == tuple(min(4, limit) for limit in limits)
    share = tk.formats.get(name, rank=1.0, rank_multiple=4).bind(*sizes)
    assert share.num_params <= share.dense_params
    for rank, limit in zip(share.rank, limits, strict=True):
        assert rank % 4 == 0 or rank == limit


def test_a_tuple_is_kept():
    train = tk.formats.TensorTrain((3, 5), rank_multiple=4).bind((64,), (64,))
    assert train.rank == (3, 5)


def test_rounding_a_train_honours_the_multiple():
    full = tk.decompose(
        weight(), tk.formats.TensorTrain(rank_multiple=4), error=0.0
    )
    found = tk.decomposition.round_train(full, error=0.5)
    limits = found.format.attainable_ranks()
    for rank, limit in zip(found.format.rank, limits, strict=True):
        assert rank % 4 == 0 or rank == limit
    assert found.relative_error <= 0.5


def test_a_multiple_below_one_is_refused():
    with pytest.raises(ValueError, match="`rank_multiple` must be at least 1"):
        tk.formats.TensorTrain(3, rank_multiple=0)
