"""tn_keras of google/TensorNetwork 0.4.6, the last release that has it."""

import math

import tensornet_keras as tk

NAME, PACKAGE, BACKEND = "tn_keras", "tensornetwork", "tensorflow"


def dense(bound):
    """`DenseMPO` of equal modes and one rank, or `DenseDecomp`.

    Args:
        bound: A bound format of a dense layer.

    Returns:
        A dict of layers.
    """
    from tensornetwork.tn_keras.layers import DenseDecomp, DenseMPO

    units = math.prod(bound.output_dims)
    if isinstance(bound, tk.formats.LowRank):
        layer = DenseDecomp(units, decomp_size=bound.rank[0], use_bias=False)
    elif isinstance(bound, tk.formats.TensorTrain) and _uniform(bound):
        layer = DenseMPO(
            units,
            num_nodes=len(bound.input_modes),
            bond_dim=bound.rank[0],
            use_bias=False,
        )
    else:
        return {}
    layer.build((None, math.prod(bound.input_dims)))
    return {"tn_keras": layer}


def convolution(bound):
    """None: its convolution rebuilds the kernel, which is a side already.

    Args:
        bound: A bound format of a convolution.
    """
    del bound
    return {}


def _uniform(bound):
    sides = (bound.input_modes, bound.output_modes, bound.rank)
    return len(bound.input_modes) > 2 and all(len(set(s)) == 1 for s in sides)
