"""Where blocks end, and what is logged of their layers."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.finetuning import Blockwise
from tensornet_keras.finetuning.blocks import blocks_of
from tensornet_keras.finetuning.stages import _Ranks
from tensornet_keras.surgery import twins
from tests.small_graphs import functional
from tests.small_models import numbers, randomized

LOW = tk.formats.LowRank


def called_in_a_row():
    again = layers.Dense(8, name="again")
    return functional(lambda x: layers.Dense(5, name="head")(again(again(x))))


def nested_in_a_row():
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(8)], name="inner")
    return functional(lambda x: layers.Dense(5, name="head")(inner(inner(x))))


def the_same_output_twice():
    inputs = keras.Input((8,))
    x = layers.Dense(8, name="one")(layers.ReLU()(inputs))
    outputs = layers.Dense(5, name="head")(x)
    return keras.Model(inputs, {"x": outputs, "y": outputs, "z": x})


@pytest.mark.parametrize(
    "made", [called_in_a_row, nested_in_a_row, the_same_output_twice]
)
def test_any_graph_is_trained_in_blocks(made):
    teacher = randomized(made())
    small, _ = tk.convert(teacher, LOW(rank=2), min_compression=0)
    phase = Blockwise(5, keras.optimizers.Adam(1e-2))
    _, report = tk.finetune(
        small,
        numbers(64, 8),
        teacher=teacher,
        phases=[phase],
        return_report=True,
    )
    by_stage = {}
    for row in report.rows:
        by_stage.setdefault(row.stage, []).append(row.logs["loss"])
    assert all(losses[-1] < losses[0] for losses in by_stage.values())


def test_no_block_ends_between_two_calls_of_a_layer():
    teacher = called_in_a_row()
    small, _ = tk.convert(teacher, LOW(rank=2), min_compression=0)
    ends = [block.end for block in blocks_of(small, teacher)]
    assert len(ends) == 2
    assert ends[0] is small.get_layer("head").input


def test_the_ranks_of_both_kernels_of_a_loop_are_logged():
    model = randomized(keras.Sequential([keras.Input((4, 8)), layers.LSTM(8)]))
    small, _ = tk.convert(model, LOW(rank=3), min_compression=0)
    loop = small.layers[0]
    ranks = [x.format.rank[0] for x in twins.factorized_kernels(loop)]
    assert len(ranks) == 2
    logs = {}
    _Ranks(small).on_epoch_end(0, logs)
    assert logs == {f"rank/{loop.path}": np.mean(ranks)}
