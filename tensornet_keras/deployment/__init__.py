"""Taking a model out of Keras, with proof that it says the same there."""

from tensornet_keras.deployment.autotune import autotune
from tensornet_keras.deployment.export import ExportReport, export
from tensornet_keras.deployment.freeze import freeze
from tensornet_keras.deployment.freeze_report import FreezeReport, FrozenRow
from tensornet_keras.deployment.parity import ExportError
from tensornet_keras.deployment.tuning_report import TuningReport

__all__ = [
    "ExportError",
    "ExportReport",
    "FreezeReport",
    "FrozenRow",
    "TuningReport",
    "autotune",
    "export",
    "freeze",
]
