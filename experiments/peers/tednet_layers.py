"""tednet: https://github.com/tnbar/tednet, eager PyTorch."""

import contextlib
import io
import math

import tensornet_keras as tk

NAME, PACKAGE, BACKEND = "tednet", "tednet", None


def dense(bound):
    """`TTLinear` of the same ranks; `TRLinear`, `CPLinear` of the same size.

    Args:
        bound: A bound format of a dense layer.

    Returns:
        A dict of modules.
    """
    makers = {
        tk.formats.TensorTrain: _train,
        tk.formats.TensorRing: _ring,
        tk.formats.CP: _polyadic,
    }
    maker = makers.get(type(bound))
    if maker is None or bound.pad:
        return {}
    with contextlib.redirect_stdout(io.StringIO()):
        return {"tednet": maker(bound)}


def convolution(bound):
    """`TTConv2D` or `TK2Conv2D` of the same modes and ranks.

    Args:
        bound: A bound format of a convolution.

    Returns:
        A dict of modules.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        if isinstance(bound, tk.formats.Tucker):
            return _tucker_convolution(bound)
        first = getattr(bound, "conv_order", None) == "spatial_first"
        return _train_convolution(bound) if first else {}


def _train(bound):
    from tednet.tnn.tensor_train import TTLinear

    modes = list(bound.input_modes), list(bound.output_modes)
    return TTLinear(*modes, list(bound.rank), bias=False)


def _ring(bound):
    from tednet.tnn.tensor_ring import TRLinear

    # A core for every mode there, one for every pair of modes here.
    modes = [*bound.input_modes, *bound.output_modes]
    rank = max(1, round(math.sqrt(bound.num_params / sum(modes))))
    ranks = [rank] * len(modes)
    sides = list(bound.input_modes), list(bound.output_modes)
    return TRLinear(*sides, ranks, bias=False)


def _polyadic(bound):
    from tednet.tnn.cp import CPLinear

    modes = [*bound.input_modes, *bound.output_modes]
    rank = max(1, round(bound.num_params / sum(modes)))
    sides = list(bound.input_modes), list(bound.output_modes)
    return CPLinear(*sides, rank, bias=False)


def _tucker_convolution(bound):
    from tednet.tnn.tucker2 import TK2Conv2D

    if len(bound.rank) != 2:
        return {}
    module = TK2Conv2D(
        bound.input_dims[0],
        bound.output_dims[0],
        list(bound.rank),
        tuple(bound.window),
        padding=bound.window[0] // 2,
        bias=False,
    )
    return {"tednet": module}


def _train_convolution(bound):
    from tednet.tnn.tensor_train import TTConv2D

    module = TTConv2D(
        list(bound.input_modes),
        list(bound.output_modes),
        list(bound.rank),
        tuple(bound.window),
        padding=bound.window[0] // 2,
        bias=False,
    )
    return {"tednet": module}
