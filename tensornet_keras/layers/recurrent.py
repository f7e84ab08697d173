"""Recurrent layers whose two kernels are networks of cores.

Yang et al. 2017, "Tensor-Train Recurrent Neural Networks for Video
Classification" (arXiv 1707.01786), for the kernel of the input; Tjandra et
al. 2017 (arXiv 1705.08052) for both kernels.
"""

from __future__ import annotations

import keras

from tensornet_keras.layers.recurrent_base import (
    FactorizedRecurrent,
    arguments_of,
    of_cell,
)
from tensornet_keras.layers.recurrent_cells import (
    FactorizedGRUCell,
    FactorizedLSTMCell,
)


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedLSTM(FactorizedRecurrent):
    """A `keras.layers.LSTM` whose two kernels are networks of cores.

    The kernels `(features, 4 * units)` and `(units, 4 * units)` have the four
    gates as a dimension of their own. The whole sequence meets the input's
    cores in one contraction before the loop; inside it only the state meets
    its cores, and what can be merged among them is merged once.

    Args:
        units: Size of the state and of the output.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict, for the kernel of the input.
        recurrent_format: The same for the kernel of the state. `None` is
            `format`, which then must not be bound.
        **kwargs: The other arguments of `keras.layers.LSTM` (`activation`,
            `recurrent_activation`, `use_bias`, `unit_forget_bias`, the
            initializers and regularizers, `bias_constraint`, `dropout`,
            `recurrent_dropout`, `seed`, `return_sequences`, `return_state`,
            `go_backwards`, `stateful`, `unroll`, `name`, `dtype`,
            `trainable`), and of `FactorizedLayer` (`planning_batch`,
            `max_memory`, `bond_dropout`, `rank_penalty`,
            `scale_learning_rates`, `recompute`, which acts on the input's
            part, and `tuned_plans`, a dict of those of the `kernel` and those
            of the `recurrent_kernel`). Regularizers act on each core.
            Constraints of kernels and cuDNN are refused.

    Input shape:
        `(batch, steps, features)`.

    Output shape:
        `(batch, units)`, or `(batch, steps, units)` with
        `return_sequences`; with `return_state` a list of it and the two
        states.

    Raises:
        ValueError: If an argument is refused, a format has no rank, or its
            modes do not fit the sizes.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedLSTM(64, tk.formats.TensorTrain(rank=4))
    >>> tuple(layer(keras.ops.ones((2, 5, 100))).shape)
    (2, 64)
    >>> layer.format.output_dims, tuple(layer.recurrent_kernel.shape)
    ((4, 64), (64, 256))

    Reference:
        Tjandra et al. 2017, https://arxiv.org/abs/1705.08052;
        Yang et al. 2017, https://arxiv.org/abs/1707.01786.
    """

    _cell_class = FactorizedLSTMCell
    _arguments = arguments_of(keras.layers.LSTMCell)

    unit_forget_bias = of_cell("unit_forget_bias")


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedGRU(FactorizedRecurrent):
    """A `keras.layers.GRU` whose two kernels are networks of cores.

    As `FactorizedLSTM`, with three gates. With `reset_after=False` the state
    meets its kernel twice a step, gate by gate, so that this kernel is
    rebuilt once a call.

    Args:
        units: Size of the state and of the output.
        format: A `Format` such as `TensorTrain(rank=8)`, or its plain-data
            dict, for the kernel of the input.
        recurrent_format: The same for the kernel of the state. `None` is
            `format`, which then must not be bound.
        **kwargs: The other arguments of `keras.layers.GRU` (those of the
            LSTM, without `unit_forget_bias` and with `reset_after`), and of
            `FactorizedLayer`, as in `FactorizedLSTM`.

    Input shape:
        `(batch, steps, features)`.

    Output shape:
        `(batch, units)`, or `(batch, steps, units)` with
        `return_sequences`; with `return_state` a list of it and the state.

    Raises:
        ValueError: If an argument is refused, a format has no rank, or its
            modes do not fit the sizes.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedGRU(64, tk.formats.TensorTrain(rank=4))
    >>> tuple(layer(keras.ops.ones((2, 5, 100))).shape)
    (2, 64)
    >>> tuple(layer.kernel.shape), tuple(layer.recurrent_kernel.shape)
    ((100, 192), (64, 192))

    Reference:
        Tjandra et al. 2017, https://arxiv.org/abs/1705.08052.
    """

    _cell_class = FactorizedGRUCell
    _arguments = arguments_of(keras.layers.GRUCell)

    reset_after = of_cell("reset_after")
