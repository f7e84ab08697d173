"""Singular values of a kernel at the bonds of its tensor train."""

import math

import keras
import numpy as np


def replaced_spectra(dense, small):
    """Spectra of the kernels that a conversion replaced, with their cuts.

    Args:
        dense: The model before.
        small: The model after, its layers under the same names.

    Returns:
        A dict from the layers' names to plain data: `modes`, `ranks` (the
        cut at every bond) and `values` (one list per bond).
    """
    spectra = {}
    for layer in small.layers:
        bound = getattr(layer, "format", None)
        if bound is None:
            continue
        kernel = keras.ops.convert_to_numpy(dense.get_layer(layer.name).kernel)
        spectra[layer.name] = {
            "modes": bound.describe_modes(),
            "ranks": list(bound.rank),
            "values": [
                [float(f"{value:.6g}") for value in values]
                for values in bond_spectra(kernel, bound)
            ],
        }
    return spectra


def bond_spectra(kernel, bound):
    """Singular values of the kernel's unfolding at every bond.

    What TT-SVD cuts: bond `k` has rank `r` without loss exactly when all but
    `r` of the values at `k` are zero.

    Args:
        kernel: A dense kernel in Keras' shape.
        bound: The bound tensor-train format that cuts it.

    Returns:
        A tuple with one descending array per bond.

    Reference:
        Oseledets 2011, "Tensor-Train Decomposition", SIAM J. Sci. Comput.
        33(5), https://doi.org/10.1137/090752286, theorem 2.2.
    """
    tensor = _paired(np.asarray(kernel, "float64"), bound)
    spectra = []
    for bond in range(1, tensor.ndim):
        rows = math.prod(tensor.shape[:bond])
        unfolding = tensor.reshape(rows, -1)
        spectra.append(np.linalg.svd(unfolding, compute_uv=False))
    return tuple(spectra)


def _paired(kernel, bound):
    """The kernel with one axis per core: the window, then mode pairs."""
    window = math.prod(bound.window)
    kernel = kernel.reshape(window, *kernel.shape[-2:])
    ins, outs = bound.input_modes, bound.output_modes
    padding = (
        (0, math.prod(modes) - size)
        for modes, size in zip((ins, outs), kernel.shape[1:], strict=True)
    )
    kernel = np.pad(kernel, ((0, 0), *padding))
    order = len(ins)
    tensor = kernel.reshape(window, *ins, *outs)
    axes = [0]
    for mode in range(1, order + 1):
        axes += [mode, mode + order]
    pairs = [i * j for i, j in zip(ins, outs, strict=True)]
    shape = [window, *pairs] if bound.window else pairs
    return tensor.transpose(axes).reshape(shape)
