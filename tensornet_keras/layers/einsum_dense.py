"""An einsum layer whose kernel is a network of cores."""

from __future__ import annotations

import math

import keras
from keras import ops

from tensornet_keras import validation
from tensornet_keras.contraction import Plan
from tensornet_keras.layers.einsum_equation import EinsumEquation
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.planning import chosen, static_shape


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedEinsumDense(FactorizedLayer):
    """A `keras.layers.EinsumDense` whose kernel is a network of cores.

    The projections of attention are of this kind: `"abc,cde->abde"` makes
    queries, keys and values of `d` heads of size `e`, and `"abde,dec->abc"`
    joins the heads. The kernel is factorized as a matrix from the axes that
    are summed over to those that are added; a format that splits axes into
    modes keeps heads and head size apart. Axes that input, kernel and output
    share make a stack of such matrices, which is factorized like a window.

    Args:
        equation: An einsum equation of one input and one kernel, such as
            `"abc,cd->abd"` or `"...x,xy->...y"`.
        output_shape: The output's shape without the batch and without axes
            that dots leave out; `None` for axes that the input gives.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict.
        activation: Activation function, as in Keras.
        bias_axes: The output axes that have a bias, such as `"de"`; `None`
            is no bias.
        **kwargs: The other arguments of `keras.layers.EinsumDense`
            (`kernel_initializer`, `bias_initializer`, `kernel_regularizer`,
            `bias_regularizer`, `bias_constraint`, `lora_rank`, `lora_alpha`,
            `name`, `dtype`, `trainable`) and of `FactorizedLayer`. A
            `kernel_constraint` is refused.

    Input shape:
        As the equation says; every axis of the kernel must be known.

    Output shape:
        As the equation says.

    Raises:
        ValueError: If the equation is of another form, an argument is
            refused, or the format does not fit the sizes.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedEinsumDense(
    ...     "abc,cde->abde",
    ...     (None, 8, 16),
    ...     tk.formats.TensorTrain(rank=4),
    ...     bias_axes="de",
    ... )
    >>> tuple(layer(keras.ops.ones((2, 10, 128))).shape)
    (2, 10, 8, 16)
    >>> tuple(layer.kernel.shape), layer.format.output_modes
    ((128, 8, 16), (8, 4, 4))

    Reference:
        Novikov et al. 2015, https://arxiv.org/abs/1509.06569, section 4.
    """

    def __init__(
        self,
        equation,
        output_shape,
        format,
        activation=None,
        bias_axes=None,
        **kwargs,
    ):
        super().__init__(
            format,
            activation=activation,
            use_bias=bias_axes is not None,
            **kwargs,
        )
        if validation.is_integer(output_shape):
            output_shape = (output_shape,)
        self.equation = equation
        self.partial_output_shape = tuple(output_shape)
        self.bias_axes = bias_axes
        self.input_spec = None
        if "..." not in equation:
            EinsumEquation.parse(equation)

    def build(self, input_shape):
        sizes = self._sizes(input_shape)
        equation = self._parsed(len(input_shape))
        unknown = [x for x in equation.kernel if sizes[x] is None]
        if unknown:
            raise ValueError(
                "Every axis of the kernel must have a known size. "
                f"Received: input_shape={tuple(input_shape)}, "
                f"output_shape={self.partial_output_shape}, which leave "
                f"{unknown} unknown. Name these sizes."
            )
        self._built_shape = tuple(input_shape)
        self._add_cores(
            *(
                tuple(sizes[label] for label in labels)
                for labels in (equation.contracted, equation.new)
            ),
            tuple(sizes[label] for label in equation.batch),
        )
        if self.bias_axes is not None:
            self._add_bias(self._bias_shape(equation, sizes))
        axes = {
            axis: sizes[label]
            for axis, label in enumerate(equation.inputs)
            if label in equation.kernel
        }
        self.input_spec = keras.layers.InputSpec(
            ndim=len(input_shape), axes=axes
        )
        self._end_build()

    def call(self, inputs, training=None):
        inputs = ops.cast(inputs, self.compute_dtype)
        equation = self._parsed(len(inputs.shape))
        sizes = self._sizes(static_shape(inputs))
        shape = dict(zip(equation.inputs, ops.shape(inputs), strict=True))
        plan = self._plan_for(static_shape(inputs), bool(training))
        order = (*equation.free, *equation.batch, *equation.contracted)
        moved = _permuted(inputs, equation.inputs, order)
        leading = [shape[label] for label in (*equation.free, *equation.batch)]
        summed = math.prod(sizes[label] for label in equation.contracted)
        outputs = self._contract(
            ops.reshape(moved, (*leading, summed)), plan, training=training
        )
        new = [sizes[label] for label in equation.new]
        outputs = ops.reshape(outputs, (*leading, *new))
        order = (*equation.free, *equation.batch, *equation.new)
        outputs = _permuted(outputs, order, equation.outputs)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    @property
    def kernel(self):
        """The dense kernel that the cores stand for, in Keras' shape."""
        stack = super().kernel
        equation = self._parsed(len(self._built_shape))
        sizes = self._sizes(self._built_shape)
        labels = (*equation.batch, *equation.contracted, *equation.new)
        stack = ops.reshape(stack, [sizes[label] for label in labels])
        return _permuted(stack, labels, equation.kernel)

    def compute_output_shape(self, input_shape):
        sizes = self._sizes(input_shape)
        equation = self._parsed(len(input_shape))
        return tuple(sizes[label] for label in equation.outputs)

    def get_config(self):
        config = super().get_config()
        del config["use_bias"]
        config.update(
            equation=self.equation,
            output_shape=self.partial_output_shape,
            bias_axes=self.bias_axes,
        )
        return config

    def _parsed(self, ndim: int) -> EinsumEquation:
        return EinsumEquation.parse(self.equation, ndim)

    def _sizes(self, input_shape) -> dict:
        """Sizes of all labels for an input of this shape."""
        equation = self._parsed(len(input_shape))
        sizes = dict(zip(equation.inputs, input_shape, strict=True))
        # The output's first axis is the batch, which its shape leaves out.
        named = [x for x in equation.outputs if not x.startswith(".")]
        first = named if equation.outputs[0].startswith(".") else named[1:]
        if len(first) != len(self.partial_output_shape):
            raise ValueError(
                "`output_shape` must have one entry per axis of the output, "
                f"without the batch: {len(first)} for {self.equation!r}. "
                f"Received: output_shape={self.partial_output_shape}. "
                "Put None where the input gives the size."
            )
        for label, size in zip(first, self.partial_output_shape, strict=True):
            known = sizes.get(label)
            if size is not None and known is not None and size != known:
                raise ValueError(
                    f"Axis {label!r} must have one size. Received: "
                    f"input_shape={tuple(input_shape)}, "
                    f"output_shape={self.partial_output_shape}. "
                    "Put None in the output's shape."
                )
            sizes[label] = known if size is None else size
        return sizes

    def _bias_shape(self, equation: EinsumEquation, sizes) -> tuple[int, ...]:
        """The bias' shape: as Keras', from the first axis that has one."""
        missing = [x for x in self.bias_axes if x not in equation.outputs]
        if missing or any(sizes[x] is None for x in self.bias_axes):
            raise ValueError(
                "`bias_axes` must be axes of the output of known size. "
                f"Received: bias_axes={self.bias_axes!r} for "
                f"{self.equation!r}. Name axes such as "
                f"{''.join(equation.new)!r}."
            )
        first = min(equation.outputs.index(x) for x in self.bias_axes)
        return tuple(
            sizes[label] if label in self.bias_axes else 1
            for label in equation.outputs[first:]
        )

    def _met(self, network):
        return network.with_kind("window", "batch")

    def _plan_for(self, input_shape, training=False) -> Plan:
        equation = self._parsed(len(input_shape))
        free = [
            size
            for label, size in zip(equation.inputs, input_shape, strict=True)
            if label in equation.free
        ]
        batch = free[0] if free else 1
        rows = tuple(size or 1 for size in free[1:])
        if None in input_shape[1:]:
            batch = None
        return chosen(
            self, self._network(), batch, (rows, rows), training=training
        )


def matrix_of(kernel, equation: EinsumEquation):
    """An einsum kernel as a matrix, or as a stack of them.

    Args:
        kernel: An array, its axes in the order of the equation's kernel.
        equation: The parsed equation.

    Returns:
        An array of shape `(*batch, input, output)`, and the dimensions of
        its input side and of its output side.
    """
    sizes = dict(zip(equation.kernel, kernel.shape, strict=True))
    sides = (equation.batch, equation.contracted, equation.new)
    axes = [equation.kernel.index(label) for side in sides for label in side]
    stack, *dims = (tuple(sizes[label] for label in side) for side in sides)
    shape = (*stack, *map(math.prod, dims))
    return kernel.transpose(axes).reshape(shape), tuple(dims)


def kernel_of(matrix, equation: EinsumEquation, shape):
    """The einsum kernel that is a matrix, or a stack of them.

    Args:
        matrix: An array as `matrix_of` returns it.
        equation: The parsed equation.
        shape: Shape of the kernel.

    Returns:
        An array of that shape.
    """
    sizes = dict(zip(equation.kernel, shape, strict=True))
    labels = (*equation.batch, *equation.contracted, *equation.new)
    axes = [labels.index(label) for label in equation.kernel]
    return matrix.reshape([sizes[x] for x in labels]).transpose(axes)


def _permuted(tensor, labels, order):
    """A tensor with its axes in another order."""
    axes = [labels.index(label) for label in order]
    if axes == sorted(axes):
        return tensor
    return ops.transpose(tensor, axes)
