"""t3f's product of a matrix and a TT-matrix, Novikov et al. 2020."""

import math

import keras
from keras import ops

import tensornet_keras as tk

NAME, PACKAGE, BACKEND = "t3f", "t3f", "tensorflow"


class T3fDense(keras.layers.Layer):
    """A dense layer whose product is t3f's.

    t3f's own layer does not run on Keras 3; its product does.

    Args:
        bound: A bound tensor train of a dense layer.
    """

    def __init__(self, bound):
        super().__init__()
        bonds = (1, *bound.rank, 1)
        modes = zip(bound.input_modes, bound.output_modes, strict=True)
        self._cores = [
            self.add_weight(shape=(bonds[k], i, j, bonds[k + 1]))
            for k, (i, j) in enumerate(modes)
        ]
        self.built = True

    def call(self, inputs, training=None):
        import t3f

        cores = [ops.convert_to_tensor(core) for core in self._cores]
        return t3f.matmul(inputs, t3f.TensorTrain(cores))

    def compute_output_shape(self, input_shape):
        outputs = math.prod(core.shape[2] for core in self._cores)
        return (*input_shape[:-1], outputs)


def dense(bound):
    """t3f's product with a train of the same modes and ranks.

    Args:
        bound: A bound format of a dense layer.

    Returns:
        A dict of layers.
    """
    train = isinstance(bound, tk.formats.TensorTrain)
    if not train or bound.pad or len(bound.input_modes) < 2:
        return {}
    return {"t3f": T3fDense(bound)}


def convolution(bound):
    """None: t3f has no convolutions.

    Args:
        bound: A bound format of a convolution.
    """
    del bound
    return {}
