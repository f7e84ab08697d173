"""Recurrent layers of the package beside Keras' with the same kernels."""

import keras

import tensornet_keras as tk
from tests.laws.oracles import as_numpy, dense_weight, random_array

UNITS = 6
SHAPE = (3, 5, 10)
INPUTS = random_array(SHAPE)
TRAIN = tk.formats.TensorTrain(rank=3)
KINDS = {"LSTM": {}, "GRU": {}, "GRU-before": {"reset_after": False}}


def factorized(kind, units=UNITS, built=True, **arguments):
    """A factorized layer with a random bias."""
    written = {
        "format": TRAIN,
        "bias_initializer": "random_normal",
        **KINDS[kind],
        **arguments,
    }
    name = f"Factorized{kind.partition('-')[0]}"
    layer = getattr(tk.layers, name)(units, **written)
    if built:
        layer.build(SHAPE)
    return layer


def twin_of(layer, **arguments):
    """Keras' layer with the dense kernels and the bias of `layer`."""
    name = type(layer).__name__.removeprefix("Factorized")
    config = layer.get_config()
    for own in ("format", "recurrent_format", *OWN):
        del config[own]
    twin = getattr(keras.layers, name).from_config(config | arguments)
    twin.build(layer.get_build_config()["input_shape"])
    fill(twin, layer)
    return twin


def fill(twin, layer):
    """Gives Keras' layer the kernels that NumPy makes of the cores."""
    for variable, kernel in (
        (twin.cell.kernel, layer.cell.input_kernel),
        (twin.cell.recurrent_kernel, layer.cell.state_kernel),
    ):
        variable.assign(dense_weight(kernel.format.network, kernel.cores))
    if layer.bias is not None:
        twin.cell.bias.assign(as_numpy(layer.bias))


OWN = (
    "planning_batch",
    "max_memory",
    "tuned_plans",
    "bond_dropout",
    "rank_penalty",
    "scale_learning_rates",
    "recompute",
)
