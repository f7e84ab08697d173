import numpy as np
import pytest

from tensornet_keras.decomposition.alternation import alternate, widened
from tensornet_keras.decomposition.decomposition import Target
from tensornet_keras.formats import EinsumNetwork
from tests.decomposition.oracles import relative_error
from tests.laws.oracles import dense_weight, random_cores

EQUATIONS = (
    "i1 a c, a i2 b, b j1 c",
    "i1 a, i2 a b, b j1 a",
    "i1 j1 a, j1 a i2",
)
networks = pytest.mark.parametrize("equation", EQUATIONS)


def problem(equation, rank, seed=0):
    network = (
        EinsumNetwork(equation, rank, (3, 4), (5,)).bind((12,), (5,)).network
    )
    tensor = np.random.default_rng(seed).standard_normal((3, 4, 5))
    return tensor, network, random_cores(network, "float64")


@networks
def test_a_step_solves_for_the_core_that_is_left(equation):
    tensor, network, cores = problem(equation, 2)
    # One pass ends with the last core solved for, the others as they were.
    solved, error, passes, converged = alternate(
        tensor, network, cores, Target(max_iterations=1)
    )
    *held, last = solved
    units = np.eye(last.size).reshape(-1, *last.shape)
    columns = [dense_weight(network, [*held, unit]).ravel() for unit in units]
    best = np.linalg.lstsq(np.stack(columns, 1), tensor.ravel())[0]
    weight = tensor.reshape(12, 5)
    dense = dense_weight(network, [*held, best.reshape(last.shape)])
    assert error == pytest.approx(relative_error(dense, weight))
    assert error == pytest.approx(
        relative_error(dense_weight(network, solved), weight)
    )
    assert (passes, converged) == (1, False)


@networks
def test_no_pass_raises_the_error(equation):
    tensor, network, cores = problem(equation, 3, seed=1)
    errors = []
    for _ in range(8):
        cores, error, _, _ = alternate(
            tensor, network, cores, Target(max_iterations=1)
        )
        errors.append(error)
    assert all(
        after <= before + 1e-7
        for before, after in zip(errors, errors[1:], strict=False)
    )
    assert errors[-1] <= errors[0]


def test_the_tolerance_and_the_goal_end_the_passes():
    tensor, network, cores = problem(EQUATIONS[0], 2)
    *_, passes, converged = alternate(tensor, network, cores, Target())
    assert converged
    assert passes > 2
    _, error, early, met = alternate(
        tensor, network, cores, Target(), goal=0.99
    )
    assert (early, met) == (1, True)
    assert error <= 0.99


@networks
def test_wider_cores_stand_for_the_same_weight(equation):
    _, network, cores = problem(equation, 2)
    wide = problem(equation, 4)[1]
    wider = widened(cores, wide, 0)
    assert tuple(core.shape for core in wider) == wide.core_shapes
    np.testing.assert_allclose(
        dense_weight(wide, wider), dense_weight(network, cores), atol=1e-12
    )
    # What was added is of use: no core is empty there on both sides.
    assert not all(
        np.count_nonzero(new) == np.count_nonzero(old)
        for new, old in zip(wider, cores, strict=True)
    )


@networks
def test_passes_put_wider_bonds_to_use(equation):
    tensor, network, cores = problem(equation, 1)
    cores, before, _, _ = alternate(tensor, network, cores, Target())
    wide = problem(equation, 2)[1]
    _, after, _, _ = alternate(tensor, wide, widened(cores, wide, 0), Target())
    assert after < before - 0.02


def test_cores_of_zeros_are_filled():
    tensor, network, cores = problem(EQUATIONS[0], 2)
    zeros = [np.zeros_like(core) for core in cores]
    found, error, _, _ = alternate(tensor, network, zeros, Target())
    assert error == pytest.approx(1.0)
    assert all(np.isfinite(core).all() for core in found)
    found, error, passes, converged = alternate(
        np.zeros_like(tensor), network, cores, Target()
    )
    assert (error, passes, converged) == (0.0, 0, True)
    assert not found[-1].any()
    assert all(core.any() for core in found[:-1])
