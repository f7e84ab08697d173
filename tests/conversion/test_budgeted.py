"""Conversion within a budget: what is chosen, and what is refused."""

import math

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.conversion import choosing
from tests.laws.oracles import as_numpy
from tests.small_models import numbers


def decaying(shape):
    """A kernel whose spectra fall at every bond, as those of trained nets."""
    kernel = numbers(*shape)
    for axis, size in enumerate(shape):
        place = [1] * len(shape)
        place[axis] = size
        kernel = kernel * np.geomspace(1, 0.05, size).reshape(place)
    return kernel.astype("float32")


@pytest.fixture
def model():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 6)),
            layers.Conv2D(16, 3, padding="same", name="first"),
            layers.Conv2D(24, 3, padding="same", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(48, name="hidden"),
            layers.Dense(32, name="head"),
        ]
    )
    for layer in model.layers:
        if layer.weights:
            layer.kernel.assign(decaying(layer.kernel.shape))
    return model


def kernels(model, report):
    """Numbers in all kernels, before and after."""
    before = sum(size_of(layer.kernel) for layer in keras_layers(model))
    return before, before - report.params_before + report.params_after


def size_of(variable):
    return math.prod(variable.shape)


def keras_layers(model):
    return [layer for layer in model.layers if layer.weights]


@pytest.mark.parametrize("ratio", [0.9, 0.5, 0.3])
@pytest.mark.parametrize(
    "format", ["auto", tk.formats.LowRank(), "tt"], ids=str
)
def test_a_ratio_is_kept_and_spent(model, format, ratio):
    small, report = tk.convert(model, format, ratio=ratio)
    before, after = kernels(model, report)
    assert 0.8 * ratio * before <= after <= ratio * before
    dense = tk.densify(small)
    for row in report.replaced:
        name = row.path.split("/")[-1]
        kernel = as_numpy(model.get_layer(name).kernel)
        found = as_numpy(dense.get_layer(name).kernel)
        missed = np.linalg.norm(found - kernel) / np.linalg.norm(kernel)
        assert missed == pytest.approx(row.relative_error, rel=1e-3)


def test_a_choice_misses_less_than_one_format_and_than_one_share(model):
    def missed(report):
        return sum(row.relative_error**2 for row in report.replaced)

    ratio = 0.4
    _, auto = tk.convert(model, ratio=ratio)
    _, one = tk.convert(model, tk.formats.LowRank(), ratio=ratio)
    _, same = tk.convert(model, tk.formats.LowRank(rank=ratio))
    assert missed(auto) < missed(one) < missed(same)


def test_multiply_adds_keep_to_a_budget(model):
    small, report = tk.convert(model, flops=0.4)
    before, after = (
        sum(
            row.multiply_adds
            for row in tk.profile(each, batch_size=1).rows
            if row.multiply_adds
        )
        for each in (model, small)
    )
    assert report.replaced
    assert after <= 0.4 * before


def test_a_budget_that_nothing_reaches_names_the_least(model):
    with pytest.raises(ValueError, match="`ratio` must be at least") as refused:
        tk.convert(model, ratio=1e-5)
    least = float(str(refused.value).split("at least ")[1].split(",")[0])
    # It is rounded to four digits.
    _, report = tk.convert(model, ratio=1.001 * least)
    before, after = kernels(model, report)
    assert after <= 1.001 * least * before
    assert after == pytest.approx(least * before, rel=1e-2)
    with pytest.raises(ValueError, match="at least"):
        tk.convert(model, ratio=0.99 * least)


def test_all_of_it_leaves_the_layers_dense(model):
    small, report = tk.convert(model, ratio=1.0)
    assert {row.reason for row in report.rows} == {
        "dense within the budget",
        "kind",
    }
    assert small.count_params() == model.count_params()


def test_overrides_come_before_the_format(model):
    overrides = {
        "first": None,
        "hidden$": tk.formats.TensorTrain(rank=2),
        "hid|second": "tucker",
    }
    small, report = tk.convert(model, ratio=0.5, overrides=overrides)
    found = {row.path.split("/")[-1]: row for row in report.rows}
    assert found["first"].reason == "no format"
    assert found["second"].format == "tucker"
    assert found["hidden"].format == "tt"
    assert set(found["hidden"].ranks) == {2}
    assert type(small.get_layer("first")) is layers.Conv2D


def test_overrides_go_with_a_rank_and_with_an_error(model):
    low = tk.formats.LowRank
    _, ranked = tk.convert(model, low(rank=4), overrides={"head": low(rank=2)})
    assert ranked.replaced[-1].ranks == (2,)
    _, within = tk.convert(
        model, "auto", error=0.2, overrides={"head": low(rank=2), "first": None}
    )
    assert within.rows[0].reason == "no format"
    *others, last = within.replaced
    assert last.ranks == (2,)
    assert all(row.relative_error <= 0.2 for row in others)


def test_ranks_in_steps_whatever_the_format(model):
    low = tk.formats.LowRank
    overrides = {"hidden": low(rank_multiple=3)}
    for how in ({"ratio": 0.5}, {"error": 0.3}):
        _, report = tk.convert(
            model, "auto", rank_multiple=4, overrides=overrides, **how
        )
        for row in report.replaced:
            step = 3 if row.path.endswith("hidden") else 4
            if row.format == "low_rank":
                assert all(rank % step == 0 for rank in row.ranks)
        assert any(row.format == "low_rank" for row in report.replaced)
    with pytest.raises(ValueError, match="rank_multiple"):
        tk.convert(model, ratio=0.5, rank_multiple=0)


def test_multiply_adds_of_a_table_are_none():
    table = keras.Sequential([keras.Input((3,)), layers.Embedding(99, 8)])
    with pytest.raises(ValueError, match="Received: only layers"):
        tk.convert(table, flops=0.5)


def test_an_override_may_look_for_its_rank_itself(model):
    overrides = {"hidden": tk.formats.LowRank("vbmf")}
    _, report = tk.convert(model, ratio=0.5, overrides=overrides)
    before, after = kernels(model, report)
    assert after <= 0.5 * before


def test_the_smallest_within_an_error_is_chosen(model):
    _, auto = tk.convert(model, error=0.3)
    for name in ("tt", "low_rank", "tucker"):
        _, one = tk.convert(model, name, error=0.3)
        assert auto.params_after <= one.params_after


def test_the_same_call_gives_the_same_model(model):
    first, report = tk.convert(model, ratio=0.4)
    second, again = tk.convert(model, ratio=0.4)
    assert report == again
    for ours, theirs in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(as_numpy(ours), as_numpy(theirs))


def test_both_kernels_of_a_loop_share_the_budget():
    model = keras.Sequential([keras.Input((5, 24)), layers.LSTM(16)])
    cell = model.layers[0].cell
    cell.kernel.assign(decaying(cell.kernel.shape))
    before = size_of(cell.kernel) + size_of(cell.recurrent_kernel)
    small, report = tk.convert(model, ratio=0.6)
    (row,) = report.replaced
    after = before - report.params_before + report.params_after
    assert after <= 0.6 * before
    loop = small.layers[0].cell
    assert row.ranks == (
        *loop.input_kernel.format.rank,
        *loop.state_kernel.format.rank,
    )


def test_the_multiply_adds_of_a_loop_that_is_given_its_state():
    sequences, state = keras.Input((5, 24)), keras.Input((16,))
    outputs = layers.GRU(16)(sequences, initial_state=state)
    model = keras.Model([sequences, state], outputs)
    _, report = tk.convert(model, flops=0.6)
    assert report.replaced


def test_multiply_adds_need_sizes():
    inputs = keras.Input((None, 24))
    model = keras.Model(inputs, layers.Dense(24)(inputs))
    with pytest.raises(ValueError, match=r"`flops` needs .*Pass sample="):
        tk.convert(model, flops=0.6)


def test_options_are_weighed_by_what_they_cost():
    low = tk.formats.LowRank
    small, large = ((low(rank).bind((16,), (16,)),) for rank in (1, 2))
    found = [(0.5, small), (0.6, large)]
    assert choosing.efficient(found, 0.0) == found[:1]
    # The larger one is the cheaper, as when a plan makes the kernel first.
    dear = {small: 9.0, large: 4.0}
    assert choosing.efficient(found, 0.0, dear.get) == found[::-1]


def test_points_of_two_kernels_have_about_equal_errors():
    kernels = [
        choosing.Kernel(decaying(shape)) for shape in ((20, 30), (16, 16))
    ]
    found = choosing.options_of(kernels, [tk.formats.LowRank()], seed=0)
    options = choosing.efficient(found, 0.0)
    assert len(options) > 5
    for loss, formats in options[:-1]:
        missed = [
            tk.decompose(kernel.array, format).relative_error
            for kernel, format in zip(kernels, formats, strict=True)
        ]
        # Within a singular value of one another, and of what is said.
        assert max(missed) < 1.5 * min(missed) + 0.05
        assert min(missed) <= loss**0.5 * (1 + 1e-6)
        assert loss**0.5 <= max(missed) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"ratio": 0.5, "error": 0.1}, "At most one target .* error=0.1, rat"),
        ({"ratio": 0.5, "flops": 0.5}, "At most one target"),
        ({"ratio": 0.0}, "in \\(0, 1\\]. Received: ratio=0.0"),
        ({"flops": 1.5}, "in \\(0, 1\\]. Received: flops=1.5"),
        ({"ratio": float("nan")}, "ratio=nan"),
        ({}, "format='auto' without one"),
        ({"format": tk.formats.LowRank(4), "ratio": 0.5}, "a rank and a budg"),
        ({"ratio": 0.5, "search_modes": True}, "Modes are not searched"),
        ({"ratio": 0.5, "overrides": {"(": None}}, "valid regular expr"),
        ({"error": 0.1, "overrides": {"h": "cpd"}}, "'cpd'"),
        ({"ratio": 0.5, "sample": 3}, "Received: a sample, and ratio=0.5"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(model, arguments, words):
    with pytest.raises(ValueError, match=words):
        tk.convert(model, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"ratio": "half"}, {"ratio": True}, {"ratio": 0.5, "overrides": ["a"]}],
    ids=str,
)
def test_what_is_of_another_type_is_refused(model, arguments):
    with pytest.raises(TypeError, match="Received: "):
        tk.convert(model, **arguments)
