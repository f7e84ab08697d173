"""Image data sets that say where they came from."""

from .augmentation import AugmentedBatches
from .dataset import Dataset
from .sources import load

__all__ = ["AugmentedBatches", "Dataset", "load"]
