"""Factorized layers with other ranks: twins of their own kind."""

from __future__ import annotations

import numpy as np
from keras import ops

from tensornet_keras import surgery
from tensornet_keras.conversion.factorization import Factorization
from tensornet_keras.conversion.report import REPLACED, LayerRow
from tensornet_keras.conversion.selection import path_of
from tensornet_keras.decomposition import Decomposition
from tensornet_keras.decomposition.unfolding import working_dtype
from tensornet_keras.surgery import twins


def cores_of(kernel) -> list[np.ndarray]:
    """The cores of a kernel, in no shorter a dtype than float32.

    Args:
        kernel: What has the cores.
    """
    return [_array(core) for core in kernel.cores]


def dense_of(kernel) -> np.ndarray:
    """The weight that the cores and an adapter stand for.

    Args:
        kernel: What has the cores and their format.
    """
    dense = Decomposition(kernel.format, cores_of(kernel), 0.0).to_dense()
    if not kernel.lora_enabled:
        return dense
    factors = [_array(factor) for factor in kernel.adapter_factors]
    return dense + Decomposition(kernel.adapter, factors, 0.0).to_dense()


def _array(core) -> np.ndarray:
    array = ops.convert_to_numpy(core)
    return array.astype(working_dtype(array.dtype))


def row(layer, found: Factorization, params_after: int) -> LayerRow:
    """The line of the report.

    Args:
        layer: The factorized layer.
        found: What stands for its kernels.
        params_after: Parameters of the layer that takes its place.
    """
    return LayerRow(
        path_of(layer),
        type(layer).__name__,
        REPLACED,
        "",
        layer.count_params(),
        params_after,
        found.formats[0].name,
        ", ".join(format.describe_modes() for format in found.formats),
        tuple(rank for format in found.formats for rank in format.rank),
        found.relative_error,
        found.converged,
    )


def twin(layer, formats):
    """The unbuilt layer of the same kind with kernels of other formats.

    Args:
        layer: The factorized layer.
        formats: The bound format of each of its kernels.
    """
    config = surgery.config_of(layer)
    # What was the fastest for the old ranks need not be for the new ones;
    # an adapter of the old kernel is none of the new one.
    for name in ("tuned_plans", *twins.OF_ADAPTERS):
        config.pop(name, None)
    if "format" in config:
        names = ("format", "recurrent_format")
        for name, format in zip(names, formats, strict=False):
            config[name] = format.to_config()
    else:
        config["rank"] = formats[0].rank
    return type(layer).from_config(config)


def fill(twin, layer, cores) -> None:
    """Gives a built twin its cores and the rest of its layer.

    Args:
        twin: The built twin.
        layer: The factorized layer.
        cores: One array per core, of all kernels.
    """
    twin.set_cores(cores)
    twins.fill_bias(twins.holder(twin), twins.holder(layer))
    twins.fill_activation(twin, layer)
