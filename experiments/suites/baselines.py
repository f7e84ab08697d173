"""Tensor trains contracted as TensorNet-TF contracts them.

Re-told from `tensornet/layers/tt.py` and `tt_conv.py` of the code of Novikov
et al. 2015 (arXiv 1509.06569) and Garipov et al. 2016 (arXiv 1611.03214):
first mode to last, one core at a time, the batch carried along.
"""

import keras
from keras import ops


def core_matrices(layer, spatial=False):
    """The channel cores of a layer as TensorNet-TF stores them.

    Args:
        layer: A built tensor-train layer.
        spatial: Whether the layer's first core is a window.

    Returns:
        A list of tensors of shape `(j[k] * r[k], r[k-1] * i[k])`.
    """
    bound = layer.format
    order = len(bound.input_modes)
    ranks = (*bound.rank, 1) if spatial else (1, *bound.rank, 1)
    cores = layer.cores[1:] if spatial else layer.cores
    matrices = []
    for k in range(order):
        i, j = bound.input_modes[k], bound.output_modes[k]
        core = ops.reshape(cores[k], (ranks[k], i, j, ranks[k + 1]))
        core = ops.transpose(core, (2, 3, 0, 1))
        shape = (j * ranks[k + 1], ranks[k] * i)
        matrices.append(ops.reshape(core, shape))
    return matrices


def core_by_core(x, matrices, output_modes):
    """A dense tensor-train layer, one core after another.

    Args:
        x: Inputs, `(batch, inputs)`.
        matrices: What `core_matrices` returns.
        output_modes: The train's output modes.

    Returns:
        Outputs, `(batch, outputs)`.
    """
    batch = x.shape[0]
    swept = _sweep(ops.transpose(x), matrices, output_modes)
    return ops.reshape(swept, (batch, -1))


def channel_by_channel(x, window, matrices, output_modes):
    """A tensor-train convolution, "same", stride one, by input channels.

    Every input channel is convolved with each of the window core's filters;
    the channel cores follow one after another.

    Args:
        x: Inputs, `(batch, height, width, channels)`.
        window: The spatial core, `(height, width, rank)`.
        matrices: What `core_matrices` returns.
        output_modes: The train's output modes.

    Returns:
        Outputs, `(batch, height, width, filters)`.
    """
    batch, height, width, channels = x.shape
    rank = window.shape[-1]
    alone = ops.transpose(x, (0, 3, 1, 2))
    alone = ops.reshape(alone, (batch * channels, height, width, 1))
    filtered = ops.conv(alone, window[:, :, None, :], padding="same")
    filtered = ops.reshape(filtered, (batch, channels, height, width, rank))
    filtered = ops.transpose(filtered, (4, 1, 0, 2, 3))
    swept = _sweep(filtered, matrices, output_modes)
    return ops.reshape(swept, (batch, height, width, -1))


class LoopDense(keras.layers.Layer):
    """A dense tensor-train layer that is contracted core by core.

    Args:
        layer: A built tensor-train layer without a bias, whose cores it
            copies.
    """

    def __init__(self, layer):
        super().__init__()
        self._modes = layer.format.output_modes
        self._matrices = _held(self, core_matrices(layer))
        self.built = True

    def call(self, inputs, training=None):
        return core_by_core(inputs, _tensors(self._matrices), self._modes)


class LoopConv2D(keras.layers.Layer):
    """A tensor-train convolution that is contracted channel by channel.

    Args:
        layer: A built tensor-train convolution without a bias, whose cores
            it copies.
    """

    def __init__(self, layer):
        super().__init__()
        self._modes = layer.format.output_modes
        cores = [layer.cores[0], *core_matrices(layer, spatial=True)]
        self._cores = _held(self, cores)
        self.built = True

    def call(self, inputs, training=None):
        window, *matrices = _tensors(self._cores)
        return channel_by_channel(inputs, window, matrices, self._modes)


class Rebuilt(keras.layers.Layer):
    """A factorized layer that rebuilds its dense kernel in every call.

    Args:
        layer: A built factorized layer without a bias, which it shares; a
            convolution is "same" with stride one.
    """

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.built = True

    def call(self, inputs, training=None):
        kernel = self.layer.kernel
        if len(kernel.shape) == 2:
            return ops.matmul(inputs, kernel)
        return ops.conv(inputs, kernel, padding="same")


def _held(layer, tensors):
    """Weights of a layer with the numbers of tensors."""
    held = []
    for tensor in tensors:
        held.append(layer.add_weight(shape=tensor.shape, initializer="zeros"))
        held[-1].assign(tensor)
    return held


def _tensors(variables):
    return [ops.convert_to_tensor(variable) for variable in variables]


def _sweep(tensor, matrices, output_modes):
    for matrix, mode in zip(matrices, output_modes, strict=True):
        tensor = ops.reshape(tensor, (matrix.shape[1], -1))
        tensor = ops.reshape(ops.matmul(matrix, tensor), (mode, -1))
        tensor = ops.transpose(tensor)
    return tensor
