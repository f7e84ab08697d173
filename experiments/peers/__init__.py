"""Layers of other libraries, of the shapes and ranks of one of ours.

A module each, with `NAME`, the `PACKAGE` it needs, and `dense(bound)`,
`convolution(bound)` and, where it has one, `embedding(bound)`, which return
layers by the names of the sides: Keras layers, or PyTorch modules. A library
without the format gives none.
"""

from functools import cache
from importlib import import_module, util

from tensornet_keras import backend

from ..notes import skipped

MODULES = ("tensorly_torch", "tednet_layers", "t3f_matmul", "tn_keras_layers")


def dense(bound):
    """Dense layers without a bias, of every library that is installed.

    Args:
        bound: The bound format of a dense layer of ours.

    Returns:
        A dict of layers; PyTorch modules take and give `(batch, features)`.
    """
    return _of_all("dense", bound)


def convolution(bound):
    """Convolutions without a bias, "same", with strides of one.

    Args:
        bound: The bound format of a convolution of ours, of an odd window.

    Returns:
        A dict of layers; PyTorch modules have the channels in front.
    """
    return _of_all("convolution", bound)


def embedding(bound):
    """Tables of words, of the libraries that have such a layer.

    Args:
        bound: The bound format of an embedding of ours.

    Returns:
        A dict of layers; they take ids, and give vectors as long as the
        product of the format's output modes.
    """
    return _of_all("embedding", bound)


def _of_all(kind, bound):
    found = {}
    for name in MODULES:
        module = import_module(f".{name}", __package__)
        if not hasattr(module, kind):
            continue
        if _there(module.NAME, module.PACKAGE, module.BACKEND):
            found |= getattr(module, kind)(bound)
    return found


@cache
def _there(name, package, needed):
    """Whether a library can be timed; says once if it cannot."""
    if util.find_spec(package) is None:
        skipped(f"Not compared with {name}, which is not installed.")
        return False
    if needed not in (None, backend.name()):
        skipped(f"Not compared with {name}, which needs the {needed} backend.")
        return False
    return True
