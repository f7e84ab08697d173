"""Timing of layers: each side compiled, its weights passed as arguments.

Weights are arguments and not constants, since XLA would otherwise merge cores
once at compile time and the layer's own work would go untimed.
"""

import keras
from keras import ops

from tensornet_keras import backend

from ..timing import interleave


def layer_call(layer, x, xla=False):
    """A timed call of a built layer.

    Args:
        layer: A built Keras layer without state of its own.
        x: Its input.
        xla: Whether TensorFlow compiles by XLA.

    Returns:
        A function without arguments.
    """
    values = [v.value for v in layer.trainable_variables]

    def function(inputs, *weights):
        outputs, _ = layer.stateless_call(weights, [], inputs)
        return outputs

    return timed_call(function, x, *values, xla=xla)


def timed_call(function, *arguments, xla=False):
    """Compiles a function for its arguments; the call waits for the result.

    Args:
        function: A function of tensors.
        arguments: The tensors.
        xla: Whether TensorFlow compiles by XLA.

    Returns:
        A function without arguments.
    """
    compiled = backend.compiled(function, xla)
    arguments = [ops.convert_to_tensor(value) for value in arguments]
    return lambda: backend.synchronize(compiled(*arguments))


def timed_row(case, calls, facts, smoke):
    """Times the sides of a case and puts them in a row.

    Args:
        case: The case in words.
        calls: From a side's name to a function without arguments; `"ours"`
            is compared with each of the others.
        facts: What else to write down.
        smoke: Whether three rounds will do.

    Returns:
        A row of the suite.
    """
    timings = interleave(
        calls, rounds=3 if smoke else 50, warmup=1 if smoke else 3
    )
    return {
        "case": case,
        "sides": {name: one.to_dict() for name, one in timings.items()},
        "ratios": {
            f"{name} / ours": timings[name].ratio_to(timings["ours"])
            for name in timings
            if name != "ours"
        },
        "facts": facts,
    }


def random_input(shape, seed=0):
    """Normal inputs of a shape."""
    return keras.random.normal(shape, seed=seed)
