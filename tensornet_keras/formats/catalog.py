"""The catalog of formats: one line a format, by name.

A format of your own joins with `register`, and is then found in layer
configs, in `convert` and by the laws of the test suite.
"""

from __future__ import annotations

from tensornet_keras.formats.block_tensor_train import BlockTensorTrain
from tensornet_keras.formats.cp import CP
from tensornet_keras.formats.einsum_network import EinsumNetwork
from tensornet_keras.formats.format import Format
from tensornet_keras.formats.kronecker import Kronecker
from tensornet_keras.formats.low_rank import LowRank
from tensornet_keras.formats.merged import Merged
from tensornet_keras.formats.monarch import Monarch
from tensornet_keras.formats.spectrum_preserving import METHODS, PaperMethod
from tensornet_keras.formats.tensor_ring import TensorRing
from tensornet_keras.formats.tensor_train import TensorTrain
from tensornet_keras.formats.tucker import Tucker

CATALOG: dict[str, type[Format]] = {
    BlockTensorTrain.name: BlockTensorTrain,
    CP.name: CP,
    EinsumNetwork.name: EinsumNetwork,
    Kronecker.name: Kronecker,
    LowRank.name: LowRank,
    Monarch.name: Monarch,
    PaperMethod.name: PaperMethod,
    TensorRing.name: TensorRing,
    TensorTrain.name: TensorTrain,
    Tucker.name: Tucker,
}
# Found in the configs of frozen layers; nobody writes it by hand.
_BOUND_ONLY: dict[str, type[Format]] = {Merged.name: Merged}


def register(format_class: type[Format]) -> type[Format]:
    """Adds a format class to the catalog; usable as a decorator.

    Args:
        format_class: A final subclass of `Format` with a `name`.

    Returns:
        The class, unchanged.

    Raises:
        TypeError: If it is no subclass of `Format`.
        ValueError: If another class has its name.
    """
    if not (
        isinstance(format_class, type) and issubclass(format_class, Format)
    ):
        raise TypeError(
            "Only subclasses of Format can be registered. "
            f"Received: format_class={format_class!r}. "
            "Derive it from tensornet_keras.formats.Format."
        )
    name = format_class.name
    known = CATALOG.get(name) or _BOUND_ONLY.get(name)
    if known is not None and known is not format_class:
        raise ValueError(
            "The name of a format must be unique. "
            f"Received: name={name!r}, which {known.__name__} "
            "has already. Choose another name."
        )
    CATALOG[name] = format_class
    return format_class


def get(identifier, **kwargs) -> Format:
    """A format from its catalog name, its plain-data dict or itself.

    Args:
        identifier: A `Format`, a catalog name such as `"tt"`, or the dict
            that `Format.to_config` returns. With `rate=`, a method of Su et
            al. 2018: `"svd"`, `"cp"`, `"tk"`, `"tt"`, `"rcp"`, `"rtk"` or
            `"rtt"`; see `PaperMethod`.
        **kwargs: Arguments of the format, with a catalog name only.

    Returns:
        The format.

    Raises:
        ValueError: If the name is unknown.
        TypeError: If the identifier is of another type, or has arguments
            beside it and is not a name.

    Example:

    >>> import tensornet_keras as tk
    >>> tk.formats.get("tt", rank=8)
    TensorTrain(rank=8)
    """
    if isinstance(identifier, str):
        if "rate" in kwargs or identifier in METHODS.keys() - CATALOG.keys():
            return PaperMethod(identifier, **kwargs)
        return _class_named(identifier)(**kwargs)
    if kwargs:
        raise TypeError(
            "Arguments go with a catalog name only. "
            f"Received: {identifier!r} with {sorted(kwargs)}. "
            f"Pass a name, one of {sorted(CATALOG)}."
        )
    if isinstance(identifier, Format):
        return identifier
    if isinstance(identifier, dict) and "name" in identifier:
        name = identifier["name"]
        known = _BOUND_ONLY.get(name) or _class_named(name)
        return known.from_config(identifier)
    raise TypeError(
        "A format must be a Format, a catalog name or a format's dict. "
        f"Received: format={identifier!r}. Pass for example "
        "tensornet_keras.formats.TensorTrain(rank=8)."
    )


def _class_named(name: str) -> type[Format]:
    if name not in CATALOG:
        raise ValueError(
            f"The catalog has the formats {sorted(CATALOG)}. "
            f"Received: format={name!r}. Choose one of them, or register "
            "your own."
        )
    return CATALOG[name]
