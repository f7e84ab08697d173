"""Tensor-network layers, decompositions and model compression for Keras 3.

Packages are nouns, verbs are functions; each is loaded when it is first asked
for (PEP 562), so importing this package imports neither Keras nor a backend:

    import tensornet_keras as tk

    small, report = tk.convert(model, tk.formats.TensorTrain(rank=8))

Keras loads a saved layer only if its class is registered. The import below
sees to that whether Keras was imported before this package or after it.
"""

from importlib import import_module

from tensornet_keras import registration

__version__ = "0.1.0"

_PACKAGES = (
    "conversion",
    "decomposition",
    "deployment",
    "finetuning",
    "formats",
    "interop",
    "layers",
)
_VERBS = {
    "autotune": "tensornet_keras.deployment",
    "calibrate": "tensornet_keras.contraction.calibration",
    "compare": "tensornet_keras.profiling",
    "convert": "tensornet_keras.conversion",
    "convert_layer": "tensornet_keras.conversion",
    "decompose": "tensornet_keras.decomposition",
    "densify": "tensornet_keras.conversion",
    "export": "tensornet_keras.deployment",
    "finetune": "tensornet_keras.finetuning",
    "freeze": "tensornet_keras.deployment",
    "merge": "tensornet_keras.conversion",
    "profile": "tensornet_keras.profiling",
    "prune": "tensornet_keras.conversion",
}

__all__ = sorted([*_PACKAGES, *_VERBS])


def __getattr__(name):
    if name in _PACKAGES:
        return import_module(f"tensornet_keras.{name}")
    if name in _VERBS:
        return getattr(import_module(_VERBS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, "__version__"])


registration.register_with_keras()
