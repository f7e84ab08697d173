"""Timed calls of PyTorch modules, on all cores or on the GPU.

Eager, and compiled by `torch.compile` where that works.
"""

import os
import warnings

import numpy as np

from ..notes import skipped

# Shapes that one function may be compiled for.
MOST_SHAPES = 1000


def forward_calls(module, x, compiler=True):
    """The timed calls without gradients, by the ways to run.

    Args:
        module: A module.
        x: Its input, an array.
        compiler: Whether `torch.compile` is tried.

    Returns:
        A dict of functions without arguments.
    """
    torch, place = _torch()
    x = torch.tensor(np.ascontiguousarray(x), device=place)
    module = module.to(place).eval()

    def call(run, mode):
        def timed():
            with mode():
                outputs = run(x)
                _synchronize(torch)
            return outputs

        return timed

    return _ways(torch, module, call, torch.inference_mode, compiler)


def step_calls(module, x, y, compiler=True):
    """The timed steps: forward, all gradients, and an update by Adam.

    Args:
        module: A module.
        x: Its input, an array; it gets a gradient too.
        y: What the output should be in the mean square.
        compiler: Whether `torch.compile` is tried.

    Returns:
        A dict of functions without arguments, by the ways to run.
    """
    torch, place = _torch()
    x = torch.tensor(np.ascontiguousarray(x), device=place)
    y = torch.tensor(np.ascontiguousarray(y), device=place)
    module = module.to(place).train()
    optimizer = torch.optim.Adam(module.parameters())

    def call(run, mode):
        def timed():
            with mode():
                leaf = x.detach().requires_grad_()
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(run(leaf), y).backward()
                optimizer.step()
                _synchronize(torch)
            return leaf.grad

        return timed

    return _ways(torch, module, call, torch.enable_grad, compiler)


def _compiled(torch, module):
    # Beyond its limit it would run eagerly without a word.
    torch._dynamo.config.recompile_limit = MOST_SHAPES
    torch._dynamo.config.accumulated_recompile_limit = MOST_SHAPES
    return torch.compile(module, dynamic=False)


def _ways(torch, module, call, mode, compiler):
    """Eager, and compiled if a compiler is there and does not fail."""
    calls = {"eager": call(module, mode)}
    if not compiler:
        return calls
    try:
        with warnings.catch_warnings():
            # Its own, of what it is made of.
            warnings.simplefilter("ignore")
            # Compiled functions refuse tensors of the mode of inference.
            no_grad = torch.no_grad if mode is torch.inference_mode else mode
            compiled = call(_compiled(torch, module), no_grad)
            compiled()
    except Exception as problem:  # noqa: BLE001, anything may go wrong in it
        name = type(problem).__name__
        skipped(f"Not compiled by PyTorch: {name}.")
        return calls
    return calls | {"compiled": compiled}


def _torch():
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    # On a GPU products of float32 as JAX and TensorFlow have them.
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    return torch, "cuda" if torch.cuda.is_available() else "cpu"


def _synchronize(torch):
    if torch.cuda.is_available():
        torch.cuda.synchronize()
