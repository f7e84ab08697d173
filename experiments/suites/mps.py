"""A tensor train over 500 features and more: ours against tensorkrowch's.

Both embed the inputs and hold the same cores. tensorkrowch runs as its users
run it: traced, on PyTorch, eagerly, with its default options, with its
matrices multiplied one after another ("inline"), and without stacking.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from keras import ops

import tensornet_keras as tk
from tensornet_keras import backend

from ..notes import skipped
from .layers import layer_call, random_input, timed_call, timed_row


@dataclass(frozen=True)
class Case:
    """A train and the batch it is timed at."""

    features: int
    rank: int = 10
    batch: int = 64
    units: int = 10


CASES = (Case(500), Case(784), Case(500, rank=32), Case(500, batch=1))
SMOKE_CASES = (Case(6, rank=2, batch=3, units=2),)
# As Keras compiles with `jit_compile=True`, and as it does on a CPU by itself.
OURS = {"ours": True, "ours, without XLA": False}
# Options of tensorkrowch: stacking, and the matrices one after another.
OPTIONS = {
    "tensorkrowch": (True, False),
    "tensorkrowch, inline": (True, True),
    "tensorkrowch, unstacked": (False, False),
}


def run(smoke):
    """Yields two rows a case: forward, and with the gradients."""
    for case in SMOKE_CASES if smoke else CASES:
        x = 0.5 + 0.1 * random_input((case.batch, case.features))
        ours = tk.layers.MPSLayer(case.units, case.rank, seed=0)
        ours.build(x.shape)
        forward = {name: layer_call(ours, x, xla) for name, xla in OURS.items()}
        both = {name: gradient_call(ours, x, xla) for name, xla in OURS.items()}
        facts = {
            "batch": case.batch,
            "parameters": ours.count_params(),
        }
        for name, calls in _theirs(ours, x).items():
            forward[name], both[name] = calls
            facts[f"relative_difference_{name}"] = _difference(ours, x, calls)
        title = (
            f"{case.features} features, rank {case.rank}, batch {case.batch}"
        )
        yield timed_row(f"{title}, forward", forward, facts, smoke)
        yield timed_row(f"{title}, with gradients", both, facts, smoke)


def gradient_call(layer, x, xla=False):
    """A timed call of a layer's mean square and its gradients.

    Args:
        layer: A built layer without state of its own.
        x: Its input.
        xla: Whether TensorFlow compiles by XLA.

    Returns:
        A function without arguments.
    """

    def function(inputs, *weights):
        def mean_square(*weights):
            outputs, _ = layer.stateless_call(weights, [], inputs)
            return ops.mean(ops.square(outputs))

        found = backend.gradients(mean_square, list(weights))
        return ops.concatenate([ops.reshape(one, (-1,)) for one in found])

    values = [v.value for v in layer.trainable_variables]
    return timed_call(function, x, *values, xla=xla)


def _theirs(ours, x):
    """Forward and gradient calls of tensorkrowch, by the options' names."""
    try:
        import tensorkrowch
        import torch
    except ImportError:
        skipped("Not compared with tensorkrowch, which is not installed.")
        return {}
    cores = [
        torch.tensor(ops.convert_to_numpy(core), device="cpu")
        for core in ours.cores
    ]
    x = torch.tensor(ops.convert_to_numpy(x), device="cpu")

    def embedded():
        return tensorkrowch.embeddings.poly(x, 1)

    found = {}
    for name, (stack, inline) in OPTIONS.items():
        model = tensorkrowch.models.MPSLayer(
            tensors=list(cores), out_position=ours.output_site
        )
        model.auto_stack, model.auto_unbind = stack, False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.trace(embedded(), inline_mats=inline)
        found[name] = _calls(model, embedded, inline)
    return found


def _calls(model, embedded, inline):
    import torch

    def forward():
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return model(embedded(), inline_mats=inline)

    def with_gradients():
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.zero_grad()
            outputs = model(embedded(), inline_mats=inline)
            outputs.square().mean().backward()

    return forward, with_gradients


def _difference(ours, x, calls):
    """How far the two sides' outputs are apart, of the largest."""
    forward, _ = calls
    theirs = forward().numpy()
    difference = np.abs(ops.convert_to_numpy(ours(x)) - theirs).max()
    return float(difference / np.abs(theirs).max())
