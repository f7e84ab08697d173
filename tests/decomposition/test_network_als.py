import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras.formats import EinsumNetwork, TensorTrain
from tests.decomposition.oracles import decaying_weight, relative_error
from tests.laws.oracles import dense_weight, random_cores

CHAIN = "i1 j1 a, a i2 j2 b, b i3 j3"
NETWORKS = {
    "chain": CHAIN,
    "tucker": "i1 a, i2 b, a b c d, c j1, d j2",
    "tree": EinsumNetwork.tree(3).equation,
    "grid": EinsumNetwork.grid(2, 2).equation,
    "ladder": EinsumNetwork.grid(2, 3).equation,
    "ring": "i1 j1 a c, a i2 b, b j2 c",
    "double bond": "i1 a b, a b j1",
    "bond of four cores": "i1 a, i2 a, j1 a, j2 a",
    "bonds of three cores": "i1 a b, a b j1, b j2 c, c i2, a i3",
    "leg on two cores": "i1 j1 a, j1 a i2 j2",
    "leg on three cores": "i1 j1 a, i1 a b i2, b i1 j2",
    "leg that skips a core": "i1 s, s i2 t, t i1 j1",
    "core without legs": "i1 a, j1 b, i2 c, a b c",
    "core of bonds in a loop": "i1 a b, a b c, c j1",
}
networks = pytest.mark.parametrize(
    "equation", NETWORKS.values(), ids=NETWORKS.keys()
)
LOOP_FREE = ("chain", "tucker", "tree", "core without legs")


def random_weight(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def full_rank(equation, inputs, outputs, window=()):
    shape = EinsumNetwork(equation).shaped((inputs,), (outputs,), window)
    return shape.with_rank(shape.attainable_ranks())


@networks
@pytest.mark.parametrize("shape", [(24, 36), (16, 7), (2, 3, 8, 12)])
def test_full_rank_reproduces_the_weight(equation, shape):
    if len(shape) > 2 and "w" not in equation:
        equation = f"w {equation}"
    weight = random_weight(shape)
    format = full_rank(equation, *shape[-2:], shape[:-2])
    result = tk.decompose(weight, format)
    dense = dense_weight(result.format.network, result.cores)
    np.testing.assert_allclose(dense, weight, atol=1e-12)
    ranks = zip(result.format.rank, format.rank, strict=True)
    assert all(rank <= limit for rank, limit in ranks)
    exact = tk.decompose(weight, EinsumNetwork(equation), error=0)
    assert exact.relative_error < 1e-13


@given(st.data())
def test_full_rank_reproduces_the_weight_in_any_network(data):
    count = data.draw(st.integers(2, 5), label="cores")
    cores = [set() for _ in range(count)]
    for k in range(1, count):
        other = data.draw(st.integers(0, k - 1), label=f"parent of {k}")
        ends = {k, other}
        ends |= data.draw(st.sets(st.integers(0, count - 1), max_size=1))
        for end in ends:
            cores[end].add(f"b{k}")
    for extra in range(data.draw(st.integers(0, 2), label="loops")):
        ends = st.sets(st.integers(0, count - 1), min_size=2, max_size=3)
        for end in data.draw(ends):
            cores[end].add(f"x{extra}")
    sizes = data.draw(
        st.lists(st.integers(1, 4), min_size=2, max_size=5), label="modes"
    )
    names = [f"i{k}" for k in range(1, len(sizes))] + ["j1"]
    for name in names:
        ends = st.sets(st.integers(0, count - 1), min_size=1, max_size=2)
        for end in data.draw(ends, label=name):
            cores[end].add(name)
    equation = ", ".join(" ".join(sorted(core)) for core in cores)
    inputs, outputs = tuple(sizes[:-1]), tuple(sizes[-1:])
    shape = (int(np.prod(inputs)), outputs[0])
    network = EinsumNetwork(equation, None, inputs, outputs)
    bound = network.shaped((shape[0],), (shape[1],))
    weight = random_weight(shape)
    result = tk.decompose(weight, bound.with_rank(bound.attainable_ranks()))
    assert result.relative_error < 1e-12


@networks
@pytest.mark.parametrize("rank", [1, 2])
def test_passes_lower_the_error_that_is_reported(equation, rank):
    weight = random_weight((24, 36))
    few = tk.decompose(weight, EinsumNetwork(equation, rank), max_iterations=1)
    many = tk.decompose(weight, EinsumNetwork(equation, rank))
    dense = dense_weight(many.format.network, many.cores)
    assert many.relative_error == pytest.approx(
        relative_error(dense, weight), abs=1e-9
    )
    assert many.relative_error <= few.relative_error + 1e-9
    assert many.relative_error < 1.0


@networks
@pytest.mark.parametrize("error", [0.1, 0.5])
def test_an_error_is_kept(equation, error):
    weight = decaying_weight((24, 36), decay=4.0)
    result = tk.decompose(
        weight, EinsumNetwork(equation), error=error, max_iterations=10
    )
    assert result.relative_error <= error
    assert result.converged
    assert result.format.num_params < full_rank(equation, 24, 36).num_params


@pytest.mark.parametrize("name", LOOP_FREE)
def test_a_network_without_loops_takes_its_singular_values(name):
    weight = decaying_weight((24, 36), decay=4.0)
    result = tk.decompose(weight, EinsumNetwork(NETWORKS[name]), error=0.2)
    again = tk.decompose(weight, result.format)
    assert result.iterations == 0
    assert again.format == result.format
    assert again.relative_error <= result.relative_error + 1e-9


def test_a_chain_is_as_good_as_the_tensor_train():
    weight = decaying_weight((24, 36))
    modes = ((4, 3, 2), (3, 4, 3))
    chain = tk.decompose(weight, EinsumNetwork(CHAIN, 3, *modes))
    train = tk.decompose(weight, TensorTrain(3, *modes))
    assert chain.format.core_shapes == train.format.core_shapes
    assert chain.relative_error <= train.relative_error + 1e-9
    assert chain.relative_error >= 0.9 * train.relative_error


def test_one_bond_is_the_singular_value_decomposition():
    weight = random_weight((20, 30))
    values = np.linalg.svd(weight)[1]
    result = tk.decompose(weight, EinsumNetwork("i1 a, a j1", 7))
    expected = np.linalg.norm(values[7:]) / np.linalg.norm(values)
    assert result.relative_error == pytest.approx(expected)


def test_a_leg_on_both_cores_is_one_singular_value_decomposition_each():
    weight = random_weight((12, 15))
    format = EinsumNetwork("i1 j1 a, j1 a i2 j2", 2, (4, 3), (3, 5))
    blocks = weight.reshape(4, 3, 3, 5).transpose(2, 0, 1, 3).reshape(3, 4, 15)
    values = np.linalg.svd(blocks)[1]
    expected = np.linalg.norm(values[:, 2:]) / np.linalg.norm(values)
    result = tk.decompose(weight, format)
    assert result.relative_error == pytest.approx(expected)


@pytest.mark.parametrize("name", ["grid", "ring", "bond of four cores"])
def test_a_weight_of_the_network_is_found_again(name):
    format = EinsumNetwork(NETWORKS[name], 2).bind((36,), (36,))
    cores = random_cores(format.network, "float64")
    weight = dense_weight(format.network, cores)
    result = tk.decompose(weight, format, tolerance=1e-7, max_iterations=300)
    assert result.relative_error < 1e-3
    within = tk.decompose(weight, EinsumNetwork(NETWORKS[name]), error=0.05)
    assert within.relative_error <= 0.05
    assert within.format.num_params <= format.num_params


@networks
def test_a_zero_weight_is_met_exactly(equation):
    result = tk.decompose(np.zeros((16, 12)), EinsumNetwork(equation, 3))
    assert result.relative_error == 0.0
    assert not result.to_dense().any()


@networks
def test_a_weight_of_low_rank_gives_finite_cores(equation):
    weight = np.ones((24, 36))
    result = tk.decompose(weight, EinsumNetwork(equation, 3))
    assert result.relative_error < 1e-6
    assert all(np.isfinite(core).all() for core in result.cores)


def test_ranks_are_rounded_up_where_bonds_carry_it():
    weight = decaying_weight((24, 36), decay=4.0)
    format = EinsumNetwork(CHAIN, rank_multiple=4)
    result = tk.decompose(weight, format, error=0.05)
    assert result.relative_error <= 0.05
    limits = result.format.attainable_ranks()
    assert all(
        rank == min(limit, 4 * -(-rank // 4))
        for rank, limit in zip(result.format.rank, limits, strict=True)
    )


def test_a_limit_of_passes_is_reported():
    weight = random_weight((36, 36))
    grid = EinsumNetwork.grid(2, 2, 3)
    few = tk.decompose(weight, grid, max_iterations=2)
    assert (few.iterations, few.converged) == (2, False)
    many = tk.decompose(weight, grid, tolerance=0.01)
    assert many.converged
    assert 2 <= many.iterations < 100


def test_a_network_that_cannot_hold_the_weight_says_so():
    # Each entry of the leg has a product of its own and nothing more.
    weight = random_weight((24, 6))
    format = EinsumNetwork("i1 j1, j1 i2", None, (4, 6), (6,))
    result = tk.decompose(weight, format, error=0.01)
    assert result.relative_error > 0.01
    assert not result.converged


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_cores_have_the_dtype_of_the_weight(dtype):
    weight = random_weight((12, 10), dtype=dtype)
    result = tk.decompose(weight, EinsumNetwork(CHAIN, 2))
    assert {core.dtype.name for core in result.cores} == {dtype}
    assert np.isfinite(result.relative_error)


def test_a_large_weight_is_decomposed_in_its_own_dtype():
    weight = decaying_weight((1024, 512), dtype="float32")
    result = tk.decompose(weight, EinsumNetwork.grid(2, 2, 3))
    train = tk.decompose(weight, EinsumNetwork.grid(1, 4, 3))
    assert max(result.relative_error, train.relative_error) < 0.2
    assert result.to_dense().dtype == np.float32


def test_the_seed_decides():
    weight = random_weight((36, 36))
    grid = EinsumNetwork.grid(2, 2, 3)
    runs = [tk.decompose(weight, grid, seed=seed) for seed in (1, 1)]
    for first, second in zip(*(run.cores for run in runs), strict=True):
        np.testing.assert_array_equal(first, second)
