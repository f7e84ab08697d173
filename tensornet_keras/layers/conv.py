"""Convolutions whose kernel is a network of cores."""

from __future__ import annotations

from typing import ClassVar

import keras
from keras import ops

from tensornet_keras.contraction import Plan
from tensornet_keras.contraction.execute import Convolution
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.planning import chosen, static_shape

# Spatial extent that is planned for where it is unknown.
USUAL_EXTENT = 32


class FactorizedConv(FactorizedLayer):
    """Base of the factorized convolutions.

    Abstract: use `FactorizedConv1D`, `FactorizedConv2D`, `FactorizedConv3D`.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, an int or a tuple.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict.
        strides: Step of the window, an int or a tuple.
        padding: `"valid"`, `"same"`, or in one dimension `"causal"`.
        data_format: `"channels_last"` or `"channels_first"`.
        dilation_rate: Spacing of the window's entries, an int or a tuple.
        groups: Number of groups into which the channels are split. Above 1
            the kernel of shape `(*kernel_size, channels / groups, filters)`
            is factorized, and rebuilt for every call.
        activation: Activation function, as in Keras.
        use_bias: Whether to add a bias.
        **kwargs: Other arguments of the Keras layer and of
            `FactorizedLayer`.
    """

    _keras_layer: ClassVar[type[keras.layers.Layer]]

    def __init__(
        self,
        filters,
        kernel_size,
        format,
        strides=1,
        padding="valid",
        data_format=None,
        dilation_rate=1,
        groups=1,
        activation=None,
        use_bias=True,
        **kwargs,
    ):
        super().__init__(
            format, activation=activation, use_bias=use_bias, **kwargs
        )
        # Keras' own layer checks and normalises the arguments they share.
        checked = self._keras_layer(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
            name="checked",
        )
        self.filters = checked.filters
        self.kernel_size = checked.kernel_size
        self.strides = checked.strides
        self.padding = checked.padding
        self.data_format = checked.data_format
        self.dilation_rate = checked.dilation_rate
        self.groups = checked.groups
        self.input_spec = keras.layers.InputSpec(ndim=self._ndim)

    def build(self, input_shape):
        channels = input_shape[self._channel_axis]
        if channels is None or channels % self.groups:
            raise ValueError(
                "The number of input channels must be known and divisible "
                f"by groups={self.groups}. "
                f"Received: input_shape={tuple(input_shape)}. "
                "Change the input or the groups."
            )
        self.compute_output_shape(input_shape)
        self._built_shape = tuple(input_shape)
        self._add_cores(
            (channels // self.groups,), (self.filters,), self.kernel_size
        )
        self._add_bias((self.filters,))
        self.input_spec = keras.layers.InputSpec(
            ndim=self._ndim, axes={self._channel_axis: channels}
        )
        self._end_build()

    def call(self, inputs, training=None):
        inputs = ops.cast(inputs, self.compute_dtype)
        plan = self._plan_for(static_shape(inputs), bool(training))
        padding = self.padding
        if padding == "causal":
            inputs, padding = self._padded_before(inputs), "valid"
        convolution = Convolution(
            self.strides,
            padding,
            self.dilation_rate,
            self.data_format,
            self.groups,
        )
        outputs = self._contract(inputs, plan, convolution, training)
        if self.bias is not None:
            shape = [1] * self._ndim
            shape[self._channel_axis] = self.filters
            outputs = ops.add(outputs, ops.reshape(self.bias, shape))
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        like = self._keras_layer(
            self.filters,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            name="like",
        )
        return like.compute_output_shape(input_shape)

    def get_config(self):
        config = super().get_config()
        config.update(
            filters=self.filters,
            kernel_size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
            groups=self.groups,
        )
        return config

    @property
    def _ndim(self) -> int:
        return len(self.kernel_size) + 2

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _plan_for(self, input_shape, training=False) -> Plan:
        last = self.data_format == "channels_last"
        spatial = input_shape[1:-1] if last else input_shape[2:]
        before = [extent or USUAL_EXTENT for extent in spatial]
        after = [
            _extent_after(extent, size, stride, dilation, self.padding)
            for extent, size, stride, dilation in zip(
                before,
                self.kernel_size,
                self.strides,
                self.dilation_rate,
                strict=True,
            )
        ]
        positions = (tuple(before), tuple(after))
        return chosen(
            self,
            self.format.network,
            input_shape[0],
            positions,
            training=training,
            rebuild_only=self.groups > 1,
        )

    def _padded_before(self, inputs):
        """Zeros before the first position, so that no output sees ahead."""
        before = self.dilation_rate[0] * (self.kernel_size[0] - 1)
        pads = [(0, 0)] * self._ndim
        pads[1 if self.data_format == "channels_last" else 2] = (before, 0)
        return ops.pad(inputs, pads)


def _extent_after(extent, size, stride, dilation, padding) -> int:
    """Number of places the window takes along one axis."""
    if padding == "valid":
        extent -= dilation * (size - 1)
    return max(1, -(-extent // stride))


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedConv1D(FactorizedConv):
    """A `keras.layers.Conv1D` whose kernel is a network of cores.

    Convolves a signal with the kernel that the cores stand for. The plan says
    whether the kernel is rebuilt first or the cores act one after another.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, an int or a tuple of 1.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict.
        **kwargs: The other arguments of `keras.layers.Conv1D` (`strides`,
            `padding`: `"valid"`, `"same"`, or `"causal"`, `data_format`,
            `dilation_rate`, `groups`, `activation`, `use_bias`, the
            initializers and regularizers, `bias_constraint`, `lora_rank`,
            `lora_alpha`, `name`, `dtype`, `trainable`), and of
            `FactorizedLayer`, such as `planning_batch` and `max_memory`. The
            kernel regularizer acts on each core. A `kernel_constraint` is
            refused. With `groups` the kernel is rebuilt for every call.

    Input shape:
        `(batch, steps, channels)`, or channels first.

    Output shape:
        `(batch, new_steps, filters)`, or channels first.

    Raises:
        ValueError: If an argument is refused, the format has no rank, or its
            modes do not fit the channels.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedConv1D(
    ...     16, 3, tk.formats.TensorTrain(rank=4), padding="same"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 16, 8))).shape)
    (2, 16, 16)

    Reference:
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4.
    """

    _keras_layer = keras.layers.Conv1D


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedConv2D(FactorizedConv):
    """A `keras.layers.Conv2D` whose kernel is a network of cores.

    Convolves images with the kernel that the cores stand for. The plan says
    whether the kernel is rebuilt first or the cores act one after another.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, an int or a tuple of 2.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict.
        **kwargs: The other arguments of `keras.layers.Conv2D` (`strides`,
            `padding`: `"valid"`, `"same"`, `data_format`,
            `dilation_rate`, `groups`, `activation`, `use_bias`, the
            initializers and regularizers, `bias_constraint`, `lora_rank`,
            `lora_alpha`, `name`, `dtype`, `trainable`), and of
            `FactorizedLayer`, such as `planning_batch` and `max_memory`. The
            kernel regularizer acts on each core. A `kernel_constraint` is
            refused. With `groups` the kernel is rebuilt for every call.

    Input shape:
        `(batch, height, width, channels)`, or channels first.

    Output shape:
        `(batch, new_height, new_width, filters)`, or channels first.

    Raises:
        ValueError: If an argument is refused, the format has no rank, or its
            modes do not fit the channels.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedConv2D(
    ...     16, 3, tk.formats.TensorTrain(rank=4), padding="same"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 16, 16, 8))).shape)
    (2, 16, 16, 16)

    Reference:
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4.
    """

    _keras_layer = keras.layers.Conv2D


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedConv3D(FactorizedConv):
    """A `keras.layers.Conv3D` whose kernel is a network of cores.

    Convolves volumes with the kernel that the cores stand for. The plan says
    whether the kernel is rebuilt first or the cores act one after another.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, an int or a tuple of 3.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict.
        **kwargs: The other arguments of `keras.layers.Conv3D` (`strides`,
            `padding`: `"valid"`, `"same"`, `data_format`,
            `dilation_rate`, `groups`, `activation`, `use_bias`, the
            initializers and regularizers, `bias_constraint`, `lora_rank`,
            `lora_alpha`, `name`, `dtype`, `trainable`), and of
            `FactorizedLayer`, such as `planning_batch` and `max_memory`. The
            kernel regularizer acts on each core. A `kernel_constraint` is
            refused. With `groups` the kernel is rebuilt for every call.

    Input shape:
        `(batch, depth, height, width, channels)`, or channels first.

    Output shape:
        `(batch, new_depth, new_height, new_width, filters)`, or channels first.

    Raises:
        ValueError: If an argument is refused, the format has no rank, or its
            modes do not fit the channels.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedConv3D(
    ...     16, 3, tk.formats.TensorTrain(rank=4), padding="same"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 16, 16, 16, 8))).shape)
    (2, 16, 16, 16, 16)

    Reference:
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4.
    """

    _keras_layer = keras.layers.Conv3D
