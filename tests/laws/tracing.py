"""Runs functions of tensors the way each backend compiles them."""

from tensornet_keras import backend
from tensornet_keras.contraction import candidates
from tensornet_keras.contraction.execute import execute


def traced(function, inputs):
    """`function(inputs)`; JAX compiles it, since it is slow one by one."""
    if backend.name() == "jax":
        function = backend.compiled(function)
    return function(inputs)


def every_plan(network, cores, inputs, how=None, traced=traced):
    """What each plan of a network makes of the inputs, one after another."""
    return traced(
        lambda x: [
            execute(plan, x, cores, how) for plan in candidates(network)
        ],
        inputs,
    )


def traced_with_unknown_sizes(function, inputs):
    """`function(inputs)`; where sizes can be unknown, all but the last are."""
    if backend.name() != "tensorflow":
        return traced(function, inputs)
    import tensorflow as tf

    unknown = [None] * (inputs.ndim - 1)
    signature = [tf.TensorSpec([*unknown, inputs.shape[-1]], inputs.dtype)]
    return tf.function(function, signature, autograph=False)(inputs)
