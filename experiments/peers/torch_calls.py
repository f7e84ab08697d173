"""Timed calls of PyTorch modules, eager, on all cores or on the GPU."""

import os

import numpy as np


def forward_call(module, x):
    """A timed call without gradients.

    Args:
        module: A module.
        x: Its input, an array.

    Returns:
        A function without arguments.
    """
    torch, place = _torch()
    x = torch.tensor(np.ascontiguousarray(x), device=place)
    module = module.to(place).eval()

    def call():
        with torch.inference_mode():
            outputs = module(x)
            _synchronize(torch)
        return outputs

    return call


def step_call(module, x, y):
    """A timed step: forward, all gradients, and an update by Adam.

    Args:
        module: A module.
        x: Its input, an array; it gets a gradient too.
        y: What the output should be in the mean square.

    Returns:
        A function without arguments.
    """
    torch, place = _torch()
    x = torch.tensor(np.ascontiguousarray(x), device=place)
    y = torch.tensor(np.ascontiguousarray(y), device=place)
    module = module.to(place).train()
    optimizer = torch.optim.Adam(module.parameters())

    def call():
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(module(leaf), y).backward()
            optimizer.step()
            _synchronize(torch)
        return leaf.grad

    return call


def _torch():
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    return torch, "cuda" if torch.cuda.is_available() else "cpu"


def _synchronize(torch):
    if torch.cuda.is_available():
        torch.cuda.synchronize()
