"""Surgery: a copy of a Keras model with some layers replaced.

Knows models and layers, and nothing of formats. The source model is not
changed, and the copy shares no variable with it.
"""

from tensornet_keras.surgery.layer_copies import config_of
from tensornet_keras.surgery.models import (
    check_model,
    copy_of,
    copy_with,
    leaf_layers,
    own_params,
    tied_layers,
)
from tensornet_keras.surgery.state import copy_state

__all__ = [
    "check_model",
    "config_of",
    "copy_of",
    "copy_state",
    "copy_with",
    "leaf_layers",
    "own_params",
    "tied_layers",
]
