"""Checks of the arguments that all factorized layers share."""

from __future__ import annotations

from tensornet_keras import formats

# Arguments of the Keras layers that a factorized kernel cannot have.
REFUSED = {
    "kernel_constraint": "Use kernel_regularizer, which acts on each core.",
    "recurrent_constraint": "Use recurrent_regularizer, for each core.",
    "quantization_config": "Export with quantization instead.",
}


def refuse(kwargs: dict) -> None:
    """Refuses by name what a factorized kernel cannot have.

    Args:
        kwargs: Keyword arguments of a layer; what is refused is removed.

    Raises:
        ValueError: If one of them has a value.
    """
    for name, advice in REFUSED.items():
        value = kwargs.pop(name, None)
        if value is not None:
            raise ValueError(
                f"A factorized layer has no `{name}`. "
                f"Received: {name}={value!r}. {advice}"
            )


def trainable_format(identifier) -> formats.Format:
    """A format with a rank, as training from scratch needs.

    Args:
        identifier: A format, or its plain-data dict.

    Raises:
        ValueError: If it has no rank.
    """
    if isinstance(identifier, str):
        how = "rank=8" if identifier in formats.CATALOG else "rate=0.1"
        raise ValueError(
            "A layer's format needs a rank. "
            f"Received: format={identifier!r}. Pass for example "
            f"tensornet_keras.formats.get({identifier!r}, {how})."
        )
    format = formats.get(identifier)
    if format.rank is None or isinstance(format.rank, str):
        raise ValueError(
            "A layer's format needs a rank before it is trained. "
            f"Received: format={format!r}. Pass rank= (an int, a tuple or a "
            "share of the dense parameters)."
        )
    return format
