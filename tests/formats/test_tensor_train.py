import dataclasses

import pytest

from tensornet_keras.formats import TensorTrain


def bound(**arguments):
    return TensorTrain(4, **arguments).bind((12,), (10,))


def test_modes_left_out_are_chosen():
    train = TensorTrain(4).bind((800,), (500,))
    assert train.input_modes == (8, 5, 5, 4)
    assert train.output_modes == (5, 5, 5, 4)
    assert not train.pad


def test_explicit_modes_are_kept_in_their_order():
    train = bound(input_modes=(2, 6), output_modes=(5, 2))
    assert (train.input_modes, train.output_modes) == ((2, 6), (5, 2))


def test_a_prime_width_is_padded_and_says_so():
    train = TensorTrain(4).bind((1009,), (1018,))
    assert train.pad
    assert train.network.padded_shape == (1024, 1024)
    assert train.dense_shape == (1009, 1018)


def test_explicit_modes_may_pad_when_asked():
    train = bound(input_modes=(4, 4), output_modes=(4, 3), pad=True)
    assert train.dense_shape == (12, 10)
    assert train.network.padded_shape == (16, 12)


def test_several_dimensions_of_a_side_are_one_axis():
    train = TensorTrain(2).bind((3, 8), (2, 2, 4))
    assert (train.input_size, train.output_size) == (24, 16)


def test_lists_are_as_good_as_tuples():
    lists = TensorTrain([2], [3, 4], [5, 2])
    assert lists == TensorTrain((2,), (3, 4), (5, 2))
    assert lists.bind([12], [10]) == lists.bind((12,), (10,))


def test_a_format_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TensorTrain(4).rank = 5


def test_formats_are_equal_by_their_values():
    assert TensorTrain(4) == TensorTrain(4)
    assert TensorTrain(4) != TensorTrain((4,))
    assert len({TensorTrain(4), TensorTrain(4), TensorTrain(5)}) == 2


def test_the_short_form_shows_what_is_known():
    assert str(TensorTrain(4)) == "tt(rank=4)"
    train = bound(input_modes=(2, 6), output_modes=(5, 2))
    assert str(train) == "tt(2·6 x 5·2, ranks (4,))"
    assert train.describe_modes() == "2·6 x 5·2"


def test_the_repr_shows_what_was_written():
    assert repr(TensorTrain(4)) == "TensorTrain(rank=4)"
    assert repr(TensorTrain(0.5, pad=True)) == "TensorTrain(rank=0.5, pad=True)"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"input_modes": (3, 4), "output_modes": (10,)},
            ValueError,
            r"one length\. Received: input_modes=\(3, 4\).*Fill the shorter",
        ),
        (
            {"input_modes": (), "output_modes": ()},
            ValueError,
            "at least one mode a side",
        ),
        (
            {"input_modes": (3, 0), "output_modes": (5, 2)},
            ValueError,
            r"`input_modes`.*Received: input_modes=\(3, 0\)",
        ),
        (
            {"input_modes": 12, "output_modes": (10,)},
            TypeError,
            r"`input_modes` must be a tuple.*Received: input_modes=12",
        ),
        (
            {"input_modes": (12,), "output_modes": "10"},
            TypeError,
            r"`output_modes`.*Received: output_modes='10'",
        ),
        ({"pad": 1}, TypeError, "`pad` must be True or False.*pad=1"),
    ],
)
def test_arguments_that_make_no_train_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        TensorTrain(4, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"input_modes": (3, 3), "output_modes": (5, 2)},
            r"`input_modes`.*12\. Received: input_modes=\(3, 3\).*is 9\. "
            r"Choose modes whose product is 12\.",
        ),
        (
            {"input_modes": (4, 3), "output_modes": (6, 2)},
            r"`output_modes`.*10\. Received: output_modes=\(6, 2\).*is 12\. "
            "Choose.*or pass pad=True",
        ),
        (
            {"input_modes": (3, 3), "output_modes": (5, 2), "pad": True},
            r"`input_modes`.*12\. Received: input_modes=\(3, 3\)",
        ),
        (
            {"input_modes": (4, 3)},
            "given together.*output_modes=None. Pass both or neither",
        ),
    ],
)
def test_modes_that_do_not_fit_the_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        bound(**arguments)


@pytest.mark.parametrize(
    "sizes", [((12,), (11,)), ((13,), (10,)), ((12,), (10,), (3,))]
)
def test_a_bound_format_names_both_sizes_when_bound_to_others(sizes):
    with pytest.raises(ValueError, match="bound") as error:
        bound().bind(*sizes)
    assert "input (12,) x output (10,)" in str(error.value)
    assert f"Received: input {sizes[0]} x output {sizes[1]}" in str(error.value)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_sizes_below_one_are_refused(size):
    with pytest.raises(ValueError, match="`output_dims`"):
        TensorTrain(4).bind((12,), (size,))


KERNEL = ((6,), (8,), (3, 2))


def kernel(order, *modes, rank=(2, 3, 4, 5)):
    train = TensorTrain(rank, *modes, conv_order=order)
    return train.bind(*KERNEL)


def test_the_window_may_stand_last():
    train = kernel("spatial_last", (2, 3), (4, 2), rank=(2, 3))
    assert train.core_shapes == ((2, 4, 2), (2, 3, 2, 3), (3, 2, 3))
    assert train.attainable_ranks() == (8, 6)
    assert str(train) == "tt(2·3 x 4·2 spatial last, ranks (2, 3))"


def test_channels_may_stand_outside_of_the_window():
    train = kernel("channels_outside", (2, 3), (8,))
    assert train.core_shapes == (
        (2, 2),
        (2, 3, 3),
        (3, 3, 4),
        (2, 4, 5),
        (5, 8),
    )
    assert train.attainable_ranks() == (2, 6, 16, 8)


def test_channels_outside_have_one_mode_a_side_unless_given():
    train = TensorTrain(4, conv_order="channels_outside").bind(
        (1009,), (64,), (3, 3)
    )
    assert (train.input_modes, train.output_modes) == ((1009,), (64,))
    assert train.num_params == 4 * (1009 + 64) + 2 * 3 * 16


@pytest.mark.parametrize("order", ["channels_outside", "spatial_last"])
def test_a_matrix_is_the_same_in_every_order(order):
    first = TensorTrain(3).bind((64,), (48,))
    other = TensorTrain(3, conv_order=order).bind((64,), (48,))
    assert other.network == first.network
    assert str(other) == str(first)


def test_counts_of_modes_may_differ_outside_of_a_window_only():
    train = TensorTrain(2, (2, 3), (8,), conv_order="channels_outside")
    assert train.bind(*KERNEL).num_bonds == 4
    with pytest.raises(ValueError, match="one length"):
        train.bind((6,), (8,))
    with pytest.raises(ValueError, match="one length"):
        TensorTrain(2, (2, 3), (8,), conv_order="spatial_last")


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="`conv_order`.*'channels_outside'"):
        TensorTrain(2, conv_order="outside")
