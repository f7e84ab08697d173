"""What holds the cores of a layer: variables, scaled ones, or integers."""

from __future__ import annotations

import keras
from keras import ops

from tensornet_keras.layers import quantization
from tensornet_keras.layers.initializers import holding, initial_cores
from tensornet_keras.layers.switches import (
    CoreRegularizer,
    learning_rate_scales,
)


class CoreHolder(keras.layers.Layer):
    """Base class of layers that hold the cores of one network.

    Abstract: `FactorizedLayer` says what is done with the cores, and has the
    format, the switches and the initializers that this class reads.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Raises:
        ValueError: If the dtype policy is quantized, but not to int8.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        quantization.check_policy(self.dtype_policy)
        self._cores = []
        self._scales = ()
        self._integer_scales = []

    @property
    def core_variables(self) -> list:
        """The variables that hold the cores, in the network's order."""
        return list(self._cores)

    @property
    def cores(self) -> list:
        """The cores in the network's order.

        They are the variables themselves, or with `scale_learning_rates` or
        in eight bits tensors: each variable times its factors.
        """
        if self._integer_scales:
            return quantization.dequantized(
                self._cores, self._integer_scales, self.variable_dtype
            )
        if not self.scale_learning_rates:
            return self.core_variables
        return [
            scale * ops.convert_to_tensor(core)
            for core, scale in zip(self._cores, self._scales, strict=True)
        ]

    def set_cores(self, cores) -> None:
        """Gives the layer these cores.

        Args:
            cores: One array per core, in the shapes of
                `format.core_shapes`.

        Raises:
            ValueError: If the layer is not built, or a shape is another.
        """
        shapes = [tuple(core.shape) for core in cores]
        if not self.built or shapes != list(self.format.core_shapes):
            raise ValueError(
                "A built layer takes the cores of its format, of shapes "
                f"{[tuple(core.shape) for core in self._cores]}. "
                f"Received: cores of shapes {shapes}. "
                "Build the layer first and pass one array per core."
            )
        if self._integer_scales:
            quantization.assign(self._cores, self._integer_scales, cores)
            return
        for variable, core, scale in zip(
            self._cores, cores, self._scales, strict=True
        ):
            variable.assign(core if scale == 1.0 else core / scale)

    def quantize(self, mode=None, type_check=True, config=None):
        """Turns the cores into integers of eight bits, for inference.

        They take a byte a number, and compute as floats do.

        Args:
            mode: `"int8"`.
            type_check: As in Keras; does not matter here.
            config: As in Keras; only the mode of it counts.
        """
        mode = mode or getattr(config, "mode", None)
        if mode != quantization.MODE:
            raise NotImplementedError(
                f"Factorized layers are quantized to int8. Received: {mode!r}."
            )
        cores = [ops.convert_to_numpy(core) for core in self.cores]
        for core in self._cores:
            self._untrack_variable(core)
        self._add_integer_cores()
        self.set_cores(cores)
        self.dtype_policy = quantization.policy_from(self.dtype_policy)

    def _add_cores(self, input_dims, output_dims, window=()) -> None:
        """Binds the format and adds one variable per core."""
        self.format = self.format.bind(input_dims, output_dims, window)
        network = self._network()
        if self.quantization_mode is not None:
            self._add_integer_cores()
            return
        arrays = initial_cores(network, self.kernel_initializer)
        self._scales = (
            learning_rate_scales(network)
            if self.scale_learning_rates
            else (1.0,) * len(arrays)
        )
        self._cores = [
            self.add_weight(
                name=f"core_{number}",
                shape=array.shape,
                initializer=holding(array / self._scales[number]),
                regularizer=self._regularizer_of(number),
                autocast=False,
            )
            for number, array in enumerate(arrays)
        ]

    def _add_integer_cores(self) -> None:
        self._cores, self._integer_scales = quantization.add_cores(
            self, self.format.core_shapes
        )
        self._is_quantized = True

    def quantized_call(self, *args, **kwargs):
        """The call of a quantized layer: as of any, on floats.

        Args:
            *args: Arguments of `call`.
            **kwargs: Arguments of `call`.
        """
        return self.call(*args, **kwargs)

    def _regularizer_of(self, number: int):
        """What penalizes a core, once however often the layer is called."""
        if not self.rank_penalty and self._scales[number] == 1.0:
            return self.kernel_regularizer
        return CoreRegularizer(self, number)
