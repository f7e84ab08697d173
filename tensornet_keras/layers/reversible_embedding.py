"""An embedding whose cores also map hidden states back to the vocabulary."""

from __future__ import annotations

import keras
from keras import ops

from tensornet_keras import validation
from tensornet_keras.contraction import Plan
from tensornet_keras.layers.embedding import FactorizedEmbedding
from tensornet_keras.layers.planning import static_shape
from tensornet_keras.network import TensorNetwork

# What the names of tuned plans end in that are for hidden states.
REVERSE = "-reverse"


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedReversibleEmbedding(FactorizedEmbedding):
    """A `keras.layers.ReversibleEmbedding` whose table is a network of cores.

    Called with `reverse=True` it multiplies hidden states by the transposed
    table, as the last layer of a language model does. The same cores serve
    both ways. Which way is the fastest is planned: see `plan`.

    Args:
        input_dim: Size of the vocabulary, the largest id plus one.
        output_dim: Size of an embedding.
        format: A `Format` such as `TensorTrain(rank=16)`, or its plain-data
            dict.
        tie_weights: Must be True: both ways have the same cores.
        reverse_dtype: Type in which hidden states are multiplied. `None` is
            that in which the layer computes.
        logit_soft_cap: Bound of the logits, which become
            `tanh(logits / cap) * cap`. `None` leaves them as they are.
        **kwargs: The other arguments of `FactorizedEmbedding`.

    Input shape:
        Ids of any shape; with `reverse=True` hidden states
        `(batch, ..., output_dim)`.

    Output shape:
        `(batch, ..., output_dim)`; with `reverse=True` logits
        `(batch, ..., input_dim)`.

    Raises:
        ValueError: If the weights are not to be tied, the hidden states are
            of another size, or as in `FactorizedEmbedding`.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedReversibleEmbedding(
    ...     1000, 64, tk.formats.TensorTrain(rank=8)
    ... )
    >>> hidden = layer(np.array([[1, 2, 3]]))
    >>> tuple(layer(hidden, reverse=True).shape)
    (1, 3, 1000)

    Reference:
        Press and Wolf 2016, https://arxiv.org/abs/1608.05859.
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        format,
        tie_weights=True,
        reverse_dtype=None,
        logit_soft_cap=None,
        **kwargs,
    ):
        super().__init__(input_dim, output_dim, format, **kwargs)
        if validation.boolean(tie_weights, "tie_weights") is False:
            raise ValueError(
                "A factorized reversible embedding has the same cores both "
                "ways. Received: tie_weights=False. Use a "
                "FactorizedEmbedding, and a FactorizedDense without a bias "
                "for the way back."
            )
        self.tie_weights = True
        if reverse_dtype is not None:
            reverse_dtype = keras.backend.standardize_dtype(reverse_dtype)
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap

    def call(self, inputs, reverse=False, training=None):
        if not reverse:
            return super().call(inputs, training=training)
        hidden = ops.cast(inputs, self.reverse_dtype or self.compute_dtype)
        plan = self._reverse_plan(static_shape(hidden), bool(training))
        logits = self._contract(
            hidden, plan, training=training, met=TensorNetwork.transposed
        )
        if self.logit_soft_cap is None:
            return logits
        cap = self.logit_soft_cap
        return ops.multiply(ops.tanh(ops.divide(logits, cap)), cap)

    def plan(self, input_shape=None, reverse=False, training=False) -> Plan:
        """The plan by which the layer contracts its input; prints.

        Args:
            input_shape: Shape of the input, as in `FactorizedLayer.plan`.
            reverse: Whether the input is hidden states, of which the shape
                must be given.
            training: Whether gradients are wanted.

        Returns:
            The plan.
        """
        if not reverse:
            return super().plan(input_shape, training)
        return self._reverse_plan(self._checked_shape(input_shape), training)

    def compute_mask(self, inputs, mask=None):
        # Hidden states have no id 0. They are told from ids by their type and
        # size, since Keras does not say here which way the call went.
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if "float" in dtype and tuple(inputs.shape)[-1:] == (self.output_dim,):
            return None
        return super().compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape, reverse=False):
        if reverse:
            return (*input_shape[:-1], self.input_dim)
        return super().compute_output_shape(input_shape)

    def compute_output_spec(self, inputs, reverse=False, training=None):
        shape = self.compute_output_shape(tuple(inputs.shape), reverse)
        dtype = self.reverse_dtype if reverse else None
        return keras.KerasTensor(shape, dtype=dtype or self.compute_dtype)

    def get_config(self):
        return super().get_config() | {
            "tie_weights": self.tie_weights,
            "reverse_dtype": self.reverse_dtype,
            "logit_soft_cap": self.logit_soft_cap,
        }

    def _reverse_plan(self, shape, training) -> Plan:
        if not shape or shape[-1] != self.output_dim:
            raise ValueError(
                "Hidden states must end in an axis of size `output_dim`. "
                f"Received: shape {tuple(shape)}, with "
                f"output_dim={self.output_dim} in layer {self.name!r}. "
                "Pass reverse=False to look up ids."
            )
        network = self.format.network.transposed()
        return self._planned(network, shape[:-1], training, way=REVERSE)
