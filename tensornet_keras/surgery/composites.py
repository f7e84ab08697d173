"""Composites: copies of layers that own other layers, with some replaced.

Multi-head attention, wrappers, a user's blocks and subclassed models make
their parts themselves, in `__init__`, in `build` or when they are first
called. A copy is made from the config, and parts are replaced in it once they
are there. It is of a subclass of the source's class whose config names what
was replaced, so that a saved copy is found again.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

import keras

from tensornet_keras import registration
from tensornet_keras.surgery.building import run_or_build
from tensornet_keras.surgery.layer_copies import copied_layer, plain_class
from tensornet_keras.surgery.parts import (
    Path,
    follow,
    has_graph,
    is_graph,
    placed_parts,
    replace,
)
from tensornet_keras.surgery.twins import TWINS, is_factorized

# Layers whose configs hold the layers they own, and the attributes of these.
_HOLDERS = (keras.layers.TimeDistributed, keras.layers.Bidirectional)
_HELD = ("layer", "forward_layer", "backward_layer")


def is_composite(layer) -> bool:
    """Whether a layer is one to enter: it owns layers and is not a graph.

    Loops are not entered, and layers that have a twin are not.

    Args:
        layer: A Keras layer.
    """
    if is_graph(layer) or isinstance(layer, keras.layers.RNN):
        return False
    if type(layer) in TWINS or is_factorized(layer):
        return False
    return bool(placed_parts(layer))


def leaves(layer) -> Iterator[tuple[Path, keras.layers.Layer]]:
    """The innermost parts of a composite layer, with a path to each.

    Args:
        layer: A composite layer.
    """
    for path, part in placed_parts(layer):
        if has_graph(part) or is_composite(part):
            for rest, leaf in leaves(part):
                yield (*path, *rest), leaf
        else:
            yield path, part


class Composite:
    """A copy of a composite layer whose parts are replaced as they appear.

    Args:
        source: The composite layer.
        wanted: What takes the place of parts, by path.
        prepare: Called on the unbuilt copy.

    Attributes:
        copy: The copy, unbuilt unless it is a graph.
    """

    def __init__(
        self,
        source,
        wanted: dict[Path, keras.layers.Layer],
        prepare: Callable[[keras.layers.Layer], None],
    ):
        self.copy = copied_layer(source)
        prepare(self.copy)
        self._take_names(source)
        self._settle = _Settling(self.copy, wanted)
        self._settle()

    @staticmethod
    def from_config(config: dict) -> keras.layers.Layer:
        """A layer in which parts were replaced, as its config tells.

        Args:
            config: The config of its class and those of the parts.
        """
        found = keras.saving.deserialize_keras_object(config["source"])
        wanted = {
            tuple(path): keras.saving.deserialize_keras_object(part)
            for path, part in config["parts"]
        }
        _Settling(found, wanted, loads=True)()
        return found

    @property
    def stand_ins(self) -> dict[int, keras.layers.Layer]:
        """Parts that are what was wanted already, by the id of the latter."""
        return self._settle.stand_ins

    @property
    def replaced(self) -> frozenset[int]:
        """The ids of the parts that stand for others, and of stand-ins."""
        stand_ins = map(id, self.stand_ins.values())
        return frozenset((*self._settle.placed, *stand_ins))

    def build_like(self, source) -> None:
        """Builds the copy, if that was not done yet.

        Args:
            source: The composite layer.

        Raises:
            ValueError: If Keras cannot build it from the shapes it remembers,
                or a part that was to be replaced never appeared.
        """
        problem = None
        if not self.copy.built:
            problem = run_or_build(self.copy, source)
        self._check_settled()
        if not (self.copy.built or _has_parts_like(self.copy, source)):
            raise ValueError(
                "A subclassed model must be buildable from its config and "
                "the shapes of its inputs. Received: "
                f"{source.name!r}, a {type(source).__name__} that is not. "
                "Give it a `build` of all shapes that `call` takes, or a "
                "`get_config` with all its arguments."
            ) from problem
        self.copy._build_shapes_dict = source._build_shapes_dict
        self.copy.built = True

    def _check_settled(self) -> None:
        """Refuses a copy in which a part to be replaced never appeared.

        Raises:
            ValueError: If there is one.
        """
        left = self._settle.left
        if left:
            names = ", ".join(map(written, left))
            raise ValueError(
                "The parts of a converted layer must be made in its "
                "`__init__` or `build`. Received: "
                f"{self.copy.name!r}, a {type(self.copy).__name__} whose "
                f"copy has no {names}. Leave them out with filters=."
            )

    def _take_names(self, source) -> None:
        """The copy and its parts so far get names and policies of dtypes."""
        pairs = [(self.copy, source)]
        for path, part in _every_part(source):
            pairs.append((follow(self.copy, path)[0], part))
        for ours, theirs in pairs:
            alike = type(ours) is plain_class(theirs)
            if alike and (theirs is source or not ours.built):
                ours.name = theirs.name
            if alike and not ours.built:
                ours._dtype_policy = theirs.dtype_policy


def parts_apart(source) -> dict[Path, keras.layers.Layer]:
    """The parts of a converted composite that its class would not make.

    Args:
        source: A composite layer.
    """
    paths = vars(source).get("_replaced_paths", ())
    return {path: follow(source, path)[0] for path in paths}


def written(path: Path) -> str:
    """A path as it would be written in Python.

    Args:
        path: A path.
    """
    first, *rest = path
    return str(first) + "".join(
        f".{key}" if isinstance(key, str) else f"[{key}]" for key in rest
    )


class _Settling:
    """Replaces parts of a layer as soon as they are there."""

    def __init__(self, root, wanted, loads=False):
        self.root = root
        # What is loaded is of the class that was saved, whatever its config
        # makes by itself.
        self.loads = loads
        self.left = dict(wanted)
        self.stand_ins: dict[int, keras.layers.Layer] = {}
        self.placed: dict[int, keras.layers.Layer] = {}
        self._waiting: set[int] = set()

    def __call__(self) -> None:
        for path, new in list(self.left.items()):
            old, owner = follow(self.root, path)
            if old is not None:
                del self.left[path]
                self._put(path, old, new)
            elif not owner.built and id(owner) not in self._waiting:
                self._waiting.add(id(owner))
                _after_build(owner, self)

    def _put(self, path, old, new) -> None:
        if old is new:
            # A shared part that another path has led to.
            return
        if _is_alike(old, new):
            self.stand_ins[id(new)] = old
            if not self.loads:
                return
        else:
            replace(self.root, old, new)
            self.placed[id(new)] = new
        if _in_configs(self.root, path):
            return
        if not hasattr(self.root, "_replaced_paths"):
            object.__setattr__(self.root, "_replaced_paths", [])
            self.root.__class__ = _converted(plain_class(self.root))
        self.root._replaced_paths.append(path)


def _every_part(layer) -> Iterator[tuple[Path, keras.layers.Layer]]:
    for path, part in placed_parts(layer):
        yield path, part
        for rest, inner in _every_part(part):
            yield (*path, *rest), inner


def _has_parts_like(layer, source) -> bool:
    """Whether the parts are there, and built, that a source has."""
    parts = [(path, part.built) for path, part in _every_part(source)]
    return parts == [(path, part.built) for path, part in _every_part(layer)]


def _in_configs(root, path: Path) -> bool:
    """Whether the config of a layer holds that of a part as it is."""
    owners = (follow(root, path[:end])[0] for end in range(len(path)))
    return all(
        is_graph(owner)
        or (isinstance(owner, _HOLDERS) and key in _HELD)
        or not isinstance(owner, keras.layers.Layer)
        for owner, key in zip(owners, path, strict=True)
    )


def _is_alike(old, new) -> bool:
    """Whether one layer can stand for another that has no weights yet."""
    return (
        type(old) is type(new)
        and not new._inbound_nodes
        and not new.built
        and _arguments(old) == _arguments(new)
    )


def _arguments(layer) -> dict:
    config = layer.get_config()
    config.pop("name", None)
    return config


def _after_build(layer, then) -> None:
    """Calls a function once a layer has been built."""
    build = layer.build

    @functools.wraps(build)
    def build_and_then(*args, **kwargs):
        # Past Keras' own __setattr__, which tracks what a layer is given.
        object.__setattr__(layer, "build", build)
        build(*args, **kwargs)
        then()

    object.__setattr__(layer, "build", build_and_then)


@functools.lru_cache(maxsize=256)
def _converted(base: type[keras.layers.Layer]) -> type[keras.layers.Layer]:
    """The subclass whose config also names what was replaced."""

    class Converted(base):
        plain_class = base

        def get_config(self):
            return {
                "source": _serialized_as(self, base),
                "parts": [
                    [list(path), _serialized_as(part, type(part))]
                    for path, part in parts_apart(self).items()
                ],
            }

        @classmethod
        def from_config(cls, config):
            return Composite.from_config(config)

    Converted.__name__ = Converted.__qualname__ = f"Converted{base.__name__}"
    register = keras.saving.register_keras_serializable
    return register("tensornet_keras", name=registration.COMPOSITE)(Converted)


def _serialized_as(layer, kind) -> dict:
    """A layer, as if it were of a class, as data that leaves it unbuilt."""
    with _as(layer, kind):
        data = keras.saving.serialize_keras_object(layer)
    for name in ("build_config", "compile_config"):
        data.pop(name, None)
    return data


@contextlib.contextmanager
def _as(layer, kind) -> Iterator[None]:
    own = type(layer)
    layer.__class__ = kind
    try:
        yield
    finally:
        layer.__class__ = own
