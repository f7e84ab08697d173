"""Pretrained weights in the data folder, as arrays by name."""

import numpy as np

from .sources import FOLDER_VARIABLE, data_folder


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
    raise FileNotFoundError(
        f"The pretrained weights {name} were not found. "
        f"Received: no file {path}. Put it there, or name another data "
        f"folder in {FOLDER_VARIABLE}."
    )
