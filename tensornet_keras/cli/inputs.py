"""What the command line reads: models and arrays, from files."""

import os
import warnings
import zipfile


def loaded(path, compile=True):
    """A model from a file, under a spinner: the backend is loaded too."""
    if not os.path.isfile(path):
        raise ValueError(
            "The model must be a .keras file. "
            f"Received: model={path!r}, where there is none. "
            "Pass a path that model.save wrote."
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(
            "The model must be a .keras file. "
            f"Received: model={path!r}, which is of another kind. "
            "Pass a path that model.save wrote."
        )
    with spinning(f"Loading {path}"), warnings.catch_warnings():
        # A model that was compiled but never trained has no state to load.
        warnings.filterwarnings("ignore", "Skipping variable loading")
        import keras

        return keras.models.load_model(path, compile=compile)


def sample(model, path, option="--sample"):
    """What a file of arrays holds, in the structure that the model takes."""
    return None if path is None else examples(model, path, option)[0]


def examples(model, path, option):
    """The inputs that a file holds, and the labels, `None` if it has none.

    Labels are an array `y`, unless an input of the model goes by that name.
    """
    found = arrays(path, option)
    if not isinstance(found, dict):
        return found, None
    import keras

    from tensornet_keras.model_inputs import input_specs

    specs = input_specs(model, _without(found, "y"))
    names = [spec.name for spec in keras.tree.flatten(specs)]
    labels = None if "y" in names else found.pop("y", None)
    return structured(specs, names, found), labels


def _without(by_name, name):
    """Arrays by name, and a single one as itself, for a model to tell."""
    left = {key: value for key, value in by_name.items() if key != name}
    return left if len(left) != 1 else next(iter(left.values()))


def arrays(path, option):
    """What a file holds: an array, or a dict of arrays."""
    import numpy as np

    if not os.path.isfile(path):
        raise ValueError(
            f"{option} must be a file. Received: {path!r}, where there is "
            "none. Pass a path that numpy.save or numpy.savez wrote."
        )
    found = np.load(path)
    if isinstance(found, np.ndarray):
        return found
    return {name: found[name] for name in found.files}


def structured(specs, names, by_name):
    """Arrays by name in the structure that the model takes."""
    if isinstance(specs, dict):
        return by_name
    if len(names) == len(by_name) == 1:
        # There is nothing to mix it up with.
        return next(iter(by_name.values()))
    if set(names) == set(by_name):
        return [by_name[name] for name in names]
    if not all(name.startswith("arr_") for name in by_name):
        raise ValueError(
            "Arrays must go by the names of the model's inputs, or by none. "
            f"Received: {', '.join(by_name)}; the inputs are: "
            f"{', '.join(names)}. Write them with numpy.savez."
        )
    return list(by_name.values())


def spinning(text):
    """A spinner on standard error with a text beside it."""
    from rich.console import Console

    return Console(stderr=True).status(text)
