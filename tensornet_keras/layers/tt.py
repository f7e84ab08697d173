"""The tensor-train layers of the TensorNet papers, by their own names.

Thin subclasses of the factorized layers: nothing but a tensor train filled
in, and a config in their own arguments.
"""

from __future__ import annotations

import keras

from tensornet_keras.formats import TensorTrain
from tensornet_keras.layers.conv import (
    FactorizedConv1D,
    FactorizedConv2D,
    FactorizedConv3D,
)
from tensornet_keras.layers.dense import FactorizedDense


class _TTConfig:
    """Writes a layer's bound train as the layer's own arguments."""

    def get_config(self):
        config = super().get_config()
        del config["format"]
        config.update(
            rank=self.format.rank,
            input_modes=self.format.input_modes,
            output_modes=self.format.output_modes,
            pad=self.format.pad,
        )
        return config


class _TTConvolution(_TTConfig):
    """Takes the arguments of a train in place of a format."""

    def __init__(
        self,
        filters,
        kernel_size,
        rank=8,
        input_modes=None,
        output_modes=None,
        *,
        pad=False,
        conv_order="spatial_first",
        **kwargs,
    ):
        train = TensorTrain(rank, input_modes, output_modes, pad, conv_order)
        super().__init__(filters, kernel_size, train, **kwargs)

    def get_config(self):
        return super().get_config() | {"conv_order": self.format.conv_order}


@keras.saving.register_keras_serializable(package="tensornet_keras")
class TTDense(_TTConfig, FactorizedDense):
    """The TT-layer of Novikov et al. 2015: a dense layer in tensor-train form.

    Args:
        units: Size of the output's last axis.
        rank: Bond sizes: an int for all (cut to what each bond can carry), a
            tuple with one int per bond (kept as written), or a float in
            (0, 1], the share of the dense parameters to spend.
        input_modes: Factors of the input size. `None` chooses them.
        output_modes: Factors of `units`, as many. `None` chooses them.
        pad: Whether the modes may multiply to more than the sizes.
        **kwargs: Arguments of `FactorizedDense`, such as `activation`,
            `use_bias` and `kernel_initializer`.

    Input shape:
        `(batch, ..., input_size)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: If the modes do not fit the sizes or the rank is invalid.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TTDense(
    ...     625, 4, (7, 4, 7, 4), (5, 5, 5, 5), activation="relu"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 784))).shape)
    (2, 625)
    >>> layer.count_params()
    1725

    Reference:
        Novikov et al. 2015, https://arxiv.org/abs/1509.06569, section 4.
    """

    def __init__(
        self,
        units,
        rank=8,
        input_modes=None,
        output_modes=None,
        *,
        pad=False,
        **kwargs,
    ):
        train = TensorTrain(rank, input_modes, output_modes, pad)
        super().__init__(units, train, **kwargs)


@keras.saving.register_keras_serializable(package="tensornet_keras")
class TTConv1D(_TTConvolution, FactorizedConv1D):
    """The TT-conv layer of Garipov et al. 2016, over 1 spatial axis.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, an int or a tuple of 1.
        rank: Bond sizes: an int for all (cut to what each bond can carry), a
            tuple with one int per bond, in the train's order (kept as
            written), or a float in (0, 1], the share of the dense parameters
            to spend.
        input_modes: Factors of the input channels. `None` chooses them.
        output_modes: Factors of `filters`, as many (of any number with
            `"channels_outside"`). `None` chooses them.
        pad: Whether the modes may multiply to more than the channels.
        conv_order: Where the window stands in the train: `"spatial_first"`,
            as in the paper, `"channels_outside"`, which is faster (its ranks
            begin with the input channels), or `"spatial_last"`.
        **kwargs: Arguments of `FactorizedConv1D`, such as `strides`,
            `padding`, `activation` and `use_bias`.

    Input shape:
        `(batch, steps, channels)`, or channels first.

    Output shape:
        `(batch, new_steps, filters)`, or channels first.

    Raises:
        ValueError: If the modes do not fit the channels or the rank is
            invalid.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TTConv1D(
    ...     64, 3, (8, 8, 8), (4, 4, 4), (4, 4, 4), padding="same"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 16, 64))).shape)
    (2, 16, 64)

    Reference:
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4.
    """


@keras.saving.register_keras_serializable(package="tensornet_keras")
class TTConv2D(_TTConvolution, FactorizedConv2D):
    """The TT-conv layer of Garipov et al. 2016, over 2 spatial axes.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, an int or a tuple of 2.
        rank: Bond sizes: an int for all (cut to what each bond can carry), a
            tuple with one int per bond, in the train's order (kept as
            written), or a float in (0, 1], the share of the dense parameters
            to spend.
        input_modes: Factors of the input channels. `None` chooses them.
        output_modes: Factors of `filters`, as many (of any number with
            `"channels_outside"`). `None` chooses them.
        pad: Whether the modes may multiply to more than the channels.
        conv_order: Where the window stands in the train: `"spatial_first"`,
            as in the paper, `"channels_outside"`, which is faster (its ranks
            begin with the input channels), or `"spatial_last"`.
        **kwargs: Arguments of `FactorizedConv2D`, such as `strides`,
            `padding`, `activation` and `use_bias`.

    Input shape:
        `(batch, height, width, channels)`, or channels first.

    Output shape:
        `(batch, new_height, new_width, filters)`, or channels first.

    Raises:
        ValueError: If the modes do not fit the channels or the rank is
            invalid.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TTConv2D(
    ...     64, 3, (8, 8, 8), (4, 4, 4), (4, 4, 4), padding="same"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 16, 16, 64))).shape)
    (2, 16, 16, 64)

    Reference:
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4.
    """


@keras.saving.register_keras_serializable(package="tensornet_keras")
class TTConv3D(_TTConvolution, FactorizedConv3D):
    """The TT-conv layer of Garipov et al. 2016, over 3 spatial axes.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window, an int or a tuple of 3.
        rank: Bond sizes: an int for all (cut to what each bond can carry), a
            tuple with one int per bond, in the train's order (kept as
            written), or a float in (0, 1], the share of the dense parameters
            to spend.
        input_modes: Factors of the input channels. `None` chooses them.
        output_modes: Factors of `filters`, as many (of any number with
            `"channels_outside"`). `None` chooses them.
        pad: Whether the modes may multiply to more than the channels.
        conv_order: Where the window stands in the train: `"spatial_first"`,
            as in the paper, `"channels_outside"`, which is faster (its ranks
            begin with the input channels), or `"spatial_last"`.
        **kwargs: Arguments of `FactorizedConv3D`, such as `strides`,
            `padding`, `activation` and `use_bias`.

    Input shape:
        `(batch, depth, height, width, channels)`, or channels first.

    Output shape:
        `(batch, new_depth, new_height, new_width, filters)`, or channels first.

    Raises:
        ValueError: If the modes do not fit the channels or the rank is
            invalid.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TTConv3D(
    ...     64, 3, (8, 8, 8), (4, 4, 4), (4, 4, 4), padding="same"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 16, 16, 16, 64))).shape)
    (2, 16, 16, 16, 64)

    Reference:
        Garipov et al. 2016, https://arxiv.org/abs/1611.03214, section 4.
    """
