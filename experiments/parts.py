"""Long experiments part by part: a killed run goes on where it was."""

import time

import keras

from . import record


class Parts:
    """The parts of an experiment that are done, beside its result.

    A config whose `PARTS` names one of its settings is run for one value of
    it after another. What is done is kept in a file until the whole is, and
    taken up by a run of the same commit with the same settings.

    Args:
        name: Name of the config.
        settings: Its settings.
        folder: Folder of the result.
    """

    def __init__(self, name, settings, folder):
        self._path = folder / f"{name}.parts.json"
        commit = record.provenance()["commit"]
        self._key = {"settings": settings, "commit": commit}
        self._done = []
        # Nobody knows what a changed checkout ran.
        if commit and not commit.endswith("+") and self._path.is_file():
            kept = record.load(self._path)
            if {key: kept[key] for key in self._key} == self._key:
                self._done = kept["done"]

    def run(self, module, data, seed):
        """Runs a config part by part.

        Args:
            module: The config.
            data: Its data set.
            seed: The seed.

        Returns:
            `(metrics, seconds)` of all parts.
        """
        settings, name = self._key["settings"], module.PARTS
        for value in settings[name]:
            if self._of(seed, value) is None:
                keras.utils.set_random_seed(seed)
                started = time.perf_counter()
                found = module.run(data, settings | {name: [value]}, seed)
                self._done.append(
                    {
                        "seed": seed,
                        "part": value,
                        "seconds": time.perf_counter() - started,
                        "metrics": found,
                    }
                )
                record.save(self._key | {"done": self._done}, self._path)
        parts = [self._of(seed, value) for value in settings[name]]
        metrics = {}
        for part in parts:
            metrics |= part["metrics"]
        return metrics, sum(part["seconds"] for part in parts)

    def forget(self):
        """Removes the file: the whole is done."""
        self._path.unlink(missing_ok=True)

    def _of(self, seed, value):
        for part in self._done:
            if (part["seed"], part["part"]) == (seed, value):
                return part
        return None
