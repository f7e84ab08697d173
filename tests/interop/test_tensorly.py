import warnings

import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.decomposition.legs import leg_tensor
from tests.laws.oracles import random_array

F = tk.formats
MATRIX, KERNEL = ((12,), (20,)), ((6,), (8,), (3, 2))
FORMATS = [
    F.TensorTrain(3, (3, 4), (5, 4)).bind(*MATRIX),
    F.TensorTrain(3, (2, 3), (4, 2)).bind(*KERNEL),
    F.TensorTrain(3, conv_order="channels_outside").bind(*KERNEL),
    F.TensorTrain(2, (12,), (20,)).bind(*MATRIX),
    F.TensorRing(2, (3, 2, 2), (5, 2, 2)).bind(*MATRIX),
    F.TensorRing(2, (2, 3), (4, 2)).bind(*KERNEL),
    F.Tucker((2, 3, 2, 3), (3, 4), (5, 4)).bind(*MATRIX),
    F.Tucker((4, 5)).bind(*KERNEL),
    F.CP(5, (3, 2, 2), (5, 2, 2)).bind(*MATRIX),
    F.CP(5, (3, 4), (5, 4), pair_modes=False).bind(*MATRIX),
    F.CP(5).bind(*KERNEL),
    F.Kronecker(3, (3, 4), (5, 4)).bind(*MATRIX),
    F.LowRank(3).bind(*MATRIX),
    F.LowRank(3, "spatial").bind(*KERNEL),
]


@pytest.fixture(scope="module", autouse=True)
def tensorly():
    return pytest.importorskip("tensorly")


def dense_by_core(result, order):
    """The weight with its legs grouped, in TensorLy's order of axes."""
    network = result.format.network
    labels = network.weight_labels
    tensor = leg_tensor(result.to_dense(), network, np.float32)
    flat = [label for group in order for label in group]
    tensor = tensor.transpose([labels.index(label) for label in flat])
    sizes = [int(np.prod([network.sizes[x] for x in group])) for group in order]
    return tensor.reshape(sizes)


def groups_of(format):
    """The legs of TensorLy's axes, in order."""
    network = format.network
    legs = set(network.weight_labels)
    by_core = [[x for x in core if x in legs] for core in network.cores]
    if isinstance(format, F.Tucker):
        return [[x] for group in by_core for x in group]
    return by_core


def dense_of(tensor):
    import tensorly
    from tensorly.tt_matrix import TTMatrix

    if isinstance(tensor, TTMatrix):
        whole = tensorly.tt_matrix_to_tensor(tensor)
        count = whole.ndim // 2
        order = [a for k in range(count) for a in (k, k + count)]
        pairs = [whole.shape[k] * whole.shape[k + count] for k in range(count)]
        return whole.transpose(order).reshape(pairs)
    return tensor.to_tensor()


@pytest.mark.parametrize("format", FORMATS, ids=repr)
def test_tensorly_contracts_the_cores_to_the_same_tensor(format):
    cores = [random_array(s, n) for n, s in enumerate(format.core_shapes)]
    result = tk.interop.from_numpy(format, cores)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dense_of(tk.interop.to_tensorly(result))
    expected = dense_by_core(result, groups_of(format))
    assert found.shape == expected.shape
    np.testing.assert_allclose(
        found, expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("format", FORMATS, ids=repr)
def test_there_and_back_again_nothing_changes(format):
    cores = [random_array(s, n) for n, s in enumerate(format.core_shapes)]
    tensor = tk.interop.to_tensorly(format, cores)
    again = tk.interop.from_tensorly(tensor, format)
    assert again.format == format
    for core, given in zip(again.cores, cores, strict=True):
        np.testing.assert_allclose(core, given, rtol=1e-6)


def test_tensorlys_own_decomposition_comes_in():
    from tensorly.decomposition import parafac

    weight = random_array((12, 20))
    bound = F.CP(4, (3, 2, 2), (5, 2, 2)).bind(*MATRIX)
    tensor = (
        dense_by_core(
            tk.interop.from_numpy(
                F.LowRank(12).bind(*MATRIX),
                [np.eye(12, dtype="float32"), weight],
            ),
            [["i1"], ["j1"]],
        )
        .reshape(3, 2, 2, 5, 2, 2)
        .transpose(0, 3, 1, 4, 2, 5)
        .reshape(15, 4, 4)
    )
    cp = parafac(tensor, 4, normalize_factors=True, random_state=0)
    result = tk.interop.from_tensorly(cp, bound)
    missed = np.linalg.norm(result.to_dense() - weight)
    expected = np.linalg.norm(cp.to_tensor() - tensor)
    assert missed == pytest.approx(expected, rel=1e-4)


def test_formats_that_tensorly_has_not_are_refused():
    bound = F.BlockTensorTrain(2).bind((16,), (16,))
    cores = [random_array(shape) for shape in bound.core_shapes]
    with pytest.raises(ValueError, match="TensorLy has TensorTrain"):
        tk.interop.to_tensorly(bound, cores)
    with pytest.raises(ValueError, match="TensorLy has TensorTrain"):
        tk.interop.from_tensorly(cores, bound)


def test_cores_that_do_not_fit_are_refused():
    train = FORMATS[0]
    cores = [random_array(shape) for shape in train.core_shapes]
    other = F.TensorTrain(3, (4, 3), (4, 5)).bind(*MATRIX)
    tensor = tk.interop.to_tensorly(train, cores)
    with pytest.raises(ValueError, match="must fit the format's shapes"):
        tk.interop.from_tensorly(tensor, other)
    swapped = F.TensorTrain(3, (4, 3), (5, 4)).bind(*MATRIX)
    with pytest.raises(ValueError, match="must fit the format's shapes"):
        tk.interop.from_tensorly(tensor, swapped)


def test_a_tucker_core_of_another_order_is_refused():
    tucker = FORMATS[6]
    cores = [random_array(shape) for shape in tucker.core_shapes]
    core, factors = tk.interop.to_tensorly(tucker, cores)
    with pytest.raises(ValueError, match="must fit the format's shapes"):
        tk.interop.from_tensorly((core.T, factors), tucker)
