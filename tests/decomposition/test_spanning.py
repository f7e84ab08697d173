import numpy as np
import pytest

from tensornet_keras.decomposition.spanning import (
    spanning_cores,
    spanning_tree,
)
from tensornet_keras.formats import EinsumNetwork
from tests.laws.oracles import dense_weight


def tree_of(equation, inputs, outputs):
    sizes = (int(np.prod(inputs)),), (int(np.prod(outputs)),)
    network = EinsumNetwork(equation, 1, inputs, outputs).bind(*sizes).network
    format = EinsumNetwork(equation, None, inputs, outputs).shaped(*sizes)
    bonds = [label for label, _ in network.bonds]
    limits = dict(zip(bonds, format.attainable_ranks(), strict=True))
    return spanning_tree(network, limits), limits, format


def decomposed(weight, equation, inputs, outputs, tail=None):
    tree, limits, format = tree_of(equation, inputs, outputs)
    tensor = weight.reshape(*inputs, *outputs)
    links = tree.links_within(limits)
    cores, used, kept = spanning_cores(tensor, tree, links, tail)
    network = format.with_rank(tuple(used.values())).network
    return dense_weight(network, cores), used, kept


@pytest.mark.parametrize(
    ("equation", "used"),
    [
        ("i1 a, a i2 b, b j1", {"a": 2, "b": 5}),
        # The bond across from the root keeps one entry.
        ("i1 a c, a i2 b, b j1 c", {"a": 1, "b": 3, "c": 2}),
        # Both children of the bond count in its index.
        ("i1 a, i2 a, j1 a", {"a": 6}),
    ],
)
def test_the_tree_alone_holds_a_weight(equation, used):
    weight = np.random.default_rng(0).standard_normal((6, 5))
    dense, sizes, kept = decomposed(weight, equation, (2, 3), (5,))
    np.testing.assert_allclose(dense, weight, atol=1e-12)
    assert kept == pytest.approx(np.linalg.norm(weight))
    assert sizes == used


def test_what_is_dropped_is_what_is_missed():
    weight = np.random.default_rng(0).standard_normal((12, 8))
    dense, used, kept = decomposed(
        weight, "i1 j1 a, a i2 b, b j2", (3, 4), (2, 4), tail=2.0
    )
    missed = np.linalg.norm(dense - weight)
    assert 0.0 < missed <= 2.0 * np.sqrt(2)
    assert missed**2 + kept**2 == pytest.approx(np.linalg.norm(weight) ** 2)
    assert max(used.values()) < 6


def test_the_first_split_is_the_singular_value_decomposition():
    weight = np.random.default_rng(0).standard_normal((6, 5))
    tree, _, _ = tree_of("i1 a, a j1", (6,), (5,))
    _, used, kept = spanning_cores(weight, tree, {0: 3, 1: 3})
    assert used == {"a": 3}
    values = np.linalg.svd(weight)[1]
    assert kept == pytest.approx(np.linalg.norm(values[:3]))


def test_links_share_what_a_bond_carries():
    tree, _, _ = tree_of("i1 a, i2 a, i3 a, j1 a", (2, 3, 4), (30,))
    links = tree.full_links()
    assert sorted(links.values()) == [2, 3, 4]
    assert tree.bond_sizes(links) == {"a": 24}
    for rank in (1, 2, 5, 8, 12, 23, 24, 99):
        found = tree.links_within({"a": rank})
        assert np.prod(list(found.values())) <= rank
        assert all(found[core] <= links[core] for core in links)
    assert found == links
