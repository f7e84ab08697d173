"""Lets Keras find our layers in a saved model before they are imported.

A `.keras` file names its layers by registered name, and Keras refuses names
that nobody registered. Importing the layers registers them, but it also
imports Keras with its backend, which `import tensornet_keras` must not do. So
each name is registered with a stand-in that imports the layer once a file asks
for it: at once if Keras is imported already, else as soon as it is.
"""

import sys
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.util import find_spec

LAYERS = (
    "FactorizedConv1D",
    "FactorizedConv2D",
    "FactorizedConv3D",
    "FactorizedDense",
    "FactorizedEinsumDense",
    "FactorizedEmbedding",
    "FactorizedReversibleEmbedding",
    "TTConv1D",
    "TTConv2D",
    "TTConv3D",
    "TTDense",
)
# Layers that are not one kernel in place of a Keras layer's: the laws of the
# test suite do not run over them, they have tests of their own.
OTHER_LAYERS = (
    "FactorizedGRU",
    "FactorizedLSTM",
    "MPSLayer",
    "TensorContraction",
    "TensorRegression",
)
# Layers that own others of which some were replaced, whatever their class.
COMPOSITE = "Composite"
_PREFIX = "tensornet_keras>"  # as register_keras_serializable writes it


def register_with_keras():
    """Registers every layer by name, now or when Keras is imported."""
    if "keras" in sys.modules:
        _register_stand_ins()
    else:
        sys.meta_path.insert(0, _KerasWatcher())


class _KerasWatcher(MetaPathFinder):
    """Leaves finding to the others; adds the names to Keras' own import."""

    def find_spec(self, name, path, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None:
            _follow(spec.loader)
        return spec


def _follow(loader):
    run = loader.exec_module

    def run_and_register(module):
        run(module)
        _register_stand_ins()

    loader.exec_module = run_and_register


class _StandIn:
    """Stands for a layer's class where Keras asks for `from_config` only."""

    def __init__(self, name, room="layers"):
        self.name = name
        self.room = room

    def from_config(self, config):
        room = import_module(f"tensornet_keras.{self.room}")
        return getattr(room, self.name).from_config(config)


def _register_stand_ins():
    registered = sys.modules["keras"].saving.get_custom_objects()
    for name in (*LAYERS, *OTHER_LAYERS):
        registered.setdefault(_PREFIX + name, _StandIn(name))
    stand_in = _StandIn(COMPOSITE, "surgery.composites")
    registered.setdefault(_PREFIX + COMPOSITE, stand_in)
