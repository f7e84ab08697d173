"""The compile settings of a model, for its copy."""

from __future__ import annotations

import contextlib
import warnings

import keras


@contextlib.contextmanager
def uncompiled(model):
    """Keeps `clone_model` from compiling, for it cannot take every loss.

    Args:
        model: The model that is cloned; compiled again on exit.
    """
    compiled = [
        each
        for each in model._flatten_layers()
        if isinstance(each, keras.Model) and each.compiled
    ]
    for each in compiled:
        each.compiled = False
    try:
        yield
    finally:
        for each in compiled:
            each.compiled = True


def carry_compile_settings(source, copied) -> None:
    """Compiles a copied model like its source, with a fresh optimizer.

    Losses are taken over as they are, metrics and the optimizer made anew
    from their configs, with the learning rate of now.

    Args:
        source: The source model.
        copied: Its copy.
    """
    if not source.compiled:
        return
    settings = {**source._compile_config.config, "optimizer": source.optimizer}
    try:
        copied.compile(**keras.tree.map_structure(_fresh, settings))
        copied.optimizer.build(copied.trainable_variables)
    except (NotImplementedError, TypeError, ValueError) as error:
        warnings.warn(
            f"The compile settings of {source.name!r} could not be carried "
            f"over: {error} Compile the new model yourself.",
            stacklevel=2,
        )


def _fresh(setting):
    """A new optimizer or metric for an old one, for they own variables."""
    if isinstance(setting, (keras.Metric, keras.Optimizer)):
        return type(setting).from_config(setting.get_config())
    return setting
