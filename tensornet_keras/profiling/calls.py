"""Which layers a forward pass calls, on what."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import keras

from tensornet_keras.layer_calls import holds_numbers, wrapped_call
from tensornet_keras.profiling import multiply_adds

_WHOLE = (keras.layers.RNN, keras.layers.TimeDistributed)


@dataclass(frozen=True)
class Call:
    """One call of a layer: what it was given and what came back.

    `input_shape` is that of the first tensor given; `output_shape` is a tuple
    of tuples if the layer returns several. `repeatable` says whether the
    tensors hold numbers, so that the call can be made again: those inside a
    loop that the backend traces do not.
    """

    args: tuple
    kwargs: dict
    input_shape: tuple[int, ...]
    output_shape: tuple
    repeatable: bool

    @property
    def tensors(self) -> list:
        """The tensors given, in the order of `keras.tree.flatten`."""
        return _tensors((self.args, self.kwargs))


@dataclass(eq=False)
class Recording:
    """A layer and its calls in one forward pass.

    `weights` are those of no inner layer and of no layer recorded earlier, so
    that every weight is counted once.
    """

    layer: keras.layers.Layer
    innermost: bool
    weights: list
    calls: list[Call] = field(default_factory=list)


def recorded(model, inputs, mask=None) -> list[Recording]:
    """Runs a model once and records the calls of its layers.

    Recorded are the innermost layers, and the composite ones whose own code
    may compute something: all but models and wrappers that only pass tensors
    from layer to layer. A recurrent layer and `TimeDistributed` are taken as a
    whole, for they run their inner layer inside a loop of the backend.

    Args:
        model: A built Keras model.
        inputs: Arrays as the model takes them.
        mask: A mask that the call is given, or `None`.

    Returns:
        A `Recording` for each layer in the order of the first calls, then
        the layers that have weights and were not called.
    """
    recordings = _recordings(model)
    called = []
    with contextlib.ExitStack() as stack:
        for recording in recordings:
            stack.enter_context(_recording_calls(recording, called))
        how = {} if mask is None else {"mask": mask}
        model(inputs, training=False, **how)
    return called + [
        each for each in recordings if not each.calls and each.weights
    ]


def recorded_inside(model, inputs, mask=None) -> list[Recording]:
    """As `recorded`, with what `TimeDistributed` calls in place of itself.

    The layers inside are called once more, on all steps at once.

    Args:
        model: As in `recorded`; or a layer.
        inputs: As in `recorded`.
        mask: As in `recorded`.
    """
    found = {}
    for each in recorded(model, inputs, mask):
        own = [each]
        is_loop = isinstance(each.layer, keras.layers.TimeDistributed)
        # What another loop has traced holds no numbers to call it on.
        if is_loop and all(call.repeatable for call in each.calls):
            own = [
                inner
                for call in each.calls
                for inner in recorded_inside(
                    each.layer.layer, *_steps(each.layer.layer, call)
                )
            ]
        for inner in own:
            known = found.setdefault(id(inner.layer), inner)
            if known is not inner:
                known.calls += inner.calls
    return list(found.values())


def _steps(layer, call: Call) -> tuple:
    """What a `TimeDistributed` was given, its steps as examples; the mask."""

    def together(tensor):
        batch, steps, *rest = tensor.shape
        return keras.ops.reshape(tensor, (batch * steps, *rest))

    mask = call.kwargs.get("mask")
    if mask is None or not layer._call_has_mask_arg:
        return together(call.tensors[0]), None
    return together(call.tensors[0]), together(mask)


def _recordings(model):
    """Every layer that is reported, each once, with its weights."""
    found, counted = {}, set()

    def visit(layer):
        innermost = _is_innermost(layer)
        inner = [] if innermost else _inner_layers(layer)
        for each in inner:
            visit(each)
        weights = [w for w in layer.weights if id(w) not in counted]
        counted.update(id(weight) for weight in weights)
        if id(layer) not in found and (weights or not _only_passes_on(layer)):
            found[id(layer)] = Recording(layer, innermost, weights)

    visit(model)
    return list(found.values())


def _is_innermost(layer):
    known = multiply_adds.is_known(layer) or isinstance(layer, _WHOLE)
    return known or not _inner_layers(layer)


def _only_passes_on(layer):
    if isinstance(layer, keras.layers.InputLayer | keras.layers.Bidirectional):
        return True
    # Functional and Sequential models, which alone declare inputs.
    return isinstance(layer, keras.Model) and bool(
        getattr(layer, "inputs", None)
    )


def _inner_layers(layer):
    return layer._flatten_layers(include_self=False, recursive=False)


def _recording_calls(recording, called):
    """Notes each call of one layer object while the context is open."""

    def recording_all(call):
        def recording_call(*args, **kwargs):
            if recording not in called:
                called.append(recording)
            outputs = call(*args, **kwargs)
            recording.calls.append(_call(args, kwargs, outputs))
            return outputs

        return recording_call

    return wrapped_call(recording.layer, recording_all)


def _call(args, kwargs, outputs):
    tensors = _tensors((args, kwargs))
    returned = tuple(_shape(tensor) for tensor in _tensors(outputs))
    return Call(
        args,
        kwargs,
        input_shape=_shape(tensors[0]) if tensors else (),
        output_shape=returned[0] if len(returned) == 1 else returned,
        repeatable=all(map(holds_numbers, tensors)),
    )


def _tensors(structure):
    return [
        leaf
        for leaf in keras.tree.flatten(structure)
        if keras.ops.is_tensor(leaf)
    ]


def _shape(tensor):
    return tuple(tensor.shape)
