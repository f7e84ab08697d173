"""Feature maps of tensor trains over inputs: one number becomes a few.

Stoudenmire and Schwab 2016 (arXiv 1605.05775) embed every input of an image
so; the names and formulas are tensorkrowch's.
"""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from tensornet_keras import validation


def poly(inputs, dim):
    """Powers: `(1, x, x^2, ...)`; with `dim=2` it adds a one.

    Args:
        inputs: Tensor of any shape.
        dim: Number of features.

    Returns:
        A tensor with one axis more, of size `dim`.
    """
    powers = [ops.ones_like(inputs)]
    for _ in range(dim - 1):
        powers.append(ops.multiply(powers[-1], inputs))
    return ops.stack(powers, axis=-1)


def unit(inputs, dim):
    """Unit vectors: with `dim=2`, `(cos(pi x / 2), sin(pi x / 2))`.

    Feature `s` is the root of `binomial(dim - 1, s)`, times the cosine to the
    power `dim - 1 - s`, times the sine to the power `s`.

    Args:
        inputs: Tensor of any shape, of values in [0, 1].
        dim: Number of features.

    Returns:
        A tensor with one axis more, of size `dim`.

    Reference:
        Stoudenmire and Schwab 2016, https://arxiv.org/abs/1605.05775.
    """
    angles = ops.multiply(inputs, math.pi / 2)
    cosines, sines = poly(ops.cos(angles), dim), poly(ops.sin(angles), dim)
    roots = [math.sqrt(math.comb(dim - 1, s)) for s in range(dim)]
    roots = ops.cast(ops.array(roots), inputs.dtype)
    return ops.multiply(ops.flip(cosines, axis=-1) * sines, roots)


def fourier(inputs, dim):
    """Fourier's functions on [0, 1], orthonormal, the constant one first.

    Args:
        inputs: Tensor of any shape.
        dim: Number of features: 1, then a cosine, its sine, and so on.

    Returns:
        A tensor with one axis more, of size `dim`.
    """
    features = [ops.ones_like(inputs)]
    for k in range(1, dim):
        angles = ops.multiply(inputs, 2 * math.pi * ((k + 1) // 2))
        wave = ops.cos(angles) if k % 2 else ops.sin(angles)
        features.append(ops.multiply(wave, math.sqrt(2)))
    return ops.stack(features, axis=-1)


def basis(inputs, dim):
    """Unit vectors of whole numbers: a one at the place of the input.

    Args:
        inputs: Tensor of any shape, of whole numbers from 0 to `dim - 1`.
        dim: Number of features.

    Returns:
        A tensor with one axis more, of size `dim`.
    """
    return ops.one_hot(ops.cast(inputs, "int32"), dim)


EMBEDDINGS = {"poly": poly, "unit": unit, "fourier": fourier, "basis": basis}


def get(identifier):
    """The feature map of a name.

    Args:
        identifier: A name of `EMBEDDINGS`, a function that returns its
            input with one axis more, such a function as Keras serializes it,
            or `None`.

    Returns:
        The name, the function or `None`.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If it is none of these.
    """
    if isinstance(identifier, dict):
        identifier = keras.saving.deserialize_keras_object(identifier)
    if identifier is None or callable(identifier):
        return identifier
    if not isinstance(identifier, str):
        raise TypeError(
            "`embedding` must be a name, a function or None. "
            f"Received: embedding={identifier!r}. "
            f"Choose one of {list(EMBEDDINGS)}, or pass a function that "
            "adds an axis of features."
        )
    return validation.one_of(identifier, tuple(EMBEDDINGS), "embedding")


def embedded(inputs, embedding, dim):
    """The inputs with one axis of features more.

    Args:
        inputs: `(batch, features)`; `(batch, features, dim)` without an
            embedding.
        embedding: What `get` returns.
        dim: Number of features.

    Returns:
        A tensor `(batch, features, dim)`.

    Raises:
        ValueError: If a function returns another shape.
    """
    if embedding is None:
        return inputs
    if isinstance(embedding, str):
        return EMBEDDINGS[embedding](inputs, dim)
    features = embedding(inputs)
    shape = tuple(features.shape)
    if shape[1:] != (*inputs.shape[1:], dim):
        raise ValueError(
            "The function `embedding` must add an axis of size "
            f"`embedding_dim`. Received: embedding_dim={dim} and features "
            f"of the shape {shape} of inputs {tuple(inputs.shape)}. "
            "Correct one of the two."
        )
    return features


def constant_coefficients(embedding, dim: int) -> np.ndarray:
    """Coefficients with which the features sum to one, if any do.

    A train whose cores are these multiples of the identity is constant: the
    point from which training starts.

    Args:
        embedding: What `get` returns; the first feature of a function, and
            of inputs that are embedded already, is taken for the constant.
        dim: Number of features.

    Returns:
        An array of shape `(dim,)`; for `"unit"` of an even `dim`, where the
        sum cannot be one for all inputs, the best in the mean square.
    """
    if embedding == "basis":
        return np.ones(dim)
    if embedding != "unit":
        return np.eye(dim)[0]
    angles = np.linspace(0, math.pi / 2, 8 * dim)[:, None]
    powers = np.arange(dim)
    roots = np.sqrt([math.comb(dim - 1, s) for s in range(dim)])
    features = roots * np.cos(angles) ** (dim - 1 - powers)
    features = features * np.sin(angles) ** powers
    return np.linalg.lstsq(features, np.ones(len(angles)), rcond=None)[0]
