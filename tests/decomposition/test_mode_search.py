import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.formats.modes import balanced_splits, natural_modes


def odd_train():
    """A matrix that is a train of rank 2 over modes nobody would choose."""
    generator = np.random.default_rng(0)
    a = generator.standard_normal((4, 9, 2))
    b = generator.standard_normal((2, 9, 4))
    whole = np.einsum("iar,rjb->ijab", a, b).reshape(36, 36)
    noise = generator.standard_normal((36, 36))
    return whole + 1e-3 * noise


def test_the_search_finds_the_split_that_the_matrix_has():
    weight = odd_train()
    explicit = tk.formats.TensorTrain(2, (4, 9), (9, 4))
    truth = tk.decompose(weight, explicit)
    assert truth.relative_error < 1e-3
    train = tk.formats.TensorTrain(0.2)
    chosen = tk.decompose(weight, train)
    found = tk.decompose(weight, train, search_modes=True)
    assert found.relative_error < chosen.relative_error
    assert found.format.num_params <= 0.2 * weight.size


def test_with_an_error_the_smallest_is_kept():
    weight = odd_train()
    train = tk.formats.TensorTrain()
    chosen = tk.decompose(weight, train, 0.5)
    found = tk.decompose(weight, train, 0.5, search_modes=True)
    assert found.relative_error <= 0.5
    assert found.format.num_params <= chosen.format.num_params


@pytest.mark.parametrize("name", ["tt", "tr", "cp", "tucker", "kronecker"])
def test_every_format_with_modes_searches(name):
    weight = np.random.default_rng(0).standard_normal((24, 36))
    format = tk.formats.get(name, rank=2)
    chosen = tk.decompose(weight, format)
    found = tk.decompose(weight, format, search_modes=True)
    assert found.relative_error <= chosen.relative_error
    assert found.format.num_params <= chosen.format.num_params


def test_modes_that_are_given_are_not_searched_for():
    with pytest.raises(ValueError, match="leaves them to be chosen"):
        tk.decompose(
            odd_train(),
            tk.formats.TensorTrain(2, (6, 6), (6, 6)),
            search_modes=True,
        )
    with pytest.raises(ValueError, match="splits axes into modes"):
        tk.decompose(odd_train(), tk.formats.LowRank(2), search_modes=True)


@given(st.integers(4, 2000), st.integers(4, 2000))
def test_splits_cover_both_sides(inputs, outputs):
    splits = balanced_splits(inputs, outputs)
    assert len(splits) <= 4 * 5
    for rows, columns in splits:
        assert len(rows) == len(columns) >= 2
        assert np.prod(rows) >= inputs
        assert np.prod(columns) >= outputs


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.lists(st.integers(1, 40), min_size=2, max_size=3),
)
def test_natural_modes_never_straddle_two_dimensions(inputs, outputs):
    _, modes = natural_modes(tuple(inputs), tuple(outputs))
    modes = list(modes)
    for size in outputs:
        product = 1
        while product < size:
            product *= modes.pop(0)
        assert product == size
    assert all(mode == 1 for mode in modes if product)


def test_dims_of_another_size_are_refused():
    with pytest.raises(ValueError, match="`dims` must multiply to"):
        tk.decompose(
            odd_train(), tk.formats.TensorTrain(2), dims=((36,), (5, 7))
        )


def test_dims_choose_modes_within_them():
    train = tk.formats.TensorTrain(2)
    found = tk.decompose(odd_train(), train, dims=((36,), (3, 12)))
    assert found.format.output_dims == (3, 12)
    assert found.format.output_modes[0] == 3
