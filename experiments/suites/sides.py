"""The sides of a comparison: layers of Keras, or modules of PyTorch."""

import importlib

import keras
from keras import ops

import tensornet_keras as tk
from tensornet_keras import backend

from ..peers import torch_calls
from .layers import layer_call, layer_calls, ways

LEARNING_RATE = 1e-3


def forward(side, x):
    """The timed calls of a side's forward pass.

    Args:
        side: A built Keras layer or model, or a PyTorch module.
        x: Its input.

    Returns:
        A dict of functions without arguments, by ways to compile.
    """
    if isinstance(side, keras.layers.Layer):
        return layer_calls(side, x)
    return torch_calls.forward_calls(side, ops.convert_to_numpy(x))


def step(side, x, y, compiler=True):
    """The timed calls of a training step: gradients, and an update by Adam.

    The input gets its gradient too, as in the middle of a net.

    Args:
        side: A built Keras layer, or a PyTorch module.
        x: Its input.
        y: What its output should be in the mean square.
        compiler: Whether PyTorch's compiler is tried, which takes seconds.

    Returns:
        As for `forward`.
    """
    if not isinstance(side, keras.layers.Layer):
        arrays = map(ops.convert_to_numpy, (x, y))
        return torch_calls.step_calls(side, *arrays, compiler)
    made = {
        "tensorflow": _tensorflow_step,
        "jax": _jax_step,
        "torch": _torch_step,
    }[backend.name()]
    return {way: made(side, x, y, xla) for way, xla in ways().items()}


def frozen(layer, x):
    """The timed calls of a layer as `freeze` leaves it.

    It is frozen for every way to compile, as a model says to `freeze` how it
    is compiled.

    Args:
        layer: A built factorized layer.
        x: Its input.

    Returns:
        A dict of functions without arguments, by the ways to compile.
    """
    model = one_layer(layer, x.shape[1:])
    return frozen_model_calls(model, x)


def frozen_model_calls(model, x):
    """The timed calls of a model as `freeze` leaves it, likewise.

    Args:
        model: A Keras model.
        x: Its input.

    Returns:
        A dict of functions without arguments, by the ways to compile.
    """
    batch = len(x)
    return {
        way: layer_call(frozen_model(model, batch, xla), x, xla)
        for way, xla in ways().items()
    }


def frozen_model(model, batch, xla=False):
    """A model as `freeze` leaves it.

    Args:
        model: A Keras model; it is compiled.
        batch: The batch to freeze it for.
        xla: Whether it is compiled by XLA.

    Returns:
        A Keras model.
    """
    model.compile(jit_compile=xla)
    return tk.freeze(model, batch_size=batch)


def one_layer(layer, shape):
    """A model of one layer.

    Args:
        layer: A Keras layer.
        shape: The shape of one example.

    Returns:
        A Sequential.
    """
    return keras.Sequential([keras.Input(shape), layer])


def _loss(outputs, y):
    return ops.mean(ops.square(outputs - y))


def _adam(layer):
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(layer.trainable_variables)
    return optimizer


def _tensorflow_step(layer, x, y, xla):
    tf = importlib.import_module("tensorflow")
    optimizer, variables = _adam(layer), layer.trainable_variables

    def function(x, y):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = _loss(layer(x, training=True), y)
        slope, *slopes = tape.gradient(loss, [x, *variables])
        optimizer.apply(slopes, variables)
        return loss, slope

    compiled = backend.compiled(function, xla)
    x, y = map(ops.convert_to_tensor, (x, y))
    return lambda: backend.synchronize(compiled(x, y)[1])


def _jax_step(layer, x, y, xla):
    del xla
    function = jax_step_function(layer)
    jax = importlib.import_module("jax")
    compiled = jax.jit(function, donate_argnums=0)
    # Copies, since what is donated is gone.
    state = jax.tree.map(jax.numpy.array, jax_state(layer))
    held = [state]

    def call():
        held[0], slope = compiled(held[0], x, y)
        return backend.synchronize(slope)

    return call


def jax_state(layer):
    """The weights, the other state and Adam's slots of a layer on JAX.

    Args:
        layer: A built Keras layer.

    Returns:
        A tuple of three lists.
    """
    kinds = (
        layer.trainable_variables,
        layer.non_trainable_variables,
        _adam(layer).variables,
    )
    return tuple([variable.value for variable in kind] for kind in kinds)


def jax_step_function(layer):
    """A training step as a function of its state.

    Args:
        layer: A built Keras layer.

    Returns:
        A function of what `jax_state` returns, an input and the output
        wanted; it returns the next state and the input's gradient.
    """
    jax = importlib.import_module("jax")
    optimizer = _adam(layer)

    def loss(weights, x, other, y):
        outputs, other = layer.stateless_call(weights, other, x, training=True)
        return _loss(outputs, y), other

    def function(state, x, y):
        weights, other, slots = state
        slopes, other = jax.grad(loss, argnums=(0, 1), has_aux=True)(
            weights, x, other, y
        )
        weights, slots = optimizer.stateless_apply(slots, slopes[0], weights)
        return (weights, other, slots), slopes[1]

    return function


def _torch_step(layer, x, y, xla):
    del xla
    torch = importlib.import_module("torch")
    optimizer, variables = _adam(layer), layer.trainable_variables

    def call():
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            loss = _loss(layer(leaf, training=True), y)
            tensors = [variable.value for variable in variables]
            slope, *slopes = torch.autograd.grad(loss, [leaf, *tensors])
        with torch.no_grad():
            optimizer.apply(slopes, variables)
        return backend.synchronize(slope)

    return call
