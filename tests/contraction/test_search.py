import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.contraction import (
    Plan,
    candidates,
    kernel_plan,
    plan_for,
    search,
)
from tensornet_keras.contraction.choice import WORTH_A_SWITCH
from tensornet_keras.contraction.lowering import lower
from tensornet_keras.contraction.search import BATCHES, SEARCHES
from tensornet_keras.contraction.steps import (
    Transpose,
)
from tests.contraction.networks import VGG, train, trains

# 3x3 convolutions of Garipov et al. 2016, and their images' positions.
KERNELS = [
    (train((4, 4, 4), (4, 4, 4), 16, (3, 3)), (32, 32)),
    (train((4, 8, 4), (4, 8, 4), 16, (3, 3)), (16, 16)),
]


def proposed(name, network):
    return [
        Plan(network, title, lower(network, order))
        for title, order in SEARCHES[name](network)
    ]


def worst_regrets(plans):
    """Every plan's worst ratio to the fastest, over the batch sizes."""
    seconds = np.array(
        [[plan.seconds_at(batch) for batch in BATCHES] for plan in plans]
    )
    return (seconds / seconds.min(axis=0)).max(axis=1)


@given(trains(), st.integers(1, 2000))
def test_a_known_batch_takes_the_fastest_candidate(network, batch):
    chosen = plan_for(network, batch)
    assert chosen.batch == chosen.shown_batch == batch
    fastest = min(plan.seconds_at(batch) for plan in candidates(network))
    assert chosen.seconds <= fastest * (1 + 1e-9)
    if chosen.tiles == 1:
        assert chosen.seconds == pytest.approx(fastest)


@given(trains())
def test_an_unknown_batch_takes_the_least_worst_regret(network):
    plans = candidates(network)
    chosen = plan_for(network)
    assert chosen.batch is None
    least = worst_regrets(plans).min()
    seconds = [chosen.seconds_at(batch) for batch in BATCHES]
    best = [min(p.seconds_at(batch) for p in plans) for batch in BATCHES]
    worst = max(a / b for a, b in zip(seconds, best, strict=True))
    if not chosen.ranges:
        assert worst == pytest.approx(least)
    else:
        assert worst * WORTH_A_SWITCH < least


def test_an_unknown_batch_is_judged_over_one_to_a_thousand():
    assert (min(BATCHES), max(BATCHES)) == (1, 1024)


@pytest.mark.parametrize("batch", [1, 10, 32, 100, 1000, None])
def test_the_large_dense_layer_is_swept_and_not_rebuilt(batch):
    plan = plan_for(VGG, batch)
    assert not plan.rebuilds
    assert plan.title.startswith(("sweep", "opt_einsum"))


@pytest.mark.parametrize(("network", "positions"), KERNELS)
def test_a_small_kernel_is_rebuilt(network, positions):
    assert plan_for(network, 32, (positions, positions)).rebuilds


def test_a_large_batch_of_a_mild_compression_rebuilds_the_matrix():
    network = train((4, 8, 8, 4), (4, 8, 8, 4), 32)
    assert plan_for(network, 4096).rebuilds
    assert not plan_for(network, 1).rebuilds


@given(trains())
def test_where_only_rebuilding_can_serve_it_is_taken(network):
    assert plan_for(network, 4, rebuild_only=True).rebuilds


@given(trains())
def test_every_search_is_heard_and_no_order_twice(network):
    plans = candidates(network)
    steps = [plan.steps for plan in plans]
    assert len(set(steps)) == len(steps)
    for name in SEARCHES:
        for plan in proposed(name, network):
            assert plan.steps in steps


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6, 7, 8])
def test_sweeps_are_all_groupings_in_both_directions(order):
    network = train((2,) * order, (2,) * order, 2)
    titles = [title for title, _ in SEARCHES["sweeps"](network)]
    assert len(set(titles)) == len(titles) == 2 * (2 ** (order - 1) - 1)


def test_a_long_train_has_not_too_many_candidates():
    network = train((2,) * 10, (2,) * 10, 2)
    assert 2 * 9 < len(candidates(network)) < 300


@given(trains())
def test_sweeping_a_train_never_permutes_the_activations(network):
    if network.labels_of("window"):
        network = train((3, 4, 5), (2, 3, 4), 3)
    for plan in proposed("sweeps", network):
        for step in plan.steps:
            assert step.weight_only or not isinstance(step, Transpose)


@pytest.mark.parametrize(
    "network",
    [
        train((3, 4, 5), (2, 3, 4), 3),
        train((8, 8, 8), (8, 8, 8), 4),
        train((4, 8, 8, 4), (4, 8, 8, 4), 8),
    ],
)
def test_opt_einsum_proposes_the_fewest_multiply_adds(network):
    plans = candidates(network)
    trees = proposed("trees", network)
    fewest = min(plan.multiply_adds for plan in plans)
    assert fewest == min(plan.multiply_adds for plan in trees)


def test_multiply_adds_of_a_sweep_are_those_of_the_formula():
    ins, outs, ranks, batch = (3, 4, 5), (2, 6, 7), (1, 4, 2, 1), 32
    network = train(ins, outs, ranks[1:-1])
    titles = {plan.title: plan for plan in candidates(network)}
    plan = titles["sweep 1-1-1, last core first"]
    expected = sum(
        [
            batch * 3 * 4 * (5 * 1) * (7 * 2),
            batch * 3 * (4 * 2) * (6 * 4) * 7,
            batch * (3 * 4) * (2 * 1) * 6 * 7,
        ]
    )
    assert plan.multiply_adds == expected


def test_the_same_question_is_answered_from_memory(monkeypatch):
    first = plan_for(train((3, 4), (5, 2), 2), 6)
    kernel = kernel_plan(train((3, 4), (5, 2), 2))
    monkeypatch.delattr(search, "lower")
    monkeypatch.delattr(search, "lower_kernel")
    assert plan_for(train((3, 4), (5, 2), 2), 6) is first
    assert kernel_plan(train((3, 4), (5, 2), 2)) is kernel
    assert plan_for(train((3, 4), (5, 2), 2), 7).batch == 7


@pytest.mark.parametrize(
    ("batch", "error"), [(0, ValueError), (-1, ValueError), (2.5, TypeError)]
)
def test_a_batch_below_one_is_refused(batch, error):
    with pytest.raises(error, match=f"Received: batch={batch}"):
        plan_for(VGG, batch)


def test_planning_imports_neither_keras_nor_a_backend(fresh_process):
    printed = fresh_process(
        """
        import sys
        from tensornet_keras.contraction import plan_for
        from tensornet_keras.formats import TensorTrain

        train = TensorTrain(4).bind((64,), (64,), (3, 3))
        str(plan_for(train.network, 32, ((4, 4), (4, 4))))
        print({"keras", "tensorflow", "jax", "torch"} & set(sys.modules))
        """
    )
    assert printed == "set()"


def test_meetings_take_both_ends_before_the_middle():
    network = train((2, 3, 2, 3), (3, 2, 3, 2), 2)
    orders = dict(SEARCHES["meetings"](network))
    assert orders["both ends 1-2-1, first core first"] == (0, 3, (1, 2))
    assert orders["both ends 1-2-1, last core first"] == (3, 0, (1, 2))
    assert len(orders) == 2 * 3
