import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras import formats
from tensornet_keras.formats import EinsumNetwork, TensorTrain, Tucker
from tests.laws.oracles import dense_weight, random_cores

CHAIN = "i1 a, a i2 j1 b, b j2"


def test_the_equation_comes_first_and_may_be_a_keyword():
    assert EinsumNetwork(CHAIN, 4) == EinsumNetwork(equation=CHAIN, rank=4)
    assert formats.get("einsum", equation=CHAIN, rank=4).rank == 4


def test_blanks_and_the_arrow_make_no_difference():
    written = EinsumNetwork("i1  a ,a i2 j1 b,b j2->i1 i2 j1 j2")
    assert written == EinsumNetwork(CHAIN)
    assert written.equation == CHAIN
    assert repr(EinsumNetwork(CHAIN, 2)) == (
        f"EinsumNetwork(rank=2, equation={CHAIN!r})"
    )


def test_the_cores_are_those_of_the_equation():
    network = EinsumNetwork(CHAIN, (2, 3), (4, 5), (6, 7)).bind((20,), (42,))
    assert network.core_shapes == ((4, 2), (2, 5, 6, 3), (3, 7))
    assert network.network.bonds == (("a", 2), ("b", 3))
    cores = random_cores(network.network, "float64")
    np.testing.assert_allclose(
        dense_weight(network.network, cores),
        np.einsum("ia,akjb,bl->ikjl", *cores).reshape(20, 42),
    )


def test_there_are_as_many_labels_as_one_likes():
    count = 60
    cores = ["i1 j1 b1"]
    cores += [f"b{k - 1} i{k} j{k} b{k}" for k in range(2, count)]
    cores += [f"b{count - 1} i{count} j{count}"]
    network = EinsumNetwork(
        ", ".join(cores), 2, (2,) + (1,) * (count - 1), (1,) * count
    ).bind((2,), (1,))
    assert network.num_bonds == count - 1
    assert len(network.network.legs) == 2 * count


def test_a_chain_is_a_tensor_train():
    train = TensorTrain(3, (2, 3, 4), (4, 3, 2)).bind((24,), (24,))
    chain = EinsumNetwork(
        "i1 j1 a, a i2 j2 b, b i3 j3", 3, (2, 3, 4), (4, 3, 2)
    ).bind((24,), (24,))
    assert chain.core_shapes == train.core_shapes
    assert chain.attainable_ranks() == train.attainable_ranks()


def test_tuckers_network_has_tuckers_limits():
    tucker = Tucker(9, (3, 4), (6,)).bind((12,), (6,))
    network = EinsumNetwork("i1 a, i2 b, a b c, c j1", 9, (3, 4), (6,)).bind(
        (12,), (6,)
    )
    assert network.rank == tucker.rank
    assert network.num_params == tucker.num_params


@pytest.mark.parametrize(
    ("equation", "modes", "limits"),
    [
        # The first bond carries what is left of it, the second what is right.
        (CHAIN, ((2, 3), (4, 5)), (2, 5)),
        # A bond of three cores: the product of all but the largest.
        ("i1 a, i2 a, j1 a", ((2, 3), (4,)), (6,)),
        # The leg on both cores does not count.
        ("i1 j1 a, j1 a i2 j2", ((2, 5), (7, 3)), (2,)),
        # A ring: the other two cores on whichever side is best.
        ("i1 a c, a i2 b, b c j1", ((4, 2), (2,)), (4, 4, 2)),
        # Two bonds between the same cores.
        ("i1 a b, a b j1", ((6,), (5,)), (5, 5)),
        # A bond of three cores in a loop.
        ("i1 a b, a b i2, b j1", ((2, 3), (4,)), (3, 6)),
        ("i1 a, a j1", ((1,), (6,)), (1,)),
    ],
)
def test_bonds_are_cut_to_what_they_carry(equation, modes, limits):
    inputs, outputs = ((math.prod(side),) for side in modes)
    network = EinsumNetwork(equation, 99, *modes).bind(inputs, outputs)
    assert network.attainable_ranks() == limits
    assert network.rank == limits


def test_modes_are_as_even_as_the_sizes_allow():
    network = EinsumNetwork(CHAIN, 2).bind((64,), (30,))
    assert (network.input_modes, network.output_modes) == ((8, 8), (6, 5))
    assert not network.pad


@given(st.integers(1, 400), st.integers(1, 4))
def test_chosen_modes_hold_the_size_and_little_more(size, number):
    cores = ", ".join(f"i{k} a" for k in range(1, number + 1))
    network = EinsumNetwork(f"{cores}, a j1", 1).bind((size,), (3,))
    assert len(network.input_modes) == number
    assert size <= math.prod(network.input_modes) < 2 * size + 2
    assert network.pad == (math.prod(network.input_modes) > size)


def test_w_is_every_axis_of_the_window():
    written = EinsumNetwork("w i1 a, a j1", 2)
    assert written.bind((4,), (3,)).network.cores == (("i1", "a"), ("a", "j1"))
    kernel = written.bind((4,), (3,), (3, 2))
    assert kernel.core_shapes == ((3, 2, 4, 2), (2, 3))
    assert EinsumNetwork("w, w i1 j1", 1).bind((4,), (3,)).core_shapes == (
        (4, 3),
    )


def test_named_axes_of_the_window_are_on_the_cores_named():
    kernel = EinsumNetwork("i1 a, w0 a b, w1 b j1", 2).bind((4,), (3,), (3, 5))
    assert kernel.core_shapes == ((4, 2), (3, 2, 2), (5, 2, 3))
    assert kernel.dense_shape == (3, 5, 4, 3)


@pytest.mark.parametrize("modes", [1, 2, 3, 4, 5, 7])
def test_a_tree_has_its_modes_on_the_leaves(modes):
    tree = EinsumNetwork.tree(modes, rank=2).bind((2**modes,), (2**modes,))
    legs = {"i", "j", "w"}
    assert tree.num_bonds == len(tree.network.cores) - 1
    for core in tree.network.cores[modes:]:
        assert not any(label[0] in legs for label in core)
    assert all(len(core) <= 3 for core in tree.network.cores)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 2), (3, 4)])
def test_a_grid_joins_its_neighbours(rows, columns):
    grid = EinsumNetwork.grid(rows, columns, rank=2)
    count = rows * columns
    bonds = rows * (columns - 1) + (rows - 1) * columns
    bound = grid.bind((2**count,), (1,))
    assert (len(bound.network.cores), bound.num_bonds) == (count, bonds)
    for k, core in enumerate(bound.network.cores, 1):
        assert {f"i{k}", f"j{k}"} <= set(core)
        row, column = divmod(k - 1, columns)
        neighbours = sum(
            (row > 0, row + 1 < rows, column > 0, column + 1 < columns)
        )
        assert len(core) == 2 + neighbours


def test_the_config_holds_the_equation():
    bound = EinsumNetwork(CHAIN, 3).bind((64,), (30,))
    config = json.loads(json.dumps(bound.to_config()))
    assert config["equation"] == CHAIN
    assert formats.get(config) == bound


@pytest.mark.parametrize(
    ("equation", "message"),
    [
        ("i1 a, j1", "two cores or more.*Put 'a' on another core"),
        ("i1 a, a i2", "must have output legs.*j1"),
        ("a j1, a", "must have input legs"),
        ("i1 a, a i3 j1", "without a gap.*Name them i1, i2 in place of i1, i3"),
        ("i0 a, a j1", "from i1 on"),
        ("i01 a, a j1", "from i1 on"),
        ("w1 i1 a, a j1", "from w0 on"),
        ("w w0 i1 a, a j1", "`w` stands for every window axis"),
        ("i1 batch, batch j1", "reserved.*Rename 'batch'"),
        ("i1 in, in j1", "reserved"),
        ("i1 beforehand, beforehand j1", "reserved"),
        ("i1 after_1, after_1 j1", "reserved"),
        ("i1 a a, a j1", "each label once.*'i1 a a'"),
        ("i1 a, a j1, i2 b, b j2", "must be connected"),
        ("i1 a, , a j1", "Every core must have a label"),
        ("", "Every core must have a label"),
        ("i1 a-b, a-b j1", "word of letters.*Rename 'a-b'"),
        ("i1 a, a j1 -> j1 i1", "row-major order.*Write '-> i1 j1'"),
        ("w i1 a, a j1 -> i1 j1", "Write '-> w i1 j1'"),
    ],
)
def test_an_equation_that_stands_for_no_weight_is_refused(equation, message):
    with pytest.raises(ValueError, match=message):
        EinsumNetwork(equation, 2)


@pytest.mark.parametrize("equation", [None, ("i1", "j1"), 3])
def test_an_equation_that_is_no_string_is_refused(equation):
    with pytest.raises(TypeError, match="must be a string of words"):
        EinsumNetwork(equation)


@pytest.mark.parametrize(
    ("equation", "window", "message"),
    [
        ("i1 a, a j1", (3,), r"here \['w0'\].*write w"),
        ("w0 i1 a, a j1", (), r"here \[\].*with \['w0'\]"),
        ("w0 i1 a, a j1", (3, 3), r"here \['w0', 'w1'\]"),
    ],
)
def test_other_axes_than_the_windows_are_refused(equation, window, message):
    with pytest.raises(ValueError, match=message):
        EinsumNetwork(equation, 2).bind((4,), (4,), window)


def test_as_many_modes_as_legs_are_needed():
    with pytest.raises(ValueError, match=r"each of the legs i1, i2\. Received"):
        EinsumNetwork(CHAIN, 2, (8,), (2, 4))
    with pytest.raises(ValueError, match=r"output_modes=\(2,\), 1 sizes"):
        EinsumNetwork(CHAIN, 2, output_modes=(2,))


@pytest.mark.parametrize("arguments", [(0,), (2.5,)])
def test_trees_and_grids_have_a_whole_number_of_cores(arguments):
    for build in (EinsumNetwork.tree, lambda n: EinsumNetwork.grid(2, n)):
        with pytest.raises((TypeError, ValueError), match="`(modes|columns)`"):
            build(*arguments)
