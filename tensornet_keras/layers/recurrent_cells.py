"""Cells of the recurrent layers: Keras' arithmetic, kernels of cores.

LSTM: Hochreiter and Schmidhuber 1997; GRU: Cho et al. 2014 (arXiv 1406.1078).
The kernels of both as networks of cores: Yang et al. 2017, "Tensor-Train
Recurrent Neural Networks for Video Classification" (arXiv 1707.01786).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import ClassVar

import keras
from keras import initializers, ops

from tensornet_keras.contraction import Plan
from tensornet_keras.contraction.execute import (
    dense_kernel,
    execute,
    merged_weights,
)
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.planning import chosen, static_shape

# Steps that are planned for where their number is unknown.
USUAL_STEPS = 32


class GateKernel(FactorizedLayer):
    """A kernel of a recurrent layer: from features to the units of all gates.

    Args:
        gates: Number of gates, a dimension of its own of the output side.
        units: Units of each gate.
        format: As in `FactorizedLayer`.
        **kwargs: Arguments of `FactorizedLayer`.
    """

    takes_adapters = False

    def __init__(self, gates, units, format, **kwargs):
        super().__init__(format, use_bias=False, **kwargs)
        if self.quantization_mode is not None:
            raise ValueError(
                "A recurrent layer cannot run under a quantized dtype policy. "
                f"Received: dtype={self.dtype_policy.name!r}. "
                "Use a float policy."
            )
        self.gates = gates
        self.units = units
        # A mask is the loop's to heed; it must not be warned about here.
        self.supports_masking = True

    def build(self, input_shape):
        self._built_shape = tuple(input_shape)
        self._add_cores((input_shape[-1],), (self.gates, self.units))
        self.built = True

    def quantize(self, mode=None, type_check=True, config=None):
        raise NotImplementedError(
            f"Recurrent kernels are not quantized. Received: mode={mode!r}."
        )

    def meets(self, sequences_shape) -> None:
        """Tells a built kernel of the input what it will be called on.

        Args:
            sequences_shape: `(batch, steps, features)`.
        """
        self._built_shape = (None, *sequences_shape[1:])

    def call(self, inputs, training=None):
        inputs = ops.cast(inputs, self.compute_dtype)
        plan = self._plan_for(static_shape(inputs), bool(training))
        return self._contract(inputs, plan, training=training)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.gates * self.units)

    def each_gate(self, training) -> list:
        """The dense kernels of the gates.

        Args:
            training: Whether bonds are dropped.
        """
        cores = self._cores_for(training)
        kernel = dense_kernel(self.format.network, cores)
        return ops.split(ops.cast(kernel, self.compute_dtype), self.gates, 1)

    def for_every_step(self, plan: Plan, training) -> Callable:
        """The product with a state, whose steps among weights run once.

        Args:
            plan: The plan of all steps.
            training: Whether bonds are dropped.
        """
        cores = self._cores_for(training)
        merged = merged_weights(plan, cores, self.compute_dtype)
        return lambda state: execute(plan, state, cores, merged=merged)

    def _plan_for(self, input_shape, training=False) -> Plan:
        rows = tuple(size or 1 for size in input_shape[1:-1])
        batch = None if None in input_shape[:-1] else input_shape[0]
        return chosen(
            self, self.format.network, batch, (rows, rows), training=training
        )


class FactorizedCell:
    """What the cells of all recurrent layers share; mixed into Keras' cell.

    The input's part of all gates and all steps is computed before the loop,
    by `project`. In the loop the cell is called on one step of it, with a
    product for each group of gates that a state meets at once.

    Args:
        units: Size of the state.
        input_format: Format of the input's kernel.
        recurrent_format: Format of the state's kernel.
        switches: Arguments of `FactorizedLayer` for both kernels.
        tuned_plans: Those of the input's kernel and those of the state's.
        **kwargs: Arguments of Keras' cell.
    """

    gates: ClassVar[int]

    def __init__(
        self,
        units,
        input_format,
        recurrent_format,
        switches,
        tuned_plans=(None, None),
        **kwargs,
    ):
        super().__init__(units, **kwargs)
        shared = switches | {"dtype": self.dtype_policy}
        self.input_kernel = GateKernel(
            self.gates,
            units,
            input_format,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            tuned_plans=tuned_plans[0],
            name="input_kernel",
            **shared,
        )
        self.state_kernel = GateKernel(
            self.gates,
            units,
            recurrent_format,
            kernel_initializer=self.recurrent_initializer,
            kernel_regularizer=self.recurrent_regularizer,
            tuned_plans=tuned_plans[1],
            name="state_kernel",
            **shared,
        )
        self.bias = None
        self._products: tuple[Callable, ...] = ()

    def build(self, input_shape):
        self.input_kernel.build((None, None, input_shape[-1]))
        self.state_kernel.build((None, self.units))
        if self.use_bias:
            self.bias = self.add_weight(
                shape=self._bias_shape,
                name="bias",
                initializer=self._first_bias,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    @property
    def kernel(self):
        """The dense kernel of the input, in Keras' shape."""
        return self.input_kernel.kernel

    @property
    def recurrent_kernel(self):
        """The dense kernel of the state, in Keras' shape."""
        return self.state_kernel.kernel

    def project(self, sequences, training):
        """The gates' input at all steps, in one contraction.

        Args:
            sequences: Tensor `(batch, steps, features)`.
            training: Whether inputs and bonds are dropped.
        """
        masks = None
        if training and 0.0 < self.dropout < 1.0:
            masks = self.get_dropout_mask(sequences[:, 0, :])
        if isinstance(masks, list):
            masks = [ops.expand_dims(mask, 1) for mask in masks]
            kernels = self.input_kernel.each_gate(training)
            projected = _product_of(kernels, masks)(sequences)
        else:
            if masks is not None:
                sequences = sequences * ops.expand_dims(masks, 1)
            projected = self.input_kernel(sequences, training=training)
        bias = self._input_bias
        return projected if bias is None else ops.add(projected, bias)

    def plan_of_steps(self, batch, steps, training=False) -> Plan:
        """The plan by which the states of all steps meet their kernel.

        Args:
            batch: Batch size, `None` if unknown.
            steps: Number of time steps, `None` if unknown.
            training: Whether gradients are wanted.
        """
        return chosen(
            self.state_kernel,
            self.state_kernel.format.network,
            batch,
            training=training,
            rebuild_only=len(self._groups) > 1,
            uses=steps or USUAL_STEPS,
        )

    @contextlib.contextmanager
    def looping(self, steps, state, training):
        """Holds the products with the state while a loop runs.

        Args:
            steps: Number of time steps, `None` if unknown.
            state: The state before the first step.
            training: Whether states and bonds are dropped.
        """
        masks = None
        if training and 0.0 < self.recurrent_dropout < 1.0:
            masks = self.get_recurrent_dropout_mask(state)
        if masks is None and len(self._groups) == 1:
            plan = self.plan_of_steps(state.shape[0], steps, bool(training))
            products = (self.state_kernel.for_every_step(plan, training),)
        else:
            kernels = self.state_kernel.each_gate(training)
            products = tuple(
                _product_of(kernels[group], masks and masks[group])
                for group in self._groups
            )
        self._products = products
        try:
            yield
        finally:
            self._products = ()

    @property
    def _groups(self) -> tuple[slice, ...]:
        """The gates that one and the same state meets, as slices."""
        return (slice(None),)

    @property
    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    @property
    def _first_bias(self):
        return self.bias_initializer

    @property
    def _input_bias(self):
        """The bias that is added to the input's part."""
        return self.bias


def _product_of(kernels, masks):
    """The product of a tensor, masked for each gate, with their kernels."""
    if masks is None:
        kernel = ops.concatenate(kernels, axis=1)
        return lambda inputs: ops.matmul(inputs, kernel)
    return lambda inputs: ops.concatenate(
        [
            ops.matmul(inputs * mask, kernel)
            for mask, kernel in zip(masks, kernels, strict=True)
        ],
        axis=-1,
    )


class FactorizedLSTMCell(FactorizedCell, keras.layers.LSTMCell):
    """The cell of `FactorizedLSTM`; see `FactorizedCell`."""

    gates = 4

    def call(self, inputs, states, training=False):
        state, carry = states
        (product,) = self._products
        gates = ops.split(ops.add(inputs, product(state)), 4, axis=-1)
        enter, forget, output = (
            self.recurrent_activation(gates[n]) for n in (0, 1, 3)
        )
        carry = forget * carry + enter * self.activation(gates[2])
        state = output * self.activation(carry)
        return state, [state, carry]

    @property
    def _first_bias(self):
        if not self.unit_forget_bias:
            return self.bias_initializer

        def with_open_forget_gate(shape, dtype=None):
            sizes = (self.units, 2 * self.units)
            first, last = (self.bias_initializer((n,), dtype) for n in sizes)
            ones = initializers.Ones()((self.units,), dtype)
            return ops.concatenate([first, ones, last])

        return with_open_forget_gate


class FactorizedGRUCell(FactorizedCell, keras.layers.GRUCell):
    """The cell of `FactorizedGRU`; see `FactorizedCell`."""

    gates = 3

    def call(self, inputs, states, training=False):
        state = states[0]
        of_update, of_reset, of_new = ops.split(inputs, 3, axis=-1)
        inner = self._products[0](state)
        if self.reset_after and self.bias is not None:
            inner = ops.add(inner, self.bias[1])
        inner = ops.split(inner, 3 if self.reset_after else 2, axis=-1)
        update = self.recurrent_activation(of_update + inner[0])
        reset = self.recurrent_activation(of_reset + inner[1])
        if self.reset_after:
            recalled = reset * inner[2]
        else:
            recalled = self._products[1](reset * state)
        new = self.activation(of_new + recalled)
        state = update * state + (1 - update) * new
        return state, [state]

    @property
    def _groups(self) -> tuple[slice, ...]:
        if self.reset_after:
            return super()._groups
        return slice(0, 2), slice(2, 3)

    @property
    def _bias_shape(self) -> tuple[int, ...]:
        shape = super()._bias_shape
        return (2, *shape) if self.reset_after else shape

    @property
    def _input_bias(self):
        if self.bias is not None and self.reset_after:
            return self.bias[0]
        return self.bias
