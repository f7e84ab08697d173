"""The progress bar of a conversion."""

import keras
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.conversion.progress import ConversionProgress


@pytest.fixture
def model():
    return keras.Sequential(
        [
            keras.Input((8, 8, 8)),
            layers.Conv2D(16, 3, name="conv"),
            layers.Flatten(),
            layers.Dense(16, name="[head]"),
        ]
    )


@pytest.fixture
def recorded(monkeypatch):
    """What the bars of all conversions were moved to, one after another."""
    moves = []
    move = ConversionProgress._move

    def record(self, completed):
        moves.append(completed)
        move(self, completed)

    monkeypatch.setattr(ConversionProgress, "_move", record)
    return moves


def test_the_bar_moves_layer_by_layer_to_its_end(model, recorded):
    tk.convert(model, tk.formats.TensorTrain(rank=2))
    first, second = recorded
    assert first == model.layers[0].count_params()
    assert second == model.count_params()


def test_the_bar_goes_twice_over_the_layers_for_a_budget(model, recorded):
    tk.convert(model, tk.formats.LowRank(), ratio=0.5)
    first, second = (model.layers[n].count_params() for n in (0, 2))
    once = first + second
    assert recorded == [first, once, once + first, 2 * once]


def test_the_bar_moves_within_a_layer_of_many_passes(model, recorded):
    tucker = tk.formats.Tucker(rank=(2, 4))
    tk.convert(model, tucker, filters="conv")
    assert len(recorded) > 2
    assert recorded == sorted(set(recorded))
    assert recorded[-1] == model.layers[0].count_params()


@pytest.mark.parametrize(
    "format",
    [tk.formats.CP(rank=6), tk.formats.TensorRing(rank=3)],
    ids=lambda format: format.name,
)
def test_passes_of_every_iteration_are_heard(model, recorded, format):
    tk.convert(model, format, filters="conv")
    assert len(recorded) > 2


def test_only_long_conversions_draw_a_bar(model, capsys, monkeypatch):
    tk.convert(model, tk.formats.TensorTrain(rank=2))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("tensornet_keras.conversion.progress.LARGE_KERNELS", 0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    tk.convert(model, tk.formats.TensorTrain(rank=2))
    written = capsys.readouterr()
    assert "Decomposing" in written.err
    assert written.out == ""


def test_a_layer_that_counts_nothing_leaves_the_bar_where_it_is(model):
    with ConversionProgress(model.layers[:1]) as progress:
        with progress.over(model.layers[-1]):
            pass
        assert progress.completed == 0


def test_the_bar_stops_when_a_layer_cannot_be_decomposed(model, monkeypatch):
    stopped = []
    leave = ConversionProgress.__exit__
    monkeypatch.setattr(
        ConversionProgress,
        "__exit__",
        lambda self, *error: stopped.append(leave(self, *error)),
    )
    with pytest.raises(ValueError, match="Exactly one"):
        tk.convert(model, lambda layer: "tt")
    assert stopped == [None]
