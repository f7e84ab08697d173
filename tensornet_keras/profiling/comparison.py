"""Models side by side: size, latency by turns, and scores."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import keras
import rich.box
import rich.table
from rich.markup import escape

from tensornet_keras import model_inputs, reporting, validation
from tensornet_keras.profiling.profile import bytes_of
from tensornet_keras.profiling.timing import seconds_by_turns

Evaluate = Callable[[object], float | Mapping[str, float]]


@dataclass(frozen=True)
class Version:
    """What one of several models costs, and how good it is.

    Args:
        name: What it is called.
        params: Its parameters.
        bytes: Bytes of its weights.
        seconds: Median time of a forward pass.
        spread: Half of the range that holds the middle half of the times,
            over the median.
        scores: What a user measured, by name.
    """

    name: str
    params: int
    bytes: int
    seconds: float
    spread: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison(reporting.Report):
    """Models side by side; prints as a table with ratios to the first.

    Args:
        batch_size: Examples in the forward pass that was timed.
        versions: One entry per model.
    """

    batch_size: int
    versions: tuple[Version, ...]

    def table(self) -> rich.table.Table:
        """The comparison as a `rich` table."""
        table = rich.table.Table(
            title=f"batch size {self.batch_size}", box=rich.box.SIMPLE_HEAD
        )
        table.add_column("model", overflow="fold")
        names = self.score_names
        for heading in ("parameters", "MB", "x", "ms", "±", "x", *names):
            table.add_column(escape(heading), justify="right")
        first = self.versions[0]
        for version in self.versions:
            table.add_row(
                escape(version.name),
                f"{version.params:,}",
                f"{version.bytes / 1e6:.2f}",
                f"{version.bytes / max(1, first.bytes):.2f}",
                f"{1e3 * version.seconds:.3g}",
                f"{version.spread:.0%}",
                f"{version.seconds / first.seconds:.2f}",
                *(
                    f"{version.scores[name]:.4g}"
                    if name in version.scores
                    else ""
                    for name in names
                ),
            )
        return table

    @property
    def score_names(self) -> list[str]:
        """The names of all scores, in the order of their first use."""
        return list(
            dict.fromkeys(
                name for each in self.versions for name in each.scores
            )
        )

    def to_dict(self) -> dict:
        """The comparison as plain data."""
        return asdict(self)


def compare(
    models: Mapping[str, object],
    batch_size: int = 1,
    *,
    evaluate: Evaluate | None = None,
    sample=None,
    rounds: int = 7,
) -> Comparison:
    """Models side by side: parameters, bytes, latency and scores.

    The forward passes are compiled and timed by turns, so that what else the
    machine does meets all of them.

    Args:
        models: Built models by name.
        batch_size: Examples in the forward pass that is timed.
        evaluate: A function from a model to a score, or to scores by name.
        sample: Inputs to time, as the models take them, where they leave
            sizes open; its length is the batch size then.
        rounds: How often each is timed.

    Returns:
        A `Comparison`, which prints as a table.

    Raises:
        TypeError: If one is no Keras model.
        ValueError: If there is none, one is not built, or leaves a size
            open.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
    >>> small, _ = tk.convert(model, tk.formats.LowRank(rank=4))
    >>> found = tk.compare({"dense": model, "rank 4": small})
    >>> [version.params for version in found.versions]
    [4160, 576]
    """
    validation.positive_integer(batch_size, "batch_size")
    validation.positive_integer(rounds, "rounds")
    if not models:
        raise ValueError(
            "`models` must hold at least one model by its name. "
            f"Received: models={models!r}."
        )
    runs = []
    for model in models.values():
        specs = model_inputs.input_specs(model, sample)
        inputs = (
            model_inputs.random_inputs(specs, batch_size)
            if sample is None
            else model_inputs.sample_inputs(specs, sample)
        )
        runs.append((model, inputs))
    times = seconds_by_turns(runs, rounds)
    versions = tuple(
        Version(
            name,
            model.count_params(),
            sum(map(bytes_of, model.weights)),
            statistics.median(own),
            _spread(own),
            _scores(evaluate, model),
        )
        for (name, model), own in zip(models.items(), times, strict=True)
    )
    if sample is not None:
        batch_size = len(keras.tree.flatten(runs[0][1])[0])
    return Comparison(batch_size, versions)


def _spread(seconds: list[float]) -> float:
    if len(seconds) < 2:
        return 0.0
    low, _, high = statistics.quantiles(seconds, n=4)
    return (high - low) / 2 / statistics.median(seconds)


def _scores(evaluate, model) -> dict[str, float]:
    if evaluate is None:
        return {}
    found = evaluate(model)
    if not isinstance(found, Mapping):
        found = {"score": found}
    return {name: float(value) for name, value in found.items()}
