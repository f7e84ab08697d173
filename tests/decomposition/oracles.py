"""Textbook decompositions, in float64 and without regard to memory."""

import math

import numpy as np


def site_modes(format):
    """Row and column mode of every core; a window is a row mode."""
    modes = list(zip(format.input_modes, format.output_modes, strict=True))
    return [(math.prod(format.window), 1), *modes] if format.window else modes


def interleaved(weight, format):
    """The padded weight as a tensor with one axis a core."""
    modes = site_modes(format)
    rows, columns = zip(*modes, strict=True)
    *_, inputs, outputs = weight.shape
    matrices = weight.reshape(-1, inputs, outputs).astype("float64")
    padded = np.zeros(
        (
            len(matrices),
            math.prod(format.input_modes),
            math.prod(format.output_modes),
        )
    )
    padded[:, :inputs, :outputs] = matrices
    count = len(modes)
    pairs = [axis for k in range(count) for axis in (k, count + k)]
    tensor = padded.reshape(*rows, *columns).transpose(pairs)
    return tensor.reshape([i * j for i, j in modes])


def textbook_tt_svd(weight, format, ranks=None, error=None):
    """Oseledets 2011, algorithm 1: the dense weight and the ranks."""
    tensor = interleaved(weight, format)
    sizes = tensor.shape
    bonds = max(1, len(sizes) - 1)
    tail = (error or 0.0) / math.sqrt(bonds) * np.linalg.norm(tensor)
    cores, obtained, rest, bond = [], [], tensor, 1
    for k, size in enumerate(sizes[:-1]):
        matrix = rest.reshape(bond * size, -1)
        u, values, vt = np.linalg.svd(matrix, full_matrices=False)
        if error is None:
            rank = min(ranks[k], len(values))
        else:
            tails = [np.linalg.norm(values[r:]) for r in range(len(values))]
            rank = max(1, sum(size > tail for size in tails))
        cores.append(u[:, :rank].reshape(bond, size, rank))
        rest, bond = values[:rank, None] * vt[:rank], rank
        obtained.append(rank)
    cores.append(rest.reshape(bond, sizes[-1], 1))
    return dense_of_chain(cores, weight.shape, format), tuple(obtained)


def dense_of_chain(cores, shape, format):
    """The weight of a chain of cores `(r, i j, r')`."""
    modes = site_modes(format)
    product = cores[0]
    for core in cores[1:]:
        product = np.tensordot(product, core, axes=1)
    count = len(modes)
    product = product.reshape([size for pair in modes for size in pair])
    axes = (*range(0, 2 * count, 2), *range(1, 2 * count, 2))
    padded = product.transpose(axes).reshape(
        -1, math.prod(format.input_modes), math.prod(format.output_modes)
    )
    *_, inputs, outputs = shape
    return padded[:, :inputs, :outputs].reshape(shape)


def relative_error(dense, weight):
    """Relative error in the Frobenius norm, in float64."""
    weight = np.asarray(weight, "float64")
    missed = np.linalg.norm(np.asarray(dense, "float64") - weight)
    total = np.linalg.norm(weight)
    return missed / total if total else missed


def decaying_weight(shape, seed=0, dtype="float64", decay=1.5):
    """A smooth kernel with a little noise: its spectra fall off."""
    grids = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    smooth = 1.0 / (1.0 + sum(grids)) ** decay
    noise = np.random.default_rng(seed).standard_normal(shape)
    return (smooth + 0.01 * noise).astype(dtype)
