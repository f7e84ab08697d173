"""Embeddings whose table is a network of cores.

Hrinchuk et al. 2020, "Tensorized Embedding Layers" (arXiv 1901.10787): the
digits of an id pick a slice of every core, and the slices are joined.
"""

from __future__ import annotations

import math

import keras
from keras import initializers, ops

from tensornet_keras import backend, validation
from tensornet_keras.contraction import Plan
from tensornet_keras.layers.factorized import FactorizedLayer
from tensornet_keras.layers.initializers import check_initializer
from tensornet_keras.layers.planning import (
    chosen,
    static_shape,
    without_sizes,
)

# From so many ids on, finding the distinct ones costs less than it saves.
LEAST_IDS = 256
# What an unknown size is taken for, as a printed plan does.
USUAL_SIZE = 32

_REFUSED = {
    "embeddings_constraint": "Use embeddings_regularizer, which acts on each "
    "core.",
    "weights": "Factorize a table by `convert_layer`, or `decompose` it and "
    "pass its cores to `set_cores`.",
}
# Arguments of the base class that say something about sums or a bias.
_NOT_OF_A_TABLE = (
    *("activation", "use_bias", "kernel_initializer", "kernel_regularizer"),
    *("bias_initializer", "bias_regularizer", "bias_constraint"),
)


@keras.saving.register_keras_serializable(package="tensornet_keras")
class FactorizedEmbedding(FactorizedLayer):
    """A `keras.layers.Embedding` whose table is a network of cores.

    Looks up only the rows that the ids ask for: the digits of an id pick a
    slice of every core, and the slices are joined. The table itself is never
    held. A vocabulary that does not factor is padded; ids of the padding are
    refused like any other that is out of range.

    Args:
        input_dim: Size of the vocabulary, the largest id plus one.
        output_dim: Size of an embedding.
        format: A `Format` such as `TensorTrain(rank=16)`, or its plain-data
            dict.
        embeddings_initializer: Initializer whose variance the table gets; of
            the variance-scaling family, `RandomNormal`, `RandomUniform`,
            `TruncatedNormal` or `Zeros`.
        embeddings_regularizer: Regularizer of each core.
        mask_zero: Whether id 0 is padding, to be masked.
        deduplicate: Whether an id that the input repeats is computed once.
            `None` does so where it is likely to pay: with 256 ids or more,
            and on JAX, where shapes are fixed, with twice as many ids as the
            vocabulary has.
        **kwargs: `planning_batch`, `max_memory`, `bond_dropout`,
            `rank_penalty`, `scale_learning_rates` and `recompute` as in
            `FactorizedLayer`, and the arguments of `keras.layers.Layer`
            (`name`, `dtype`, `trainable`, `activity_regularizer`), and
            `lora_rank` and `lora_alpha` as Keras'. An
            `embeddings_constraint` and `weights` are refused.

    Input shape:
        Ids of any shape, `(batch, ...)`.

    Output shape:
        `(batch, ..., output_dim)`.

    Raises:
        ValueError: If an argument is refused, the format has no rank, its
            modes do not fit the sizes, or, in eager mode on a CPU, an id is
            out of range. Compiled, such an id is the backend's own error or
            a row of NaN.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.FactorizedEmbedding(
    ...     50257, 768, tk.formats.TensorTrain(rank=16)
    ... )
    >>> tuple(layer(np.array([[3, 14], [15, 50256]])).shape)
    (2, 2, 768)
    >>> layer.format.dense_params // layer.count_params() > 100
    True

    Reference:
        Hrinchuk et al. 2020, https://arxiv.org/abs/1901.10787, section 3.
    """

    def __init__(
        self,
        input_dim,
        output_dim,
        format,
        embeddings_initializer="uniform",
        embeddings_regularizer=None,
        mask_zero=False,
        deduplicate=None,
        **kwargs,
    ):
        _refuse(kwargs)
        initializer = initializers.get(embeddings_initializer)
        _check_initializer(initializer)
        super().__init__(
            format,
            use_bias=False,
            kernel_initializer=initializer,
            kernel_regularizer=embeddings_regularizer,
            **kwargs,
        )
        self.input_dim = validation.positive_integer(input_dim, "input_dim")
        self.output_dim = validation.positive_integer(output_dim, "output_dim")
        self.mask_zero = validation.boolean(mask_zero, "mask_zero")
        if deduplicate is not None:
            validation.boolean(deduplicate, "deduplicate")
        self.deduplicate = deduplicate
        self.supports_masking = self.mask_zero
        # Ids that come as floats must not be rounded to 16 bits.
        self.autocast = False
        self.input_spec = keras.layers.InputSpec(min_ndim=0)

    @property
    def embeddings_initializer(self):
        """The initializer whose variance the table gets."""
        return self.kernel_initializer

    @property
    def embeddings_regularizer(self):
        """The regularizer of each core."""
        return self.kernel_regularizer

    @property
    def embeddings(self):
        """The dense table that the cores stand for."""
        return self.kernel

    def build(self, input_shape=None):
        # Like Keras' layer, this one can be built without a shape.
        known = input_shape is not None
        self._built_shape = tuple(input_shape) if known else (None,)
        self._add_cores((self.input_dim,), (self.output_dim,))
        self._end_build()

    def call(self, inputs, training=None):
        ids = ops.convert_to_tensor(inputs)
        dtype = keras.backend.standardize_dtype(ids.dtype)
        if dtype not in ("int32", "int64"):
            ids = ops.cast(ids, "int32")
        checked = self._check(ids)
        shape = static_shape(ids)
        plan = self._plan_for(shape, bool(training))
        if not self._deduplicates(shape):
            rows = self._contract(ids, plan, training=training)
            return rows if checked else self._marked(rows, ids)
        flat = ops.reshape(ids, (-1,))
        if not checked:
            # One id stands for all that are out of range.
            flat = ops.where(self._known(flat), flat, self.input_dim)
        most = min(math.prod(size or 1 for size in shape), self.input_dim + 1)
        distinct, places = backend.unique(flat, most)
        if distinct.shape[0] is None and backend.compiles_by_xla():
            # It neither cuts nor branches on what the ids themselves say, so
            # that a plan in parts, for a `max_memory`, runs whole.
            plan = without_sizes(plan)
        rows = self._contract(distinct, plan, training=training)
        rows = rows if checked else self._marked(rows, distinct)
        rows = ops.take(rows, places, axis=0)
        return ops.reshape(rows, (*_leading(ids), self.output_dim))

    def compute_mask(self, inputs, mask=None):
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self):
        config = super().get_config()
        config["embeddings_initializer"] = config["kernel_initializer"]
        config["embeddings_regularizer"] = config["kernel_regularizer"]
        for name in _NOT_OF_A_TABLE:
            del config[name]
        config.update(
            input_dim=self.input_dim,
            output_dim=self.output_dim,
            mask_zero=self.mask_zero,
            deduplicate=self.deduplicate,
        )
        return config

    def _met(self, network):
        return network.with_kind("in", "lookup")

    def _plan_for(self, input_shape, training=False) -> Plan:
        network = self._network()
        shape = self._planned_shape(input_shape)
        is_open = None in shape
        many = not is_open and math.prod(shape) > self.input_dim
        bound = is_open and self.max_memory is not None
        if (many or bound) and self._deduplicates(shape):
            # No more distinct ids than this can be.
            return chosen(
                self, network, self.input_dim, training=training, exact=True
            )
        return self._planned(network, input_shape, training)

    def _planned_shape(self, shape) -> tuple:
        """The shape that is planned for where inputs have this one."""
        if not shape or 0 in shape:
            return tuple(shape)
        return (self.planning_batch or shape[0], *shape[1:])

    def _planned(self, network, shape, training, way="") -> Plan:
        """The plan for rows of this static shape."""
        rows = tuple(size or 1 for size in shape[1:])
        batch = None if None in shape else (*shape, 1)[0]
        return chosen(
            self,
            network,
            batch,
            (rows, rows),
            training=training,
            way=way,
        )

    def _deduplicates(self, shape) -> bool:
        """Whether repeated ids of this shape are computed once."""
        shape = self._planned_shape(shape)
        if self.deduplicate is not None:
            return self.deduplicate and 0 not in shape
        count = math.prod(USUAL_SIZE if n is None else n for n in shape)
        if backend.has_static_shapes():
            return count >= 2 * self.input_dim
        return count >= LEAST_IDS

    def _known(self, ids):
        return ops.logical_and(ids >= 0, ids < self.input_dim)

    def _check(self, ids) -> bool:
        """Refuses ids out of range, if they can be seen; whether they can."""
        numbers = backend.numbers_at_hand(ids)
        if numbers is None:
            return False
        if numbers.size:
            least, most = int(numbers.min()), int(numbers.max())
            if least < 0 or most >= self.input_dim:
                raise ValueError(
                    "Ids must be at least 0 and below `input_dim`. "
                    f"Received: ids from {least} to {most}, with "
                    f"input_dim={self.input_dim} in layer {self.name!r}. "
                    "Map other ids to one of the vocabulary."
                )
        return True

    def _marked(self, rows, ids):
        """The rows, NaN for ids that the backend might let pass."""
        if not backend.looks_up_anything():
            return rows
        known = ops.expand_dims(self._known(ids), -1)
        return ops.where(known, rows, float("nan"))


def _refuse(kwargs: dict) -> None:
    """Refuses by name what a table of cores cannot have."""
    for name, advice in _REFUSED.items():
        value = kwargs.pop(name, None)
        if value is not None:
            raise ValueError(
                f"A factorized embedding has no `{name}`. "
                f"Received: {name}={value!r}. {advice}"
            )
    for name in _NOT_OF_A_TABLE:
        if name in kwargs:
            raise ValueError(
                f"An embedding has no `{name}`. Received: "
                f"{name}={kwargs[name]!r}. Leave it out, or name the "
                "embeddings_initializer or embeddings_regularizer."
            )


def _check_initializer(initializer) -> None:
    try:
        check_initializer(initializer)
    except ValueError as error:
        # The argument has the name that the user wrote.
        message = str(error).replace("kernel_init", "embeddings_init")
        raise ValueError(message) from error


def _leading(ids) -> tuple:
    """The shape of the ids, with -1 for a size that is not known."""
    sizes = static_shape(ids)
    if sizes.count(None) > 1:
        return tuple(ops.shape(ids))
    return tuple(-1 if size is None else size for size in sizes)
