"""The progress bar of a conversion: how much of all kernels is decomposed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import rich.console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from tensornet_keras.conversion.selection import path_of
from tensornet_keras.decomposition.passes import heard_by

# Kernels of fewer numbers decompose in an instant: no progress bar.
LARGE_KERNELS = 2_000_000
# Nobody knows how many passes a layer needs: each one moves the bar by this
# share of what is left of the layer.
SHARE_OF_A_PASS = 0.15


class ConversionProgress:
    """A bar on standard error that moves with layers and within long ones.

    Args:
        layers: The layers that are to be decomposed.
        rounds: How often it goes over them.
    """

    def __init__(self, layers, rounds: int = 1):
        self._numbers = {
            id(layer): layer.count_params() for layer in layers if layer.built
        }
        total = rounds * sum(self._numbers.values())
        console = rich.console.Console(stderr=True)
        seen = console.is_terminal or console.is_jupyter
        self._bar = Progress(
            TextColumn("Decomposing {task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=total < LARGE_KERNELS or not seen,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)

    @property
    def completed(self) -> float:
        """How many numbers of the kernels are done, those of passes aside."""
        return self._bar.tasks[0].completed

    def __enter__(self) -> ConversionProgress:
        self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        self._bar.stop()

    @contextlib.contextmanager
    def over(self, layer) -> Iterator[None]:
        """Context in which a layer is decomposed.

        Args:
            layer: One of the layers, or another one, which counts nothing.
        """
        size = self._numbers.get(id(layer), 0)
        done, left = self.completed, 1.0

        def passed() -> None:
            nonlocal left
            left *= 1.0 - SHARE_OF_A_PASS
            self._move(done + size * (1.0 - left))

        self._bar.update(self._task, description=escape(path_of(layer)))
        with heard_by(passed):
            yield
        self._move(done + size)

    def _move(self, completed: float) -> None:
        self._bar.update(self._task, completed=completed)
