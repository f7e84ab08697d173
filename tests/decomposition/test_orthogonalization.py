import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tests.laws.oracles import random_cores

F = tk.formats
TRAINS = [
    F.TensorTrain(3, (2, 3, 4), (3, 2, 2)).bind((24,), (12,)),
    F.TensorTrain(9, (2, 2, 2), (2, 2, 2)).bind((8,), (8,)),
    F.TensorTrain(3, (2, 3), (4, 2)).bind((6,), (8,), (3, 2)),
    F.TensorTrain(3, conv_order="channels_outside").bind((6,), (8,), (3, 2)),
    F.TensorTrain(2, (2, 3), (4, 2), conv_order="spatial_last").bind(
        (6,), (8,), (3, 2)
    ),
]


def matrices(train):
    """Cores as `(left bond, legs, right bond)`, found by their labels."""
    network = train.format.network
    bonds = [label for label, _ in network.bonds]
    found = []
    for k, (core, labels) in enumerate(
        zip(train.cores, network.cores, strict=True)
    ):
        left = bonds[k - 1] if k else None
        right = bonds[k] if k < len(bonds) else None
        legs = [x for x in labels if x not in (left, right)]
        order = [x for x in (left, *legs, right) if x]
        moved = core.transpose([labels.index(x) for x in order])
        sizes = [network.sizes.get(x, 1) for x in (left, right)]
        found.append(moved.reshape(sizes[0], -1, sizes[1]))
    return found


@given(st.sampled_from(TRAINS), st.data())
def test_cores_on_both_sides_of_the_center_are_orthonormal(format, data):
    center = data.draw(st.integers(0, len(format.core_shapes) - 1))
    cores = random_cores(format.network, "float64")
    given_train = tk.interop.from_numpy(format, cores)
    train = tk.decomposition.orthogonalize(given_train, center)
    np.testing.assert_allclose(
        train.to_dense(), given_train.to_dense(), atol=1e-10
    )
    for k, core in enumerate(matrices(train)):
        left, _, right = core.shape
        if k < center:
            square = core.reshape(-1, right).T @ core.reshape(-1, right)
            np.testing.assert_allclose(square, np.eye(right), atol=1e-12)
        if k > center:
            square = core.reshape(left, -1) @ core.reshape(left, -1).T
            np.testing.assert_allclose(square, np.eye(left), atol=1e-12)
    norm = np.linalg.norm(train.cores[center])
    assert norm == pytest.approx(np.linalg.norm(train.to_dense()))


def test_what_is_no_train_is_refused():
    weight = np.eye(16)
    ring = tk.decompose(weight, F.TensorRing(2))
    with pytest.raises(ValueError, match="is for tensor trains"):
        tk.decomposition.orthogonalize(ring)
    with pytest.raises(TypeError, match="Only a decomposition"):
        tk.decomposition.orthogonalize(weight)
    train = tk.decompose(weight, F.TensorTrain(2))
    with pytest.raises(ValueError, match="`center` must be the number"):
        tk.decomposition.orthogonalize(train, 2)
