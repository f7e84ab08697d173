"""Timing of layers: each side compiled, its weights as Keras passes them.

Weights are variables or arguments and not constants, since XLA would
otherwise merge cores once at compile time and the layer's own work would go
untimed. A side that may be compiled in two ways is timed in the better one.
"""

import keras
from keras import ops

from tensornet_keras import backend

from ..timing import interleave

# Ways to compile: by XLA or without, in TensorFlow; JAX always uses it, and
# PyTorch never does.
WAYS = {"plain": False, "xla": True}
SLICE = 0.005


def ways():
    """The ways to compile that the backend has, by name."""
    return WAYS if backend.name() == "tensorflow" else {"plain": False}


def layer_call(layer, x, xla=False):
    """A timed call of a built layer or model.

    TensorFlow reads the variables, as in Keras' `predict`; the other backends
    get their values as arguments.

    Args:
        layer: A built Keras layer or model.
        x: Its input.
        xla: Whether TensorFlow compiles by XLA.

    Returns:
        A function without arguments.
    """
    if backend.name() == "tensorflow":
        return timed_call(lambda inputs: layer(inputs), x, xla=xla)
    kinds = (layer.trainable_variables, layer.non_trainable_variables)
    count = len(kinds[0])

    def function(inputs, *values):
        outputs, _ = layer.stateless_call(
            values[:count], values[count:], inputs
        )
        return outputs

    values = [variable.value for kind in kinds for variable in kind]
    return timed_call(function, x, *values, xla=xla)


def layer_calls(layer, x):
    """The timed calls of a layer, by the ways to compile it.

    Args:
        layer: A built Keras layer or model.
        x: Its input.

    Returns:
        A dict of functions without arguments.
    """
    return {way: layer_call(layer, x, xla) for way, xla in ways().items()}


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


def timed_calls(function, *arguments):
    """The timed calls of a function, by the ways to compile it.

    Args:
        function: A function of tensors.
        arguments: The tensors.

    Returns:
        A dict of functions without arguments.
    """
    return {
        way: timed_call(function, *arguments, xla=xla)
        for way, xla in ways().items()
    }


def best_call(function, *arguments):
    """The quicker of the timed calls of a function.

    Args:
        function: A function of tensors.
        arguments: The tensors.

    Returns:
        A function without arguments.
    """
    calls, _ = quickest({"side": timed_calls(function, *arguments)})
    return calls["side"]


def quickest(sides, smoke=False):
    """Settles in a trial which way to compile each side is the better one.

    Args:
        sides: From a side's name to a function without arguments, or to a
            dict of such functions by ways to compile.
        smoke: Whether two rounds will do.

    Returns:
        `(calls, ways)`: one function for every side, and for those with a
        choice the way taken.
    """
    several = {name: side for name, side in sides.items() if _choice(side)}
    trial = {
        (name, way): call
        for name, side in several.items()
        for way, call in side.items()
    }
    if trial:
        timings = interleave(
            trial,
            rounds=2 if smoke else 9,
            warmup=1,
            budget=5.0,
            slice_seconds=0.0 if smoke else SLICE,
        )
    calls, taken = {}, {}
    for name, side in sides.items():
        if name in several:
            way = min(side, key=lambda way: timings[name, way].median)
            calls[name], taken[name] = side[way], way
        else:
            calls[name] = next(iter(side.values())) if _named(side) else side
    return calls, taken


def timed_row(
    case,
    sides,
    facts,
    smoke,
    *,
    ours=("ours",),
    at_least=None,
    rounds=50,
    budget=15.0,
):
    """Times the sides of a case and puts them in a row.

    Args:
        case: The case in words.
        sides: From a side's name to a function without arguments, or to a
            dict of such by ways to compile, of which the better counts.
        facts: What else to write down.
        smoke: Whether three rounds will do.
        ours: The sides that each of the others is compared with.
        at_least: From the words of a ratio to what it should reach.
        rounds: Most rounds to time.
        budget: Seconds after which no further round is begun.

    Returns:
        A row of the suite.
    """
    calls, taken = quickest(sides, smoke)
    timings = interleave(
        calls,
        rounds=3 if smoke else rounds,
        warmup=1,
        budget=budget,
        slice_seconds=0.0 if smoke else SLICE,
        # What a target is held against is no matter of three rounds.
        least=9 if at_least and not smoke else 3,
    )
    row = compared(case, timings, ours, facts)
    if taken:
        row["facts"]["compiled"] = taken
    if at_least:
        row["at_least"] = at_least
    return row


def compared(case, timings, ours, facts):
    """A row of timings, with their ratios to some of them.

    Args:
        case: The case in words.
        timings: From a side's name to its `Timing`.
        ours: The sides that each of the others is compared with.
        facts: What else to write down.

    Returns:
        A row of a suite.
    """
    pairs = [
        (name, own)
        for own in ours
        for name in timings
        if name != own and own in timings
    ]
    return {
        "case": case,
        "sides": {name: one.to_dict() for name, one in timings.items()},
        "ratios": {
            f"{name} / {own}": timings[name].ratio_to(timings[own])
            for name, own in pairs
        },
        "spreads": {
            f"{name} / {own}": timings[name].ratio_spread(timings[own])
            for name, own in pairs
        },
        "facts": dict(facts),
    }


def random_input(shape, seed=0):
    """Normal inputs of a shape."""
    return keras.random.normal(shape, seed=seed)


def _named(side):
    return isinstance(side, dict)


def _choice(side):
    return _named(side) and len(side) > 1
