"""Formats: which network of cores stands for a dense weight."""

from tensornet_keras.formats.block_tensor_train import BlockTensorTrain
from tensornet_keras.formats.catalog import CATALOG, get, register
from tensornet_keras.formats.cp import CP
from tensornet_keras.formats.einsum_network import EinsumNetwork
from tensornet_keras.formats.format import Format
from tensornet_keras.formats.kronecker import Kronecker
from tensornet_keras.formats.low_rank import LowRank
from tensornet_keras.formats.merged import Merged
from tensornet_keras.formats.monarch import Monarch
from tensornet_keras.formats.spectrum_preserving import PaperMethod
from tensornet_keras.formats.tensor_ring import TensorRing
from tensornet_keras.formats.tensor_train import TensorTrain
from tensornet_keras.formats.tucker import Tucker

__all__ = [
    "CATALOG",
    "CP",
    "BlockTensorTrain",
    "EinsumNetwork",
    "Format",
    "Kronecker",
    "LowRank",
    "Merged",
    "Monarch",
    "PaperMethod",
    "TensorRing",
    "TensorTrain",
    "Tucker",
    "get",
    "register",
]
