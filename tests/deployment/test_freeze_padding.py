"""Bonds that are padded with zeros, where that is measured to be faster."""

import keras
import pytest

import tensornet_keras as tk
from tensornet_keras.deployment import choosing, freezable
from tensornet_keras.deployment.merging import VECTOR, candidates_of
from tests.deployment.frozen_models import assert_same, model_of
from tests.laws.oracles import random_array

MODELS = {
    "conv": (
        lambda: tk.layers.FactorizedConv2D(
            64, 3, tk.formats.Tucker(30), padding="same"
        ),
        (5, 5, 64),
    ),
    "dense": (
        lambda: tk.layers.FactorizedDense(256, tk.formats.LowRank(31)),
        (256,),
    ),
    "gru": (
        lambda: tk.layers.FactorizedGRU(64, tk.formats.LowRank(30)),
        (4, 64),
    ),
}


def padded_wins(calls, **kwargs):
    """Times in which the last one before the two dense kernels is the best."""
    del kwargs
    return [2.0] * (len(calls) - 3) + [1.0, 2.0, 2.0]


def sites_of(layer, batch=1):
    return freezable.sites(layer, freezable.planned_shape(layer, batch))


def merged_of(layer, batch=1):
    """A merged candidate of every kernel of a layer."""
    return [
        candidates_of(site.kernel.format, site.meetings)[-1]
        for site in sites_of(layer, batch)
    ]


def bonds_of(model):
    """Sizes of all bonds of a frozen model of one layer."""
    (layer,) = model.layers
    return {
        size for site in sites_of(layer) for size in site.kernel.format.rank
    }


@pytest.mark.parametrize("name", MODELS)
def test_outputs_with_padded_bonds_are_those_of_the_source(name, monkeypatch):
    make, shape = MODELS[name]
    model = model_of(make(), shape)
    monkeypatch.setattr(choosing, "interleaved_seconds", padded_wins)
    frozen = tk.freeze(model, 3)
    assert 32 in bonds_of(frozen)
    assert_same(frozen, model, random_array((3, *shape)))


def test_numbers_grow_with_the_bonds():
    layer = MODELS["conv"][0]()
    layer.build((None, 5, 5, 64))
    (candidate,) = merged_of(layer)
    padded = candidate.padded()
    assert set(candidate.format.rank) == {30}
    assert set(padded.format.rank) == {32}
    assert padded.numbers > candidate.numbers
    shapes = [tuple(core.shape) for core in padded.cores(layer)]
    assert shapes == list(padded.format.core_shapes)


def test_bonds_that_would_grow_much_stay():
    layer = tk.layers.FactorizedConv2D(64, 3, tk.formats.Tucker(VECTOR + 1))
    layer.build((None, 5, 5, 64))
    (candidate,) = merged_of(layer)
    assert candidate.padded().format == candidate.format


def test_what_is_padded_keeps_to_the_memory(monkeypatch):
    make, shape = MODELS["conv"]
    model = model_of(make(), shape)
    monkeypatch.setattr(choosing, "interleaved_seconds", padded_wins)
    (site,) = sites_of(model.layers[0], 3)
    _, _, *merged = candidates_of(site.kernel.format, site.meetings)
    least = min(each.weight_bytes + each.least_peak for each in merged)
    frozen = tk.freeze(model, 3, max_memory=least)
    assert bonds_of(frozen) == {30}


def test_padded_cores_are_saved(monkeypatch, tmp_path):
    make, shape = MODELS["conv"]
    model = model_of(make(), shape)
    monkeypatch.setattr(choosing, "interleaved_seconds", padded_wins)
    frozen = tk.freeze(model, 3)
    frozen.save(tmp_path / "frozen.keras")
    loaded = keras.models.load_model(tmp_path / "frozen.keras")
    assert_same(loaded, frozen, random_array((3, *shape)))
