"""Cores in and out as plain NumPy arrays."""

from __future__ import annotations

import numpy as np
from keras import ops

from tensornet_keras.decomposition import Decomposition
from tensornet_keras.formats import Format
from tensornet_keras.layers import FactorizedLayer


def to_numpy(source, cores=None) -> tuple[Format, tuple[np.ndarray, ...]]:
    """The bound format and the cores of whatever has them.

    Args:
        source: A built factorized layer, a decomposition, or the bound
            format of `cores`.
        cores: Arrays, tensors or variables in the shapes of
            `source.core_shapes`, with a format only.

    Returns:
        The bound format, and one NumPy array per core: copies.

    Raises:
        TypeError: If the source is none of these, or cores are missing or
            given twice.
        ValueError: If the layer is not built or has an adapter, the format
            is unbound, or the cores are of other shapes.

    Example:

    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TTDense(16, rank=2)
    >>> layer.build((None, 16))
    >>> format, cores = tk.interop.to_numpy(layer)
    >>> [core.shape for core in cores]
    [(4, 4, 2), (2, 4, 4)]
    """
    if isinstance(source, Format) and cores is not None:
        given = Decomposition(source, tuple(map(_array, cores)), 0.0)
        return given.format, given.cores
    if cores is None and isinstance(source, Decomposition):
        return source.format, tuple(np.array(core) for core in source.cores)
    if cores is None and isinstance(source, FactorizedLayer):
        if not source.built:
            raise ValueError(
                "A layer has cores once it is built. "
                f"Received: layer {source.name!r}, which is not. "
                "Call the layer, or its `build`, first."
            )
        if source.lora_enabled:
            raise ValueError(
                "Cores alone do not have what an adapter adds to them. "
                f"Received: layer {source.name!r}, which has one. "
                "Pass the model to tensornet_keras.merge first."
            )
        return source.format, tuple(map(_array, source.cores))
    raise TypeError(
        "Cores are those of a layer, of a decomposition, or of a format "
        f"beside which they are passed. Received: source={source!r}, "
        f"cores={'None' if cores is None else 'given'}. "
        "Pass to_numpy(layer), to_numpy(result) or to_numpy(format, cores)."
    )


def from_numpy(format: Format, cores) -> Decomposition:
    """A decomposition of these cores, checked against their format.

    A built layer of the same format takes them over with
    `layer.set_cores(result.cores)`.

    Args:
        format: The bound format.
        cores: One array per core, in the shapes of `format.core_shapes`.

    Returns:
        A `Decomposition`; its relative error is 0, with respect to the
        weight that the cores stand for.

    Raises:
        ValueError: If the format is unbound or a shape is another.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> format = tk.formats.LowRank(rank=2).bind((4,), (3,))
    >>> cores = [np.ones((4, 2)), np.ones((2, 3))]
    >>> float(tk.interop.from_numpy(format, cores).to_dense()[0, 0])
    2.0
    """
    return Decomposition(format, tuple(map(_array, cores)), 0.0)


def _array(core) -> np.ndarray:
    if isinstance(core, np.ndarray):
        return np.array(core)
    return np.array(ops.convert_to_numpy(core))
