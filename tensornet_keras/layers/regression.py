"""Tensor contraction and tensor regression layers.

Kossaifi et al. 2020, "Tensor Regression Networks" (arXiv 1707.08308): the
activations of a network stay a tensor, in place of a long flattened vector.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import keras
from keras import ops

from tensornet_keras import validation
from tensornet_keras.contraction import Plan
from tensornet_keras.formats import CP, Format
from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.planning import chosen, static_shape
from tensornet_keras.network import Leg, TensorNetwork


class _TensorLayer(FactorizedLayer):
    """What both layers share: an input of several axes, all contracted."""

    _output_dims: tuple[int, ...]

    def call(self, inputs, training=None):
        inputs = ops.cast(inputs, self.compute_dtype)
        plan = self._plan_for(static_shape(inputs), bool(training))
        rows = ops.reshape(inputs, (-1, self.format.input_size))
        outputs = self._contract(rows, plan, training=training)
        outputs = ops.reshape(outputs, (-1, *self.format.output_dims))
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    @property
    def kernel(self):
        """The dense weight, with an axis for each of input and output."""
        shape = (*self._built_shape[1:], *self._output_dims)
        return ops.reshape(super().kernel, shape)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self._output_dims)

    def _build_for(self, input_shape) -> None:
        """Adds the cores and the bias for inputs of this shape."""
        self._built_shape = tuple(input_shape)
        self._add_cores(self._built_shape[1:], self._output_dims)
        self._add_bias(self._output_dims)
        axes = dict(enumerate(self._built_shape[1:], start=1))
        self.input_spec = keras.layers.InputSpec(
            ndim=len(input_shape), axes=axes
        )
        self._end_build()

    def _plan_for(self, input_shape, training=False) -> Plan:
        return chosen(
            self, self.format.network, input_shape[0], training=training
        )


def _refuse_unknown(input_shape) -> None:
    if None in input_shape[1:]:
        raise ValueError(
            "Every axis of the input but the batch must be known. "
            f"Received: input_shape={tuple(input_shape)}. "
            "Name these sizes in the model's Input."
        )


@keras.saving.register_keras_serializable(package="tensornet_keras")
class TensorRegression(_TensorLayer):
    r"""Tensor regression layer (TRL): outputs from a tensor, not a vector.

    Stands for `Flatten` and `Dense` in one: every output is the inner product
    of the input tensor with a weight tensor of the same shape,

    $$y_j = f\Big(\sum_{i_1 \dots i_N} X[i_1, \dots, i_N]\,
    W[i_1, \dots, i_N, j] + b_j\Big),$$

    and `W` is a network of cores. `Tucker` and `CP`, as in the paper, take
    the dimensions of the input as their modes; the other formats split the
    larger ones.

    Args:
        units: Number of outputs.
        format: A `Format` with a rank, such as `Tucker(rank=(5, 5, 10, 8))`
            (a rank for each dimension of the input, then one for the
            output), or its plain-data dict.
        activation: Activation function, as in Keras.
        use_bias: Whether to add a bias.
        **kwargs: Arguments of `FactorizedLayer`, such as
            `kernel_initializer`, `kernel_regularizer` and `name`.

    Input shape:
        `(batch, d1, ..., dN)`, all but the batch known.

    Output shape:
        `(batch, units)`.

    Raises:
        ValueError: If an argument is refused, the format has no rank, or its
            modes do not fit the sizes.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TensorRegression(
    ...     10, tk.formats.Tucker(rank=(3, 3, 16, 8)), activation="softmax"
    ... )
    >>> tuple(layer(keras.ops.ones((2, 7, 7, 64))).shape)
    (2, 10)
    >>> layer.format.num_params, layer.format.dense_params
    (2298, 31360)

    Reference:
        Kossaifi et al. 2020, https://arxiv.org/abs/1707.08308.
    """

    def __init__(self, units, format, activation=None, use_bias=True, **kwargs):
        super().__init__(
            format, activation=activation, use_bias=use_bias, **kwargs
        )
        self.units = validation.positive_integer(units, "units")
        self._output_dims = (self.units,)

    def build(self, input_shape):
        _refuse_unknown(input_shape)
        self.format = _with_natural_modes(
            self.format, tuple(input_shape[1:]), self.units
        )
        self._build_for(input_shape)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def _with_natural_modes(format: Format, dims: tuple[int, ...], units: int):
    """The format with the input's dimensions as modes, where it takes them."""
    if (
        len(dims) == 1
        or format.is_bound
        or not isinstance(format, TensorizedFormat)
        or format.input_modes is not None
        or format.output_modes is not None
    ):
        return format
    modes = {"input_modes": dims, "output_modes": (units,)}
    if isinstance(format, CP) and format.pair_modes is None:
        modes["pair_modes"] = False
    try:
        return dataclasses.replace(format, **modes)
    except ValueError:
        # Formats that pair the modes of both sides choose their own.
        return format


@dataclass(frozen=True, repr=False)
class FactorPerMode(Format):
    """A factor for every mode, joined by no bond: one Kronecker product.

    Args:
        rank: `()`, for there are no bonds.
    """

    name: ClassVar[str] = "factor_per_mode"

    rank: tuple[int, ...] = ()

    @property
    def num_bonds(self) -> int:
        return 0

    @cached_property
    def network(self) -> TensorNetwork:
        """The factors of a bound format, of shapes `(d, r)`."""
        pairs = tuple(
            (Leg(f"i{k}", size, "in"), Leg(f"j{k}", rank, "out"))
            for k, (size, rank) in enumerate(
                zip(self.input_dims, self.output_dims, strict=True), start=1
            )
        )
        return TensorNetwork(
            cores=tuple((i.label, j.label) for i, j in pairs),
            legs=tuple(leg for pair in pairs for leg in pair),
        )

    def describe_modes(self) -> str:
        sides = (self.input_dims, self.output_dims)
        return " x ".join("·".join(map(str, side)) for side in sides)

    def _shaped(self, input_dims, output_dims, window):
        return dataclasses.replace(
            self,
            input_dims=input_dims,
            output_dims=output_dims,
            window=window,
        )


@keras.saving.register_keras_serializable(package="tensornet_keras")
class TensorContraction(_TensorLayer):
    r"""Tensor contraction layer (TCL): a smaller tensor of as many modes.

    Every mode of the input is multiplied by a factor of its own,

    $$Y[j_1, \dots, j_N] = f\Big(\sum_{i_1 \dots i_N} X[i_1, \dots, i_N]\,
    V_1[i_1, j_1] \cdots V_N[i_N, j_N] + b[j_1, \dots, j_N]\Big),$$

    with `V_k` of shape `(d_k, r_k)`. Which mode goes first is planned.

    Args:
        output_shape: Sizes `(r1, ..., rN)` of the output, one for each mode
            of the input.
        activation: Activation function, as in Keras.
        use_bias: Whether to add a bias. The paper has none.
        **kwargs: Arguments of `FactorizedLayer`, such as
            `kernel_initializer`, `kernel_regularizer` and `name`; those that
            act on bonds (`bond_dropout`, `rank_penalty`) are refused.

    Input shape:
        `(batch, d1, ..., dN)`, all but the batch known.

    Output shape:
        `(batch, r1, ..., rN)`.

    Raises:
        ValueError: If an argument is refused, or the input has another
            number of modes.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.TensorContraction((4, 4, 32))
    >>> tuple(layer(keras.ops.ones((2, 7, 7, 64))).shape)
    (2, 4, 4, 32)
    >>> [tuple(core.shape) for core in layer.cores]
    [(7, 4), (7, 4), (64, 32)]

    Reference:
        Kossaifi et al. 2020, https://arxiv.org/abs/1707.08308.
    """

    takes_adapters = False

    def __init__(self, output_shape, activation=None, use_bias=False, **kwargs):
        for name in ("bond_dropout", "rank_penalty"):
            if kwargs.get(name):
                raise ValueError(
                    f"A tensor contraction has no bonds, so no `{name}`. "
                    f"Received: {name}={kwargs[name]!r}. Leave it out."
                )
        super().__init__(
            FactorPerMode(),
            activation=activation,
            use_bias=use_bias,
            **kwargs,
        )
        self._output_dims = validation.integer_tuple(
            output_shape, "output_shape"
        )

    def build(self, input_shape):
        _refuse_unknown(input_shape)
        if len(input_shape) != len(self._output_dims) + 1:
            raise ValueError(
                "`output_shape` must have one size for every mode of the "
                f"input. Received: output_shape={self._output_dims} for "
                f"input_shape={tuple(input_shape)}. "
                f"Pass {len(input_shape) - 1} sizes."
            )
        self._build_for(input_shape)

    def get_config(self):
        config = super().get_config()
        del config["format"]
        return {**config, "output_shape": self._output_dims}
