"""Keras layers whose kernel is a network of cores."""

from tensornet_keras.layers.conv import (
    FactorizedConv1D,
    FactorizedConv2D,
    FactorizedConv3D,
)
from tensornet_keras.layers.dense import FactorizedDense
from tensornet_keras.layers.einsum_dense import FactorizedEinsumDense
from tensornet_keras.layers.embedding import FactorizedEmbedding
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.mps import MPSLayer
from tensornet_keras.layers.recurrent import FactorizedGRU, FactorizedLSTM
from tensornet_keras.layers.regression import (
    TensorContraction,
    TensorRegression,
)
from tensornet_keras.layers.reversible_embedding import (
    FactorizedReversibleEmbedding,
)
from tensornet_keras.layers.tt import TTConv1D, TTConv2D, TTConv3D, TTDense

__all__ = [
    "FactorizedConv1D",
    "FactorizedConv2D",
    "FactorizedConv3D",
    "FactorizedDense",
    "FactorizedEinsumDense",
    "FactorizedEmbedding",
    "FactorizedGRU",
    "FactorizedLSTM",
    "FactorizedLayer",
    "FactorizedReversibleEmbedding",
    "MPSLayer",
    "TTConv1D",
    "TTConv2D",
    "TTConv3D",
    "TTDense",
    "TensorContraction",
    "TensorRegression",
]
