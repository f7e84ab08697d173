"""What only the leg on TensorFlow runs."""

from tensornet_keras import backend

# It starts the other backends itself.
collect_ignore = (
    [] if backend.name() == "tensorflow" else ["test_across_backends.py"]
)
