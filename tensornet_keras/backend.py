"""The only place that asks which Keras backend runs."""

import contextlib
import inspect

import keras
import numpy as np

_TENSORFLOWS_FUNCTIONS = "tensorflow.python.eager.polymorphic_function"


def name():
    """The name of the Keras backend in use.

    Returns:
        `"tensorflow"`, `"jax"` or `"torch"`.
    """
    return keras.backend.backend()


def compiled(function, xla=False):
    """Compiles a function of tensors the way the backend does.

    Timings compare compiled functions, since that is how layers run inside
    `fit` and `predict`. PyTorch runs eagerly, there without gradients.

    Args:
        function: A function of tensors that returns tensors.
        xla: Whether TensorFlow compiles by XLA too, as Keras does on a GPU,
            and anywhere with `jit_compile=True`. JAX always does.

    Returns:
        A function of the same arguments.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        # Keras and our own code branch on Python values only.
        return tf.function(function, autograph=False, jit_compile=xla)
    if name() == "jax":
        import jax

        return jax.jit(function)
    if name() == "torch":
        return without_gradients()(function)
    raise _unknown_backend()


def without_gradients():
    """A context in which PyTorch records nothing; the others never do."""
    if name() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def synchronize(tensor):
    """Waits until a tensor's numbers are there.

    Accelerators, and JAX anywhere, return before they have run.

    Args:
        tensor: The tensor to wait for.

    Returns:
        The same tensor.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        # On a CPU a call returns when it has run, unless told otherwise.
        waits = tf.config.experimental.get_synchronous_execution()
        if not waits or "CPU:" not in tensor.device:
            tf.test.experimental.sync_devices()
    elif name() == "jax":
        tensor.block_until_ready()
    elif name() == "torch":
        import torch

        if tensor.device.type == "cuda":
            torch.cuda.synchronize(tensor.device)
        elif tensor.device.type == "mps":
            torch.mps.synchronize()
    else:
        raise _unknown_backend()
    return tensor


def accelerator():
    """The name of the device that tensors live on, if it is not the CPU.

    Returns:
        A name such as `"NVIDIA H200"`, or `None` on a CPU.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        devices = tf.config.get_visible_devices("GPU")
        if not devices:
            return None
        details = tf.config.experimental.get_device_details(devices[0])
        return details.get("device_name", "GPU")
    if name() == "jax":
        import jax

        platform = jax.default_backend()
        return None if platform == "cpu" else jax.devices()[0].device_kind
    if name() == "torch":
        import torch

        kind = keras.ops.zeros(()).device.type
        if kind == "cuda":
            return torch.cuda.get_device_name()
        return None if kind == "cpu" else kind
    raise _unknown_backend()


def compiles_by_xla():
    """Whether what runs now is being compiled by XLA.

    TensorFlow does not say so while it traces a function: the functions on
    the stack are asked.
    """
    if name() == "jax":
        return True
    if name() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        traced = type(caller).__module__.startswith(_TENSORFLOWS_FUNCTIONS)
        if traced and getattr(caller, "_jit_compile", False):
            return True
        frame = frame.f_back
    return False


def has_branches():
    """Whether a compiled function may choose by a size when it runs."""
    return name() == "tensorflow"


def has_static_shapes():
    """Whether every size is known while a function is compiled."""
    return name() == "jax"


def looks_up_anything():
    """Whether a look-up past the end of a table may pass unnoticed.

    PyTorch raises an error and JAX gives NaN. TensorFlow raises one on a CPU
    only: on a GPU it gives zeros, and compiled by XLA the last row.
    """
    return name() == "tensorflow"


def numbers_at_hand(tensor):
    """A tensor's numbers, if reading them waits for nothing.

    Args:
        tensor: A tensor.

    Returns:
        A NumPy array, or `None` while a function is traced and for a tensor
        on an accelerator.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        eager = tf.executing_eagerly() and hasattr(tensor, "numpy")
        return tensor.numpy() if eager and "CPU" in tensor.device else None
    if name() == "jax":
        import jax

        traced = isinstance(tensor, jax.core.Tracer)
        near = not traced and jax.default_backend() == "cpu"
        return np.asarray(tensor) if near else None
    if name() == "torch":
        import torch

        traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
        near = type(tensor) is torch.Tensor and tensor.device.type == "cpu"
        return tensor.numpy() if near and not traced else None
    raise _unknown_backend()


def numbers_of(variable):
    """A variable's numbers as an array to read from, not copied where safe.

    Keras' own way to NumPy copies a large kernel twice, in seconds. Only on
    PyTorch does the array change with the variable.

    Args:
        variable: A Keras variable.
    """
    if variable.dtype == "bfloat16":
        return keras.ops.convert_to_numpy(variable)
    if name() == "torch":
        return variable.value.detach().cpu().numpy()
    if name() == "tensorflow" and variable.dtype in ("float32", "float64"):
        import tensorflow as tf

        value = tf.convert_to_tensor(variable.value)
        if "CPU" in value.device:
            return np.asarray(memoryview(value)).reshape(value.shape)
    return np.asarray(variable)


def copied(variable):
    """A variable's numbers as a tensor to assign to another variable.

    TensorFlow shares them until one changes; a training step of JAX takes over
    the memory of its variables.

    Args:
        variable: A Keras variable.
    """
    value = keras.ops.convert_to_tensor(variable)
    return value.copy() if name() == "jax" else value


def unique(values, size):
    """The distinct numbers of a list.

    Args:
        values: A tensor of one axis, of whole numbers.
        size: The most there may be. JAX returns as many, filled up with one.

    Returns:
        The distinct numbers, and the place of every entry among them.

    Example:
        >>> import keras
        >>> from tensornet_keras import backend
        >>> ids = keras.ops.convert_to_tensor([4, 7, 4], "int32")
        >>> found, places = backend.unique(ids, 2)
        >>> [int(found[int(place)]) for place in places]
        [4, 7, 4]
    """
    if name() == "tensorflow":
        import tensorflow as tf

        return tuple(tf.unique(values))
    if name() == "jax":
        import jax.numpy as jnp

        return jnp.unique(values, size=size, return_inverse=True)
    if name() == "torch":
        import torch

        return torch.unique(values, return_inverse=True)
    raise _unknown_backend()


def scan(step, settle, state, inputs, every=1):
    """Runs a step over the first axis of tensors, one entry after another.

    JAX compiles a loop; unrolled, hundreds of steps would take it minutes.
    The other backends run a loop slowly, so there it is unrolled.

    Args:
        step: A function of the state and of a list with one entry of every
            input that returns the next state.
        settle: A function of the state that returns a state and an output.
        state: The first state, a tensor.
        inputs: A list of tensors with equal first axes.
        every: After how many steps the state is settled, and after the last
            one; where the loop is compiled, it is after every step.

    Returns:
        The last state and the outputs, stacked along a new first axis.

    Example:
        >>> import keras
        >>> from tensornet_keras import backend
        >>> numbers = keras.ops.arange(1, 5)
        >>> product, before = backend.scan(
        ...     lambda state, entries: state * entries[0],
        ...     lambda state: (state, state),
        ...     numbers[0],
        ...     [numbers],
        ... )
        >>> int(product), [int(number) for number in before]
        (24, [1, 2, 6, 24])
    """
    if name() == "jax":
        return keras.ops.scan(
            lambda state, entries: settle(step(state, entries)), state, inputs
        )
    outputs = []
    entries = list(zip(*map(keras.ops.unstack, inputs), strict=True))
    for number, entry in enumerate(entries, start=1):
        state = step(state, list(entry))
        if number % every == 0 or number == len(entries):
            state, output = settle(state)
            outputs.append(output)
    return state, keras.ops.stack(outputs)


def gradients(function, tensors):
    """Gradients of a number by the tensors that it depends on.

    Args:
        function: A function of the tensors that returns a scalar tensor.
        tensors: A list of tensors.

    Returns:
        One gradient per tensor.

    Example:
        >>> import keras
        >>> from tensornet_keras import backend
        >>> [slope] = backend.gradients(
        ...     lambda x: keras.ops.sum(x * x), [keras.ops.ones((2,))]
        ... )
        >>> [float(entry) for entry in slope]
        [2.0, 2.0]
    """
    if name() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            number = function(*tensors)
        return tape.gradient(number, tensors)
    if name() == "jax":
        import jax

        places = tuple(range(len(tensors)))
        return list(jax.grad(function, argnums=places)(*tensors))
    if name() == "torch":
        import torch

        with torch.enable_grad():
            leaves = [one.detach().requires_grad_() for one in tensors]
            return list(torch.autograd.grad(function(*leaves), leaves))
    raise _unknown_backend()


def _unknown_backend():
    return ValueError(
        "The backend must be TensorFlow, JAX or PyTorch. "
        f"Received: KERAS_BACKEND={name()!r}. "
        "Set KERAS_BACKEND to 'tensorflow', 'jax' or 'torch'."
    )
