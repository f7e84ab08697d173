"""What a Keras model costs, layer by layer and beside others."""

from tensornet_keras.profiling.comparison import Comparison, Version, compare
from tensornet_keras.profiling.profile import Profile, ProfileRow, profile

__all__ = [
    "Comparison",
    "Profile",
    "ProfileRow",
    "Version",
    "compare",
    "profile",
]
