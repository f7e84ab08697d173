"""A tensor train contracted core after core, in float64, in log scale."""

import math

import keras
import numpy as np

from tensornet_keras.layers import MPSLayer, mps_sweep
from tests.laws.oracles import as_numpy
from tests.laws.tracing import traced

# A bond at which cores are swept without building matrices before.
WIDE = mps_sweep.NARROW + 1
# Initializers of Keras draw cores without any structure.
UNSTRUCTURED = keras.initializers.RandomNormal(stddev=0.5, seed=1)


def uniform(*shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype("float32")


def embedded(x, name, dim):
    """Features in float64, by the formulas of the documentation."""
    x = np.asarray(x, "float64")
    powers = np.arange(dim)
    if name == "poly":
        return x[..., None] ** powers
    if name == "basis":
        return np.eye(dim)[x.astype(int)]
    if name == "unit":
        roots = np.sqrt([math.comb(dim - 1, s) for s in powers])
        angles = math.pi / 2 * x[..., None]
        return roots * np.cos(angles) ** powers[::-1] * np.sin(angles) ** powers
    waves = [np.ones_like(x)]
    for k in range(1, dim):
        wave = np.cos if k % 2 else np.sin
        waves.append(math.sqrt(2) * wave(2 * math.pi * ((k + 1) // 2) * x))
    return np.stack(waves, axis=-1)


def value_and_log(cores, features, site):
    """The train's value, core after core in float64, and its log scale.

    A ring is the trace of the product of all sites.
    """
    cores = [as_numpy(core).astype("float64") for core in cores]
    if cores[0].ndim == 2:
        cores[0], cores[-1] = cores[0][None], cores[-1][..., None]
    output = cores.pop(site)
    left = np.eye(len(cores[0] if site else output))[None]
    log = 0.0
    for core, x in zip(cores[:site], features.transpose(1, 0, 2), strict=False):
        left = np.einsum("bca,asd,bs->bcd", left, core, x)
        size = np.abs(left).max(axis=(1, 2), keepdims=True)
        left, log = left / size, log + np.log(size)
    right = np.eye(output.shape[-1])[None]
    for core, x in zip(
        cores[site:], features.transpose(1, 0, 2)[site:], strict=True
    ):
        right = np.einsum("bda,asc,bs->bdc", right, core, x)
        size = np.abs(right).max(axis=(1, 2), keepdims=True)
        right, log = right / size, log + np.log(size)
    batch = len(features)
    left = np.broadcast_to(left, (batch, *left.shape[1:]))
    right = np.broadcast_to(right, (batch, *right.shape[1:]))
    value = np.einsum("bca,aud,bdc->bu", left, output, right)
    return value, np.broadcast_to(np.reshape(log, (-1, 1)), (batch, 1))


def value_of(layer, x):
    """What a layer should return as its value, in float64."""
    x = np.asarray(x)
    if layer.embedding is not None:
        x = embedded(x, layer.embedding, layer.embedding_dim)
    value, log = value_and_log(layer.cores, x, layer.output_site)
    return value * np.exp(log)


def outputs_of(layer, x):
    """What a layer, or a method of one, returns."""
    return traced(layer, keras.ops.convert_to_tensor(x))


def built(features, **arguments):
    arguments = {"units": 3, "rank": 2} | arguments
    layer = MPSLayer(**arguments)
    tail = (2,) if layer.embedding is None else ()
    layer.build((None, features, *tail))
    return layer
