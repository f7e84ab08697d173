"""A dense layer whose kernel is a network of cores."""

from __future__ import annotations

import keras
from keras import ops

from tensornet_keras import validation
from tensornet_keras.contraction import Plan
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.planning import chosen, static_shape


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedDense(FactorizedLayer):
    """A `keras.layers.Dense` whose kernel is a network of cores.

    Computes `activation(x @ kernel + bias)` without building the kernel,
    unless building it is faster: see `plan`.

    Args:
        units: Size of the output's last axis.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict.
        activation: Activation function, as in Keras.
        use_bias: Whether to add a bias.
        **kwargs: The other arguments of `keras.layers.Dense`
            (`kernel_initializer`, `bias_initializer`, `kernel_regularizer`,
            `bias_regularizer`, `activity_regularizer`, `bias_constraint`,
            `lora_rank`, `lora_alpha`, `name`, `dtype`, `trainable`), and of
            `FactorizedLayer`, such as
            `planning_batch`, the batch size to plan for, and `max_memory`,
            the most bytes that a plan may take. The regularizer acts on each
            core. A `kernel_constraint` is refused.

    Input shape:
        `(batch, ..., input_size)`.

    Output shape:
        `(batch, ..., units)`.

    Raises:
        ValueError: If an argument is refused, the format has no rank, or its
            modes do not fit the sizes.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedDense(
    ...     625, tk.formats.TensorTrain(rank=4), activation="relu"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 784))).shape)
    (2, 625)
    >>> layer.format.num_params, layer.format.dense_params
    (1100, 490000)

    Reference:
        Novikov et al. 2015, https://arxiv.org/abs/1509.06569, section 4.
    """

    def __init__(self, units, format, activation=None, use_bias=True, **kwargs):
        super().__init__(
            format, activation=activation, use_bias=use_bias, **kwargs
        )
        self.units = validation.positive_integer(units, "units")
        self.supports_masking = True

    def build(self, input_shape):
        if input_shape[-1] is None:
            raise ValueError(
                "The last axis of a dense layer's input must be known. "
                f"Received: input_shape={tuple(input_shape)}. "
                "Name its size in the model's Input."
            )
        self._built_shape = tuple(input_shape)
        self._add_cores((input_shape[-1],), (self.units,))
        self._add_bias((self.units,))
        self.input_spec = keras.layers.InputSpec(
            min_ndim=2, axes={-1: input_shape[-1]}
        )
        self._end_build()

    def call(self, inputs, training=None):
        inputs = ops.cast(inputs, self.compute_dtype)
        plan = self._plan_for(static_shape(inputs), bool(training))
        outputs = self._contract(inputs, plan, training=training)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}

    def _plan_for(self, input_shape, training=False) -> Plan:
        rows = tuple(size or 1 for size in input_shape[1:-1])
        batch = None if None in input_shape[:-1] else input_shape[0]
        return chosen(
            self, self.format.network, batch, (rows, rows), training=training
        )
