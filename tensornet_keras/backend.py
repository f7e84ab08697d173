"""The only place that asks which Keras backend runs."""

import keras


def name():
    """The name of the Keras backend in use.

    Returns:
        `"tensorflow"`, `"jax"` or `"torch"`.
    """
    return keras.backend.backend()


def compiled(function):
    """Compiles a function of tensors the way the backend does.

    Timings compare compiled functions, since that is how layers run inside
    `fit` and `predict`. PyTorch runs eagerly; there the function runs without
    recording gradients.

    Args:
        function: A function of tensors that returns tensors.

    Returns:
        A function of the same arguments.

    Example:
        >>> import keras
        >>> from tensornet_keras import backend
        >>> double = backend.compiled(lambda x: 2 * x)
        >>> float(double(keras.ops.ones(())))
        2.0
    """
    if name() == "tensorflow":
        import tensorflow as tf

        # Keras and our own code branch on Python values only.
        return tf.function(function, autograph=False)
    if name() == "jax":
        import jax

        return jax.jit(function)
    if name() == "torch":
        import torch

        return torch.no_grad()(function)
    raise _unknown_backend()


def synchronize(tensor):
    """Waits until a tensor's numbers are there.

    Accelerators, and JAX on any device, return from an operation before it
    has run; a clock is read only after this.

    Args:
        tensor: The tensor to wait for.

    Returns:
        The same tensor.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        tf.test.experimental.sync_devices()
    elif name() == "jax":
        tensor.block_until_ready()
    elif name() == "torch":
        if tensor.is_cuda:
            import torch

            torch.cuda.synchronize(tensor.device)
    else:
        raise _unknown_backend()
    return tensor


def _unknown_backend():
    return ValueError(
        "The backend must be TensorFlow, JAX or PyTorch. "
        f"Received: KERAS_BACKEND={name()!r}. "
        "Set KERAS_BACKEND to 'tensorflow', 'jax' or 'torch'."
    )
