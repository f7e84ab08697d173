"""Singular values at the bonds: what a train keeps and what it cuts."""

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from experiments.spectra import bond_spectra, replaced_spectra

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "window"), [((12, 30), ()), ((3, 3, 12, 30), (3, 3))]
)
def test_a_train_has_no_more_values_than_its_ranks(shape, window):
    bound = tk.formats.TensorTrain(2, (3, 2, 2), (5, 3, 2)).bind(
        (12,), (30,), window
    )
    found = tk.decompose(RNG.normal(size=shape), bound)
    spectra = bond_spectra(found.to_dense(), bound)
    assert len(spectra) == len(bound.rank)
    for values, rank in zip(spectra, bound.rank, strict=True):
        assert (values > 1e-10 * values[0]).sum() == rank


def test_values_hold_the_whole_norm_at_every_bond():
    kernel = RNG.normal(size=(5, 4, 6))
    bound = tk.formats.TensorTrain(2, (2, 2), (3, 2)).bind((4,), (6,), (5,))
    for values in bond_spectra(kernel, bound):
        assert np.linalg.norm(values) == pytest.approx(np.linalg.norm(kernel))
        assert (np.diff(values) <= 0).all()


def test_padding_adds_nothing():
    kernel = RNG.normal(size=(11, 6))
    bound = tk.formats.TensorTrain(2, (4, 3), (3, 2), pad=True).bind(
        (11,), (6,)
    )
    (values,) = bond_spectra(kernel, bound)
    assert np.linalg.norm(values) == pytest.approx(np.linalg.norm(kernel))


def test_only_replaced_layers_have_spectra():
    dense = keras.Sequential(
        [
            keras.Input((16,)),
            keras.layers.Dense(16, name="first"),
            keras.layers.Dense(2, name="second"),
        ]
    )
    train = tk.formats.TensorTrain(1)
    small, _ = tk.convert(dense, train, filters="first")
    spectra = replaced_spectra(dense, small)
    assert list(spectra) == ["first"]
    assert len(spectra["first"]["values"]) == len(spectra["first"]["ranks"])
