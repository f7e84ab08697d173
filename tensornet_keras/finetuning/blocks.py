"""Blocks: where a graph can be cut so that one tensor carries everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from tensornet_keras.surgery import twins
from tensornet_keras.surgery.graphs import levels_of
from tensornet_keras.surgery.parts import has_graph


@dataclass(frozen=True, eq=False)
class Block:
    """A part of two models with the same graph, between two cuts.

    Args:
        name: What ends it.
        start: Its input in the student, `None` for the model's.
        end: Its output in the student.
        teacher_end: Its output in the teacher.
    """

    name: str
    start: object | None
    end: object
    teacher_end: object


def blocks_of(
    student, teacher, names: Sequence[str] | None = None
) -> list[Block]:
    """The blocks of a model, front to back.

    Args:
        student: A Sequential or Functional model.
        teacher: The model it was converted from.
        names: The layers that end them; `None` to find them.

    Raises:
        ValueError: If the models have no graph, or not the same one, or a
            name is not one of a layer.
    """
    for model, role in ((student, "model"), (teacher, "teacher")):
        if not has_graph(model):
            raise ValueError(
                "Blockwise training needs Sequential or Functional models. "
                f"Received: {role}={model.name!r}, a {type(model).__name__}. "
                "Leave the phase out, EndToEnd takes any model."
            )
    if names is None:
        ends = [
            (name, cut, theirs)
            for (name, cut), (_, theirs) in _aligned(
                _found(student), _cuts(teacher), teacher
            )
        ]
    else:
        ends = [
            (name, _output(student, name), _output(teacher, name))
            for name in names
        ]
        _check_cuts(student, ends)
    last = ends[-1][1] if ends else None
    # An output that is given twice is one to train, and one that is a cut has
    # been trained by then.
    places = {id(x): place for place, x in enumerate(student.outputs)}
    if len(places) > 1:
        places.pop(id(last), None)
    outputs = [
        [model.outputs[place] for place in places.values()]
        for model in (student, teacher)
    ]
    final = ("outputs", *outputs)
    if len(student.outputs) > 1 or last is not student.outputs[0]:
        ends.append(final)
    starts = [None, *(end for _, end, _ in ends)]
    return [
        Block(name, start, end, theirs)
        for start, (name, end, theirs) in zip(starts, ends, strict=False)
    ]


def _output(model, name: str):
    try:
        return model.get_layer(name).output
    except (ValueError, AttributeError) as error:
        names = ", ".join(layer.name for layer in model.layers)
        raise ValueError(
            "`blocks` must name layers of the model and of the teacher that "
            f"are called once. Received: {name!r}. The layers of "
            f"{model.name!r} are: {names}."
        ) from error


def _check_cuts(model, ends) -> None:
    """Refuses blocks whose ends do not carry all that comes behind."""
    cuts = {id(tensor) for _, tensor in _cuts(model).values()}
    if len(model.outputs) == 1:
        cuts.add(id(model.outputs[0]))
    for name, tensor, _ in ends:
        if id(tensor) not in cuts:
            raise ValueError(
                "A block must end where one tensor carries everything, and "
                "not between two calls of one layer. "
                f"Received: blocks with {name!r}, past which other tensors "
                "lead. Name a layer behind the place where they meet."
            )


def _aligned(ours: dict, theirs: dict, teacher):
    """The cuts that were chosen, with those of the teacher at their depth."""
    for depth, own in ours.items():
        other = theirs.get(depth)
        if other is None or other[1].shape != own[1].shape:
            raise ValueError(
                "Blockwise training needs a teacher with the graph of the "
                f"model. Received: teacher={teacher.name!r}, which has no "
                f"output like that of {own[0]!r}. Pass the model that was "
                "converted, or name the layers in blocks=."
            )
        yield own, other


def _found(model) -> dict[int, tuple[str, object]]:
    """The cuts in front of factorized layers, by their depths."""
    cuts = _cuts(model)
    chosen, filled = {}, False
    last = None  # The last cut behind a factorized layer of the block.
    for depth, nodes in levels_of(model):
        factorized = any(_has_factorized(node.operation) for node in nodes)
        if factorized and last is not None:
            chosen[last] = cuts[last]
            filled, last = False, None
        filled = filled or factorized
        if filled and depth in cuts:
            last = depth
    return chosen


def _cuts(model) -> dict[int, tuple[str, object]]:
    """The names and tensors of all places where one tensor is alive."""
    levels = levels_of(model)
    depth_of = {
        id(tensor): depth
        for depth, nodes in levels
        for node in nodes
        for tensor in node.outputs
    }
    # An input is there from the start, wherever it is needed.
    first = levels[0][0]
    depth_of |= {id(tensor): first for tensor in model.inputs}
    needed: dict[int, int] = dict.fromkeys(map(id, model.outputs), -1)
    tensors = {}
    for depth, nodes in levels:
        for node in nodes:
            for tensor in node.input_tensors:
                least = min(depth, needed.get(id(tensor), depth))
                needed[id(tensor)] = least
                tensors[id(tensor)] = tensor
    found = {}
    for depth, _ in levels:
        alive = [
            key
            for key, until in needed.items()
            if until < depth <= depth_of.get(key, -1)
        ]
        if len(alive) == 1 and alive[0] in tensors:
            tensor = tensors[alive[0]]
            maker = tensor._keras_history.operation
            if not _is_called_next(maker, tensor, levels):
                found[depth] = (maker.name, tensor)
    return found


def _is_called_next(operation, tensor, levels) -> bool:
    """Whether what made a tensor takes it too: Keras cannot cut there."""
    return any(
        node.operation is operation
        and any(each is tensor for each in node.input_tensors)
        for _, nodes in levels
        for node in nodes
    )


def _has_factorized(operation) -> bool:
    if not isinstance(operation, keras.layers.Layer):
        return False
    return any(map(twins.is_factorized, operation._flatten_layers()))
