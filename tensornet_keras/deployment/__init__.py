"""Taking a model out of Keras, with proof that it says the same there."""

from tensornet_keras.deployment.export import ExportReport, export
from tensornet_keras.deployment.freeze import freeze
from tensornet_keras.deployment.freeze_report import FreezeReport, FrozenRow
from tensornet_keras.deployment.parity import ExportError

__all__ = [
    "ExportError",
    "ExportReport",
    "FreezeReport",
    "FrozenRow",
    "export",
    "freeze",
]
