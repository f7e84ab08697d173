"""Checkpoints: a fine-tuning that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field

import keras
import numpy as np

from tensornet_keras import backend, validation, writing
from tensornet_keras.layers.initializers import without_drawing

_STATE = "state.npz"


@dataclass
class Progress:
    """How far a fine-tuning has come.

    Args:
        phase: Phases that are done.
        stage: Stages of the next phase that are done.
        epoch: Epochs of the next stage that are done.
        model: File of the model as the last conversion left it, `None` for
            the model that was passed.
        rows: What the report has of it.
    """

    phase: int = 0
    stage: int = 0
    epoch: int = 0
    model: str | None = None
    rows: list[dict] = field(default_factory=list)


class Checkpoints:
    """A folder that holds the last state, whole or not at all.

    Args:
        folder: The folder, made if it is missing.
        run: What tells this fine-tuning from others, as text.

    Raises:
        ValueError: If the folder holds the state of another fine-tuning.
    """

    def __init__(self, folder, run: str):
        self._folder = os.fspath(folder)
        self._run = hashlib.sha256(run.encode()).hexdigest()
        os.makedirs(self._folder, exist_ok=True)
        validation.writable_file(self._path(_STATE), overwrite=True)
        self._arrays: dict[str, np.ndarray] = {}
        self.progress = Progress()
        if os.path.exists(self._path(_STATE)):
            self._read()

    def model(self):
        """The model as the last conversion left it, or `None`."""
        if self.progress.model is None:
            return None
        path = self._path(self.progress.model)
        return keras.saving.load_model(path, compile=False)

    def restore(self, **groups) -> None:
        """Gives variables the numbers that were saved, if there are any.

        Args:
            **groups: Lists of variables by name.
        """
        for name, variables in groups.items():
            for number, variable in enumerate(variables):
                key = f"{name}/{number}"
                if key in self._arrays:
                    variable.assign(self._arrays[key])

    def save(self, progress: Progress, **groups) -> None:
        """Replaces the saved state.

        Args:
            progress: How far it is.
            **groups: Lists of variables by name.
        """
        arrays = {
            f"{name}/{number}": _storable(backend.numbers_of(variable))
            for name, variables in groups.items()
            for number, variable in enumerate(variables)
        }
        meta = json.dumps({"run": self._run, **asdict(progress)})
        draft = writing.draft(self._path(_STATE))
        with draft as beside, open(beside, "wb") as file:
            np.savez(file, meta=np.array(meta), **arrays)
            file.flush()
            os.fsync(file.fileno())
        self.progress, self._arrays = progress, arrays

    def save_model(self, model, phase: int) -> str:
        """Writes a converted model, beside the one that is in use.

        Args:
            model: The model.
            phase: The phase that made it.

        Returns:
            The name of its file.
        """
        name = f"model-{phase}.keras"
        with writing.draft(self._path(name)) as beside:
            model.save(beside)
        return name

    def _read(self) -> None:
        with np.load(self._path(_STATE)) as saved:
            meta = json.loads(str(saved["meta"]))
            self._arrays = {key: saved[key] for key in saved if key != "meta"}
        if meta.pop("run") != self._run:
            raise ValueError(
                "`checkpoint` must be a folder of the same fine-tuning. "
                f"Received: {self._folder!r}, which holds the state of "
                "another model, other data or other phases. Pass a new "
                "folder, or remove this one."
            )
        self.progress = Progress(**meta)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)


def check_reloadable(model) -> None:
    """Refuses a model that Keras would not load from a file.

    Args:
        model: A model.

    Raises:
        ValueError: If a layer has no config, or one that is not safe to load.
    """
    try:
        config = keras.saving.serialize_keras_object(model)
        # A checkpoint is loaded without them.
        config.pop("compile_config", None)
        with without_drawing():
            keras.saving.deserialize_keras_object(config)
    except Exception as problem:
        raise ValueError(
            "A model that is compressed between phases must be one that Keras "
            f"can load from a file. Received: {model.name!r}, of which Keras "
            f"says: {problem} Leave `checkpoint` out, or put a layer of a "
            "registered class in its place."
        ) from problem


def _storable(array: np.ndarray) -> np.ndarray:
    """An array in a type that NumPy's files know."""
    known = array.dtype.isbuiltin == 1
    return array if known else array.astype(np.float32)
