"""Parameters, bytes, multiply-adds and measured time of any Keras model."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass

import keras
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from tensornet_keras import model_inputs, reporting, validation
from tensornet_keras.profiling import multiply_adds
from tensornet_keras.profiling.calls import recorded
from tensornet_keras.profiling.timing import median_seconds, model_seconds

_UNKNOWN = "–"


@dataclass(frozen=True)
class ProfileRow:
    """What one layer costs; `None` for what cannot be known.

    `params` and `bytes` count the layer's own weights once. `multiply_adds`
    and `seconds` are sums over its `calls` in one forward pass.
    `output_shape` is a tuple of tuples where a layer returns several.
    """

    path: str
    kind: str
    output_shape: tuple | None
    params: int
    bytes: int
    calls: int
    multiply_adds: int | None
    seconds: float | None


@dataclass(frozen=True)
class Profile(reporting.Report):
    """What a model costs, layer by layer and as a whole.

    Print it to read it as a table. `model_seconds` is measured on the whole
    model, which also does what no layer does, and runs its layers together.
    """

    model: str
    batch_size: int
    rows: tuple[ProfileRow, ...]
    model_seconds: float

    @property
    def params(self) -> int:
        """Numbers in all weights, a shared layer's once."""
        return sum(row.params for row in self.rows)

    @property
    def bytes(self) -> int:
        """Bytes of all weights."""
        return sum(row.bytes for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiplications of one forward pass, of the layers counted."""
        return sum(row.multiply_adds or 0 for row in self.rows)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Paths of the layers that `multiply_adds` leaves out."""
        return tuple(row.path for row in self.rows if row.multiply_adds is None)

    @property
    def layer_seconds(self) -> float:
        """Sum of the layers' own times."""
        return sum(row.seconds or 0.0 for row in self.rows)

    def table(self) -> Table:
        """The profile as a `rich` table."""
        table = Table(
            title=escape(f"{self.model}, batch size {self.batch_size}"),
            caption=f"whole model: {_milliseconds(self.model_seconds)} ms",
            show_footer=True,
        )
        more = "+" if self.uncounted else ""
        table.add_column("layer", "total", overflow="fold")
        table.add_column("kind")
        table.add_column("output shape")
        for title, total in (
            ("params", f"{self.params:,}"),
            ("bytes", f"{self.bytes:,}"),
            ("multiply-adds", f"{self.multiply_adds:,}{more}"),
            ("ms", _milliseconds(self.layer_seconds)),
        ):
            table.add_column(title, total, justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*map(escape, _cells(row)))
        return table

    def to_dict(self) -> dict:
        """The profile as plain data, totals included."""
        return {
            **asdict(self),
            "params": self.params,
            "bytes": self.bytes,
            "multiply_adds": self.multiply_adds,
            "uncounted": self.uncounted,
            "layer_seconds": self.layer_seconds,
        }


def profile(model, batch_size=1, *, sample=None) -> Profile:
    """Measures what every layer of a Keras model costs.

    One forward pass records which layers are called on what; then each is
    compiled and timed on its own on the inputs it had, and so is the model.
    A time includes what it takes to launch a compiled function, so the sum
    over many small layers is more than the model takes.

    Rows are the innermost layers. A composite layer that may compute
    something itself has a row for that, with what cannot be known left open;
    what a model does outside of its layers has none.

    Args:
        model: A built Keras model.
        batch_size: Number of examples in the forward pass.
        sample: Inputs to run on, as the model takes them, with a batch axis;
            its batch is the batch size then. Needed where sizes other than the
            batch are left open. `None` for random floats and integers of zero.

    Returns:
        A `Profile`.

    Raises:
        TypeError: If `model` is no Keras model or `batch_size` no integer.
        ValueError: If the model is not built, `batch_size` is below 1, or
            `sample` is missing or does not fit.

    Example:
        >>> import keras
        >>> import tensornet_keras as tk
        >>> model = keras.Sequential(
        ...     [keras.Input((8,)), keras.layers.Dense(4, name="dense")]
        ... )
        >>> costs = tk.profile(model, batch_size=2)
        >>> costs.params, costs.bytes, costs.multiply_adds
        (36, 144, 64)
    """
    batch_size = validation.positive_integer(batch_size, "batch_size")
    specs = model_inputs.input_specs(model, sample)
    if sample is None:
        inputs = model_inputs.random_inputs(specs, _agreed(specs, batch_size))
    else:
        inputs = model_inputs.sample_inputs(specs, sample)
    inputs = keras.tree.map_structure(keras.ops.convert_to_tensor, inputs)
    console = Console(stderr=True)
    recordings = track(
        recorded(model, inputs),
        "Timing layers",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    return Profile(
        model=model.name,
        batch_size=len(keras.tree.flatten(inputs)[0]),
        rows=tuple(_row(recording) for recording in recordings),
        model_seconds=model_seconds(model, inputs),
    )


def _agreed(specs, batch_size):
    for spec in keras.tree.flatten(specs):
        if spec.shape[0] not in (None, batch_size):
            raise ValueError(
                "The batch size must be the one that the model fixes. "
                f"Received: batch_size={batch_size}, and input {spec.name!r} "
                f"of shape {spec.shape}. Pass batch_size={spec.shape[0]}."
            )
    return batch_size


def _row(recording):
    layer, calls = recording.layer, recording.calls
    innermost = recording.innermost
    return ProfileRow(
        path=layer.path or layer.name,
        kind=type(layer).__name__,
        output_shape=calls[0].output_shape if calls else None,
        params=sum(math.prod(w.shape) for w in recording.weights),
        bytes=sum(bytes_of(weight) for weight in recording.weights),
        calls=len(calls),
        multiply_adds=_multiply_adds(layer, calls) if innermost else None,
        seconds=layer_seconds(layer, calls) if innermost else None,
    )


def _multiply_adds(layer, calls):
    counts = [
        multiply_adds.count(layer, call.input_shape, call.output_shape)
        for call in calls
    ]
    return None if None in counts else sum(counts)


def layer_seconds(layer, calls):
    """The time of a layer's calls; those on the same shapes are timed once.

    Args:
        layer: A layer that was recorded.
        calls: Its calls.

    Returns:
        Seconds, `None` if the calls cannot be made again.
    """
    if not all(call.repeatable for call in calls):
        return None
    timed = {}
    total = 0.0
    for call in calls:
        shapes = tuple((t.shape, str(t.dtype)) for t in call.tensors)
        if shapes not in timed:
            timed[shapes] = median_seconds(_again(layer, call), call.tensors)
        total += timed[shapes]
    return total


def _again(layer, call):
    """The call as a function of its tensors."""
    structure = (call.args, call.kwargs)
    leaves = keras.tree.flatten(structure)
    places = [n for n, x in enumerate(leaves) if keras.ops.is_tensor(x)]

    def function(*tensors):
        given = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            given[place] = tensor
        args, kwargs = keras.tree.pack_sequence_as(structure, given)
        return layer(*args, **kwargs)

    return function


def bytes_of(weight):
    """Whole bytes of a weight; the bits stand in the type's name.

    Args:
        weight: A Keras variable.
    """
    name = keras.backend.standardize_dtype(weight.dtype)
    bits = re.search(r"\d+", name)  # none in "bool", which takes a byte
    return math.ceil(
        math.prod(weight.shape) * (int(bits[0]) if bits else 8) / 8
    )


def _cells(row):
    return (
        row.path if row.calls < 2 else f"{row.path} (x{row.calls})",
        row.kind,
        _UNKNOWN if row.output_shape is None else str(row.output_shape),
        f"{row.params:,}",
        f"{row.bytes:,}",
        _UNKNOWN if row.multiply_adds is None else f"{row.multiply_adds:,}",
        _UNKNOWN if row.seconds is None else _milliseconds(row.seconds),
    )


def _milliseconds(seconds):
    return f"{seconds * 1e3:,.3f}"
