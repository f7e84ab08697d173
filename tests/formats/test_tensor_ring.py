import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.formats import TensorRing, TensorTrain
from tests.laws.oracles import dense_weight, random_cores

modes = st.lists(st.integers(1, 4), min_size=1, max_size=4)
windows = st.sampled_from([(), (3,), (3, 2), (2, 1, 3)])


def bound(rank, inputs, outputs, window=()):
    sizes = (int(np.prod(inputs)),), (int(np.prod(outputs)),), window
    return TensorRing(rank, tuple(inputs), tuple(outputs)).bind(*sizes)


def test_the_closing_bond_joins_the_last_core_to_the_first():
    ring = bound((2, 3, 4), (2, 3, 2), (3, 1, 5))
    assert ring.core_shapes == ((4, 2, 3, 2), (2, 3, 1, 3), (3, 2, 5, 4))
    assert [label for label, _ in ring.network.bonds] == ["r1", "r2", "r3"]


def test_a_kernel_has_its_window_on_the_first_core():
    ring = bound((2, 3, 4), (2, 3), (3, 1), (3, 2))
    assert ring.core_shapes == ((4, 3, 2, 2), (2, 2, 3, 3), (3, 3, 1, 4))
    assert [label for label, _ in ring.network.bonds] == ["r0", "r1", "r2"]


def test_a_single_core_has_no_bond():
    ring = bound(5, (4,), (3,))
    assert (ring.num_bonds, ring.rank) == (0, ())
    assert ring.core_shapes == ((4, 3),)
    assert ring.attainable_ranks() == ()


def test_two_cores_share_both_bonds():
    ring = bound((2, 3), (4, 2), (3, 2))
    assert ring.core_shapes == ((3, 4, 3, 2), (2, 2, 2, 3))


@given(modes, windows, st.data())
def test_the_weight_is_the_trace_of_the_product_of_its_slices(
    inputs, window, data
):
    outputs = data.draw(st.lists(st.integers(1, 3), min_size=len(inputs)))
    outputs = outputs[: len(inputs)]
    count = len(inputs) + bool(window)
    rank = data.draw(
        st.tuples(*[st.integers(1, 3)] * (count if count > 1 else 0))
    )
    ring = bound(rank, inputs, outputs, window)
    cores = random_cores(ring.network, "float64")
    dense = dense_weight(ring.network, cores)
    index = [data.draw(st.integers(0, n - 1)) for n in dense.shape]
    rows = np.unravel_index(index[-2], inputs)
    columns = np.unravel_index(index[-1], outputs)
    where = [tuple(index[:-2])] if window else []
    where += list(zip(rows, columns, strict=True))
    slices = [
        core[(slice(None), *site)] if rank else core[site][None, None]
        for core, site in zip(cores, where, strict=True)
    ]
    product = np.linalg.multi_dot([np.eye(len(slices[0])), *slices])
    np.testing.assert_allclose(
        dense[tuple(index)], np.trace(product), atol=1e-10
    )


@given(modes, windows)
def test_attainable_ranks_are_a_trains_and_a_closing_bond(inputs, window):
    ring = bound(1, inputs, inputs, window)
    train = TensorTrain(1, tuple(inputs), tuple(inputs)).bind(
        ring.input_dims, ring.output_dims, window
    )
    limits = ring.attainable_ranks()
    assert limits[:-1] == train.attainable_ranks()
    ends = [int(np.prod(window)) if window else inputs[0] ** 2, inputs[-1] ** 2]
    assert limits[-1:] == ((min(ends),) if len(limits) else ())


def test_an_int_is_cut_and_a_tuple_kept():
    assert bound(100, (2, 3, 4), (2, 3, 4)).rank == (4, 16, 4)
    assert bound((9, 9, 9), (2, 3, 4), (2, 3, 4)).rank == (9, 9, 9)


def test_a_share_counts_the_closing_bond():
    ring = TensorRing(0.2).bind((256,), (256,))
    assert ring.num_params <= 0.2 * 256 * 256
    assert len(ring.rank) == len(ring.input_modes) == 4


def test_a_tuple_of_another_length_is_refused():
    with pytest.raises(ValueError, match="one entry per bond: 3 for"):
        bound((2, 3), (2, 3, 2), (3, 1, 2))


def test_sides_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        TensorRing(2, (2, 3), (6,))
