"""Copies of single layers and operations, without weights or graph."""

from __future__ import annotations

import contextlib
import copy
import functools
import types
import warnings

import keras

# Hold no weights, so that a layer and its copy may have one in common.
_STATELESS = (
    types.FunctionType,
    keras.constraints.Constraint,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
)


def config_of(layer) -> dict:
    """The config of a layer, in which functions stand for themselves.

    A config names functions and custom objects, and only registered ones are
    found again by their names.

    Args:
        layer: A Keras layer.

    Raises:
        ValueError: If the layer, or what it holds, has no config.
    """
    config = _config(layer)
    for name in config:
        own = getattr(layer, name, None)
        if isinstance(own, _STATELESS):
            config[name] = own
    return config


def plain_class(layer) -> type:
    """The class of a layer before parts of it were replaced.

    Args:
        layer: A Keras layer.
    """
    return getattr(type(layer), "plain_class", type(layer))


def copied_layer(layer):
    """An unbuilt copy of a layer, with the parts that its class makes.

    Args:
        layer: A Keras layer.

    Raises:
        ValueError: If its config does not make such a layer again.
    """
    if type(layer) is keras.layers.Lambda:
        return _copied_lambda(layer)
    # Some classes deserialize by hand what they have named in their config.
    for config_from in (config_of, _config):
        try:
            return plain_class(layer).from_config(config_from(layer))
        except (TypeError, ValueError) as error:
            problem = error
    raise _not_copyable(layer) from problem


@contextlib.contextmanager
def starting_from_zeros():
    """Context in which layers are built without drawing their weights.

    A weight that is assigned anyway need not be drawn: of a large model that
    takes seconds and memory.

    Returns:
        The context; it yields a function that prepares an unbuilt layer, to
        be built within it.
    """
    prepared = []

    def prepare(layer):
        for each in layer._flatten_layers():
            each.add_weight = functools.partial(_zeros, each.add_weight)
            prepared.append(each)

    try:
        yield prepare
    finally:
        for each in prepared:
            del each.add_weight


def _zeros(add_weight, *args, **kwargs):
    """`Layer.add_weight` with zeros in place of any initializer."""
    if len(args) > 1:
        return add_weight(args[0], "zeros", *args[2:], **kwargs)
    return add_weight(*args, **{**kwargs, "initializer": "zeros"})


def copied_operation(operation):
    """A copy of an operation of `keras.ops` without its place in the graph.

    Args:
        operation: The operation of a Functional model.
    """
    try:
        return type(operation).from_config(operation.get_config())
    except (NotImplementedError, TypeError, ValueError):
        copied = copy.copy(operation)
        copied._inbound_nodes = []
        copied._outbound_nodes = []
        return copied


def refuse_variables(operation) -> None:
    """Refuses calls on variables, which the copy would share.

    Args:
        operation: A layer or an operation of `keras.ops`.

    Raises:
        ValueError: If one of its calls takes a variable.
    """
    for node in operation._inbound_nodes:
        arguments = (node.arguments.args, node.arguments.kwargs)
        for value in keras.tree.flatten(arguments):
            if isinstance(value, keras.Variable):
                raise ValueError(
                    "The layers and operations of a converted model must be "
                    "called on tensors. Received: a call of "
                    f"{operation.name!r} on the variable {value.path!r}. "
                    "Move the call into a layer that owns the variable."
                )


def _config(layer) -> dict:
    with warnings.catch_warnings():
        # Nothing is written to a file, where a lambda would be unsafe.
        warnings.filterwarnings("ignore", "The object being serialized")
        try:
            return plain_class(layer).get_config(layer)
        except NotImplementedError as error:
            raise _not_copyable(layer) from error


def _not_copyable(layer) -> ValueError:
    return ValueError(
        "Every layer of a converted model must be copyable from its config. "
        f"Received: layer {layer.path or layer.name!r}, a "
        f"{type(layer).__name__} that is not. Give its class a `get_config` "
        "with all its arguments, and register custom classes inside it with "
        "`keras.saving.register_keras_serializable`."
    )


def _copied_lambda(layer):
    """A `Lambda` of the same functions, for its config may hold no lambda."""
    return keras.layers.Lambda(
        layer.function,
        output_shape=layer._output_shape,
        mask=layer.mask,
        arguments=layer.arguments,
        name=layer.name,
        dtype=layer.dtype_policy,
    )
