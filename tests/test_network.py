import math

import numpy as np
import pytest

from tensornet_keras.network import Leg, TensorNetwork

LEGS = (
    Leg("i1", 2, "in"),
    Leg("j1", 3, "out"),
    Leg("i2", 4, "in"),
    Leg("j2", 5, "out"),
    Leg("w", 3, "window"),
)
CORES = (("w", "a"), ("a", "i1", "j1", "b"), ("b", "i2", "j2"))
BONDS = (("a", 2), ("b", 6))


def network(**changes):
    return TensorNetwork(
        **{"cores": CORES, "legs": LEGS, "bonds": BONDS} | changes
    )


def test_shapes_follow_the_labels():
    assert network().core_shapes == ((3, 2), (2, 2, 3, 6), (6, 4, 5))
    assert network().num_params == 6 + 72 + 120
    assert network().sizes["b"] == 6


def test_the_weight_has_window_input_and_output_axes():
    assert network().weight_labels == ("w", "i1", "i2", "j1", "j2")
    assert network().weight_shape == (3, 8, 15)


def test_the_equation_contracts_to_the_weight_in_row_major_order():
    cores = [
        np.arange(math.prod(shape), dtype=float).reshape(shape)
        for shape in network().core_shapes
    ]
    expected = np.einsum("wa,aijb,bkl->wikjl", *cores)
    found = np.einsum(network().equation, *cores)
    np.testing.assert_array_equal(found, expected)


def test_legs_are_found_by_their_kind_in_order():
    assert network().labels_of("in") == ("i1", "i2")
    assert [leg.size for leg in network().legs_of("out")] == [3, 5]
    assert network().legs_of("lookup") == ()


def test_true_sizes_crop_the_weight():
    cropped = network(input_size=7, output_size=11)
    assert cropped.weight_shape == (3, 7, 11)
    assert cropped.padded_shape == (3, 8, 15)
    assert cropped.core_shapes == network().core_shapes


def test_equal_networks_are_one_key():
    assert network() == network()
    assert len({network(), network(), network(input_size=7)}) == 2


def test_sizes_above_the_legs_are_refused():
    with pytest.raises(ValueError, match=r"in legs, 8\. .*input_size=9"):
        network(input_size=9)
    with pytest.raises(ValueError, match=r"out legs, 15\. .*output_size=16"):
        network(output_size=16)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({"bonds": BONDS[:1]}, "b"),
        ({"legs": LEGS[1:]}, "i1"),
        ({"cores": CORES[:2]}, "b"),
        ({"bonds": (*BONDS, ("c", 2))}, "c"),
    ],
)
def test_labels_on_the_wrong_number_of_cores_are_named(changes, label):
    with pytest.raises(ValueError, match=f"Received: labels .*'{label}'"):
        network(**changes)


def test_a_label_twice_on_a_core_is_refused():
    with pytest.raises(ValueError, match=r"each label once.*'a', 'a'"):
        network(cores=(*CORES, ("a", "a")))


def test_legs_and_bonds_may_be_on_more_cores():
    wider = network(cores=(*CORES, ("a", "i1")))
    assert wider.num_params == network().num_params + 2 * 2
    assert wider.weight_shape == network().weight_shape


@pytest.mark.parametrize(
    ("leg", "message"),
    [
        (("i", 3, "input"), "kind='input' for leg 'i'"),
        (("i", 0, "in"), "size=0 for leg 'i'"),
    ],
)
def test_legs_of_no_kind_or_size_are_refused(leg, message):
    with pytest.raises(ValueError, match=message):
        Leg(*leg)


def test_the_transposed_network_swaps_in_and_out():
    narrow = network(input_size=1)
    swapped = narrow.transposed()
    assert swapped.weight_shape[-2:] == narrow.weight_shape[-2:][::-1]
    assert swapped.labels_of("in") == narrow.labels_of("out")
    assert swapped.cores == narrow.cores
    assert swapped.transposed() == narrow
