"""Pretrained weights in the data folder, as arrays by name."""

import keras
import numpy as np

from .sources import FOLDER_VARIABLE, data_folder

# What PyTorch calls the weights of a layer with so many of them.
KINDS = {
    1: ("weight",),
    2: ("weight", "bias"),
    4: ("weight", "bias", "running_mean", "running_var"),
}


def fill(model, name, smoke=False):
    """Gives a network the pretrained weights of its namesakes.

    Args:
        model: A network whose layers are named as PyTorch names modules,
            without underscores in front.
        name: As for `kernels`.
        smoke: Whether the model may keep its own weights where the file is
            not there.

    Returns:
        What the weights are in words.

    Raises:
        FileNotFoundError: If the file is not there.
        ValueError: If an array of the file belongs to no layer.
    """
    path = data_folder() / "weights" / f"{name}.npz"
    if not path.is_file() and smoke:
        return "random weights"
    # Exporters refuse names that begin with an underscore.
    arrays = {
        ".".join(part.removeprefix("_") for part in key.split(".")): array
        for key, array in arrays_of(name).items()
    }
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(
                [
                    _as_keras(arrays.pop(f"{layer.name}.{kind}"), layer)
                    for kind in KINDS[len(layer.weights)]
                ]
            )
    left = sorted(key for key in arrays if "num_batches" not in key)
    if left:
        raise ValueError(
            "Every pretrained array must belong to a layer. "
            f"Received: {left[:5]} of {path.name}, {len(left)} in all. "
            "Build the network that they belong to."
        )
    return f"{name} from the data folder"


def arrays_of(name):
    """The arrays of a pretrained network, by the names of PyTorch.

    Args:
        name: As for `kernels`.

    Raises:
        FileNotFoundError: If the file is not there.
    """
    path = data_folder() / "weights" / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(_missing(path, name))
    with np.load(path) as file:
        return {key: file[key] for key in file.files}


def _as_keras(array, layer):
    """A kernel with PyTorch's axes in the order of Keras'; others alike."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return array.transpose(2, 3, 0, 1)
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    return array.T


def _missing(path, name):
    return (
        f"The pretrained weights {name} were not found. "
        f"Received: no file {path}. Put it there, or name another data "
        f"folder in {FOLDER_VARIABLE}."
    )


def kernels(name, smoke=False):
    """The convolution kernels of a pretrained network, but the first.

    Args:
        name: File name without its ending, such as `"resnet20_cifar10"`, in
            `weights` in the data folder; its arrays are named and laid out
            as PyTorch has them.
        smoke: Whether any kernels will do: random ones where the file is not
            there.

    Returns:
        A dict from the names to arrays `(height, width, input, output)`, and
        what they are in words.

    Raises:
        FileNotFoundError: If the file is not there.
    """
    path = data_folder() / "weights" / f"{name}.npz"
    if path.is_file():
        with np.load(path) as arrays:
            found = {
                key.removesuffix(".weight"): arrays[key].transpose(2, 3, 1, 0)
                for key in arrays.files
                if arrays[key].ndim == 4
            }
        first = next(iter(found))
        del found[first]
        return found, f"{name} from the data folder"
    if smoke:
        draw = np.random.default_rng(0).standard_normal
        sizes = {"random.0": (3, 3, 16, 16), "random.1": (3, 3, 16, 32)}
        made = {key: draw(size, "float32") for key, size in sizes.items()}
        return made, "random kernels"
    raise FileNotFoundError(_missing(path, name))
