"""The base of the recurrent layers: Keras' loop around a cell of ours."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import ClassVar

import keras
from keras import regularizers

from tensornet_keras import formats, validation
from tensornet_keras.contraction import Plan
from tensornet_keras.layers.arguments import refuse, trainable_format
from tensornet_keras.layers.recurrent_cells import FactorizedCell

SWITCHES = (
    "planning_batch",
    "max_memory",
    "bond_dropout",
    "rank_penalty",
    "scale_learning_rates",
    "recompute",
)
# The kernels of a layer, as Keras calls them.
KERNELS = ("kernel", "recurrent_kernel")


def arguments_of(keras_cell) -> tuple[str, ...]:
    """The arguments of one of Keras' cells but for its units.

    Args:
        keras_cell: A class such as `keras.layers.LSTMCell`.
    """
    names = inspect.signature(keras_cell.__init__).parameters
    own = tuple(x for x in names if x not in ("self", "units", "kwargs"))
    return (*own, "implementation")


def of_cell(name: str) -> property:
    """An attribute that the layer's cell holds.

    Args:
        name: Name of the attribute.
    """
    return property(lambda layer: getattr(layer.cell, name))


class FactorizedRecurrent(keras.layers.RNN):
    """Base of the recurrent layers whose kernels are networks of cores.

    Abstract: use `FactorizedLSTM` or `FactorizedGRU`.

    Args:
        units: Size of the state and of the output.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict, for the kernel of the input.
        recurrent_format: The same for the kernel of the state. `None` is
            `format`.
        **kwargs: Arguments of the Keras layer and of `FactorizedLayer`.
    """

    _cell_class: ClassVar[type[FactorizedCell]]
    _arguments: ClassVar[tuple[str, ...]]

    units = of_cell("units")
    activation = of_cell("activation")
    recurrent_activation = of_cell("recurrent_activation")
    use_bias = of_cell("use_bias")
    kernel_initializer = of_cell("kernel_initializer")
    recurrent_initializer = of_cell("recurrent_initializer")
    bias_initializer = of_cell("bias_initializer")
    kernel_regularizer = of_cell("kernel_regularizer")
    recurrent_regularizer = of_cell("recurrent_regularizer")
    bias_regularizer = of_cell("bias_regularizer")
    bias_constraint = of_cell("bias_constraint")
    dropout = of_cell("dropout")
    recurrent_dropout = of_cell("recurrent_dropout")

    def __init__(self, units, format, recurrent_format=None, **kwargs):
        refuse(kwargs)
        _refuse_cudnn(kwargs)
        units = validation.positive_integer(units, "units")
        self._shares_format = recurrent_format is None
        if recurrent_format is None:
            recurrent_format = format
        for_cell = _taken(kwargs, self._arguments)
        switches = _taken(kwargs, SWITCHES)
        tuned = _plans_of_kernels(kwargs.pop("tuned_plans", None))
        for name in ("dtype", "trainable"):
            if name in kwargs:
                for_cell[name] = kwargs[name]
        cell = self._cell_class(
            units,
            trainable_format(format),
            trainable_format(recurrent_format),
            switches,
            tuned,
            name="cell",
            **for_cell,
        )
        super().__init__(cell, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, sequences_shape, initial_state_shape=None):
        if sequences_shape[-1] is None:
            raise ValueError(
                "The last axis of a recurrent layer's input must be known. "
                f"Received: input_shape={tuple(sequences_shape)}. "
                "Name its size in the model's Input."
            )
        try:
            super().build(sequences_shape, initial_state_shape)
        except ValueError as problem:
            if not self._shares_format or not self.format.is_bound:
                raise
            raise ValueError(
                f"{problem} This is the kernel of the state: modes and ranks "
                "for it alone go into recurrent_format=."
            ) from problem
        self.cell.input_kernel.meets(sequences_shape)
        self.input_spec = keras.layers.InputSpec(
            ndim=3, axes={-1: sequences_shape[-1]}
        )

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if isinstance(mask, (list, tuple)):
            mask = mask[0]
        projected = self.cell.project(sequences, training)
        steps, state = sequences.shape[1], initial_state[0]
        with self.cell.looping(steps, state, training):
            return super().inner_loop(projected, initial_state, mask, training)

    @property
    def format(self) -> formats.Format:
        """The format of the input's kernel, bound once the layer is built."""
        return self.cell.input_kernel.format

    @property
    def recurrent_format(self) -> formats.Format:
        """The format of the state's kernel, bound once the layer is built."""
        return self.cell.state_kernel.format

    @property
    def core_variables(self) -> list:
        """The variables of all cores, the input's kernel first."""
        return [
            variable
            for kernel in self._kernels
            for variable in kernel.core_variables
        ]

    @property
    def cores(self) -> list:
        """The cores of both kernels, those of the input's kernel first."""
        return [core for kernel in self._kernels for core in kernel.cores]

    def set_cores(self, cores) -> None:
        """Gives the layer these cores.

        Args:
            cores: One array per core, in the shapes of `format.core_shapes`
                and then of `recurrent_format.core_shapes`.

        Raises:
            ValueError: If the layer is not built, or a shape is another.
        """
        count = len(self.cell.input_kernel.core_variables)
        self.cell.input_kernel.set_cores(cores[:count])
        self.cell.state_kernel.set_cores(cores[count:])

    @property
    def kernel(self):
        """The dense kernel of the input, `(features, gates * units)`."""
        return self.cell.kernel

    @property
    def recurrent_kernel(self):
        """The dense kernel of the state, `(units, gates * units)`."""
        return self.cell.recurrent_kernel

    @property
    def bias(self):
        """The bias in the shape of Keras' layer, or `None`."""
        return self.cell.bias

    def plan(self, input_shape=None) -> Plan:
        """The plan by which the whole sequence meets the input's kernel.

        Args:
            input_shape: `(batch, steps, features)`, with `None` for unknown
                sizes; `None` is the shape the layer was built with, and an
                unknown batch.

        Returns:
            The plan.

        Raises:
            ValueError: If the layer is not built.
        """
        if input_shape is None:
            return self.cell.input_kernel.plan()
        return self.cell.input_kernel.plan(tuple(input_shape))

    def recurrent_plan(self, batch=None, steps=None) -> Plan:
        """The plan by which the states of all steps meet their kernel.

        In training with `recurrent_dropout` the kernel is rebuilt instead,
        once a call.

        Args:
            batch: Batch size. `None` if unknown.
            steps: Number of time steps. `None` if unknown.

        Returns:
            The plan, whose cost is that of all steps.

        Raises:
            ValueError: If the layer is not built.
        """
        self.cell.state_kernel.plan()
        return self.cell.plan_of_steps(batch, steps)

    @property
    def tuned_plans(self) -> dict[str, dict]:
        """The plans that `autotune` has found, by the name of the kernel."""
        return {
            name: dict(kernel.tuned_plans)
            for name, kernel in zip(KERNELS, self._kernels, strict=True)
        }

    @property
    def _kernels(self) -> tuple:
        return self.cell.input_kernel, self.cell.state_kernel

    def get_config(self):
        config = super().get_config()
        del config["cell"]
        of_cell = self.cell.get_config()
        for name in self._arguments:
            if name in of_cell:
                config[name] = of_cell[name]
        for name in ("kernel_constraint", "recurrent_constraint"):
            config.pop(name, None)
        kernel = self.cell.input_kernel
        config.update(
            {name: getattr(kernel, name) for name in SWITCHES},
            units=self.units,
            format=self.format.to_config(),
            recurrent_format=self.recurrent_format.to_config(),
            tuned_plans=self.tuned_plans,
            activity_regularizer=regularizers.serialize(
                self.activity_regularizer
            ),
        )
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _taken(kwargs: dict, names) -> dict:
    """Takes these arguments out of `kwargs`."""
    return {name: kwargs.pop(name) for name in names if name in kwargs}


def _plans_of_kernels(tuned) -> list:
    """The tuned plans of every kernel, from a config."""
    tuned = {} if tuned is None else tuned
    if not isinstance(tuned, Mapping) or not set(tuned) <= set(KERNELS):
        raise ValueError(
            "`tuned_plans` of a recurrent layer must be a dict with the plans "
            "of its `kernel` and of its `recurrent_kernel`. "
            f"Received: tuned_plans={tuned!r}. Let `autotune` find plans."
        )
    return [tuned.get(name) for name in KERNELS]


def _refuse_cudnn(kwargs: dict) -> None:
    asked = kwargs.pop("use_cudnn", "auto")
    if asked not in ("auto", False):
        raise ValueError(
            "A factorized layer never runs on cuDNN, which takes dense "
            f"kernels only. Received: use_cudnn={asked!r}. "
            "Leave use_cudnn out."
        )
