"""What a Keras model costs, layer by layer."""

from tensornet_keras.profiling.profile import Profile, ProfileRow, profile

__all__ = ["Profile", "ProfileRow", "profile"]
