"""Building: the variables of a copied layer, without any data."""

from __future__ import annotations

import keras

from tensornet_keras.surgery.layer_copies import plain_class


def run_or_build(copied, source) -> Exception | None:
    """Builds a copy on the shapes that its source was built with.

    Args:
        copied: The unbuilt copy.
        source: The built layer.

    Returns:
        What went wrong when a model without a `build` was run, or `None`.
    """
    config = source.get_build_config() or {}
    if isinstance(source, keras.Model) and _builds_by_running(source):
        return _run(copied, config)
    copied.build_from_config(config)
    return None


def _builds_by_running(model) -> bool:
    """Whether a model has no `build` of its own."""
    return plain_class(model).build in (keras.Model.build, keras.Layer.build)


def _run(model, config: dict) -> Exception | None:
    """Runs a model on the shapes it was built with, so that parts are built.

    Of the types only the shapes are known: numbers, else ids.

    Returns:
        What went wrong, if it did.
    """
    problem = None
    for dtype in ("float32", "int32"):

        def tensor(shape, dtype=dtype):
            # Of a batch that is not known, JAX cannot compare sizes.
            return keras.KerasTensor((shape[0] or 1, *shape[1:]), dtype)

        named = {
            name.removesuffix("_shape"): keras.tree.map_shape_structure(
                tensor, shape
            )
            for name, shape in (config.get("shapes_dict") or {}).items()
        }
        first = config.get("input_shape")
        given = (
            ()
            if first is None
            else (keras.tree.map_shape_structure(tensor, first),)
        )
        try:
            model.compute_output_spec(*given, **named)
            return None
        except Exception as error:  # noqa: BLE001
            problem = error
    return problem
