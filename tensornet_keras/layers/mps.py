"""A tensor train over the features of an input: the matrix product state.

Stoudenmire and Schwab 2016 (arXiv 1605.05775).
"""

from __future__ import annotations

import keras
from keras import activations, constraints, initializers, ops, regularizers

from tensornet_keras import validation
from tensornet_keras.layers import (
    feature_maps,
    mps_cores,
    mps_outputs,
    mps_sweep,
)
from tensornet_keras.layers.initializers import holding

NEAR_IDENTITY = "near_identity"
BOUNDARIES = ("open", "periodic")
KERAS_OBJECTS = {
    "activation": activations,
    "bias_initializer": initializers,
    "kernel_regularizer": regularizers,
    "bias_regularizer": regularizers,
    "activity_regularizer": regularizers,
    "bias_constraint": constraints,
}


@keras.saving.register_keras_serializable(package="tensornet_keras")
class MPSLayer(keras.layers.Layer):
    """A tensor train over input features, with a vector as its output.

    Every feature is embedded as a short vector; the train is linear in each:
    `y = A_1(x_1) ... A_p(x_p) B A_{p+1}(x_{p+1}) ... A_n(x_n)`, with matrices
    `A_k(x) = sum_s embedding(x)[s] * A_k[:, s, :]` of `rank x rank` and the
    output core `B` of `rank x units x rank` at site `p`. The number of
    parameters is linear in the number of features.

    Products over hundreds of sites leave the range of floats. The layer keeps
    their scale as a logarithm beside them: nothing overflows on the way.

    Args:
        units: Size of the output.
        rank: Size of all bonds.
        embedding: How a feature becomes a vector: `"poly"` (`1, x, x^2`, for
            inputs of any kind), `"unit"` or `"fourier"` (for inputs in
            [0, 1]), `"basis"` (for whole numbers below `embedding_dim`), a
            function that adds an axis of size `embedding_dim`, or `None` for
            inputs that are embedded already; of these two, the first entry
            is taken for the constant 1 by the initializer.
        embedding_dim: Size of such a vector. `None` is 2, and without an
            embedding the size of the input's last axis.
        output: What to return of the train's value `y`. `"value"`: `y`,
            at most the largest float. `"normalized"`: `y` divided by its
            Euclidean norm. `"log_square"`: `log(y^2)`, finite at any scale;
            the softmax of these logits is `y^2 / sum(y^2)`, the Born rule.
        output_site: How many features are left of the output core, 0 to
            `features`. `None` is `(features + 1) // 2`.
        boundary: `"open"`, or `"periodic"` for a ring: its value is a trace,
            which costs about `rank` times as much.
        activation: Activation function, as in Keras.
        use_bias: Whether to add a bias to the output.
        kernel_initializer: `"near_identity"`, which gives outputs of variance
            about one whatever the number of features; or an initializer of
            Keras, by which every variable is drawn as it is.
        seed: Seed of `"near_identity"`.
        kernel_regularizer: Regularizer of each stack of cores.
        activity_regularizer: Regularizer of the output.
        bias_initializer, bias_regularizer, bias_constraint: As in Keras.
        **kwargs: Arguments of `keras.layers.Layer` (name, dtype, trainable).

    Input shape:
        `(batch, features)`, or `(batch, features, embedding_dim)` without an
        embedding.

    Output shape:
        `(batch, units)`.

    Raises:
        ValueError: If an argument is none of those named, or `build` or
            `call` get an input that does not fit.

    Example:

    >>> import keras
    >>> import tensornet_keras as tk
    >>> layer = tk.layers.MPSLayer(10, rank=8, output="log_square")
    >>> tuple(layer(keras.random.uniform((2, 784))).shape)
    (2, 10)
    >>> [tuple(core.shape) for core in layer.cores[:2]], len(layer.cores)
    ([(2, 8), (8, 2, 8)], 785)

    Reference:
        Stoudenmire and Schwab 2016, https://arxiv.org/abs/1605.05775.
    """

    def __init__(
        self,
        units,
        rank=10,
        embedding="poly",
        embedding_dim=None,
        output="value",
        output_site=None,
        boundary="open",
        *,
        activation=None,
        use_bias=False,
        kernel_initializer="near_identity",
        seed=None,
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = validation.positive_integer(units, "units")
        self.rank = validation.positive_integer(rank, "rank")
        self.embedding = feature_maps.get(embedding)
        if embedding_dim is None and embedding is not None:
            embedding_dim = 2
        if embedding_dim is not None:
            validation.positive_integer(embedding_dim, "embedding_dim")
        self.embedding_dim = embedding_dim
        self.output_kind = validation.one_of(
            output, mps_outputs.OUTPUTS, "output"
        )
        self.output_site = output_site
        self.boundary = validation.one_of(boundary, BOUNDARIES, "boundary")
        self.activation = activations.get(activation)
        self.use_bias = validation.boolean(use_bias, "use_bias")
        if kernel_initializer != NEAR_IDENTITY:
            kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_initializer = kernel_initializer
        self.seed = seed
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = keras.layers.InputSpec(
            ndim=3 if self.embedding is None else 2
        )
        self.bias = None
        self._train = None
        self._stacks = {}

    @classmethod
    def from_cores(cls, cores, embedding="poly", output_site=None, **kwargs):
        """A built layer with given cores, such as those of a TT-RSS.

        Args:
            cores: See `set_cores`.
            embedding: As of the layer.
            output_site: Place of the output core in the list. `None` is the
                middle, as of the layer.
            **kwargs: The other arguments of the layer, but for those that
                the cores say.

        Returns:
            The layer. Its rank is the largest of the bonds.

        Example:

        >>> import numpy as np, tensornet_keras as tk
        >>> cores = [np.ones((2, 3)), np.ones((3, 10, 4)), np.ones((4, 2))]
        >>> layer = tk.layers.MPSLayer.from_cores(cores)
        >>> layer.units, layer.rank, layer.output_site
        (10, 4, 1)
        """
        train = mps_cores.train_of(cores, output_site)
        sizes = (train.units, train.rank, embedding, train.dim)
        kwargs["boundary"] = BOUNDARIES[train.periodic]
        layer = cls(*sizes, output_site=train.site, **kwargs)
        tail = (train.dim,) if layer.embedding is None else ()
        layer.build((None, train.features, *tail))
        layer.set_cores(cores)
        return layer

    @property
    def cores(self) -> list:
        """The cores, one tensor per site: parts of the stacked variables."""
        return self._built_train().cores(
            {name: stack.value for name, stack in self._stacks.items()}
        )

    def set_cores(self, cores) -> None:
        """Sets all cores, in the convention of tensorkrowch.

        Args:
            cores: One array per site, in their order: `(d, D)`, `(D, d, D)`,
                ..., `(D, d)`, the output core with `units` in place of `d`;
                a ring's all have three axes. Bonds smaller than the rank are
                filled up with zeros.

        Raises:
            ValueError: If the layer is not built, or shapes do not fit.
        """
        arrays = [ops.convert_to_numpy(core) for core in cores]
        for name, array in self._built_train().stacks(arrays).items():
            self._stacks[name].assign(array)

    def build(self, input_shape):
        input_shape = tuple(input_shape)
        if None in input_shape[1:]:
            raise ValueError(
                "The number of features of a tensor train must be known. "
                f"Received: input_shape={input_shape}. "
                "Name it in the model's Input."
            )
        self.input_spec = keras.layers.InputSpec(shape=(None, *input_shape[1:]))
        self._train = self._sized(input_shape)
        self.output_site = self._train.site
        initial = self._initial()
        self._stacks = {
            name: self.add_weight(
                name=name,
                shape=shape,
                initializer=initial.get(name, self.kernel_initializer),
                regularizer=self.kernel_regularizer,
                autocast=False,
            )
            for name, shape in self._train.stack_shapes.items()
        }
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.built = True

    def call(self, inputs):
        mantissa, log_scale = self._contracted(inputs)
        outputs = mps_outputs.expressed(
            self.output_kind, mantissa, log_scale, self.compute_dtype
        )
        outputs = ops.cast(outputs, self.compute_dtype)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def sign_and_log(self, inputs):
        """The train's value as `numpy.linalg.slogdet` gives a determinant.

        Args:
            inputs: As of the layer.

        Returns:
            `(sign, log)` of shapes `(batch, units)`: the value is
            `sign * exp(log)`, before bias and activation, whatever `output`
            the layer has; of a zero, sign 0 and a very small logarithm.

        Example:

        >>> import keras, tensornet_keras as tk
        >>> layer = tk.layers.MPSLayer(3)
        >>> sign, log = layer.sign_and_log(keras.random.uniform((2, 1000)))
        >>> tuple(sign.shape), tuple(log.shape)
        ((2, 3), (2, 3))
        """
        if not self.built:
            self.build(tuple(inputs.shape))
        mantissa, log_scale = self._contracted(ops.convert_to_tensor(inputs))
        size = ops.maximum(ops.abs(mantissa), mps_sweep.LEAST)
        return ops.sign(mantissa), ops.log(size) + log_scale

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        embedding, initializer = self.embedding, self.kernel_initializer
        if callable(embedding):
            embedding = keras.saving.serialize_keras_object(embedding)
        if initializer != NEAR_IDENTITY:
            initializer = initializers.serialize(initializer)
        serialized = {
            name: module.serialize(getattr(self, name))
            for name, module in KERAS_OBJECTS.items()
        }
        return {
            **super().get_config(),
            "units": self.units,
            "rank": self.rank,
            "embedding": embedding,
            "embedding_dim": self.embedding_dim,
            "output": self.output_kind,
            "output_site": self.output_site,
            "boundary": self.boundary,
            "use_bias": self.use_bias,
            "kernel_initializer": initializer,
            "seed": self.seed,
            **serialized,
        }

    def _built_train(self) -> mps_cores.Train:
        if self._train is None:
            raise ValueError(
                "A layer has cores once it is built. "
                f"Received: layer {self.name!r}, which is not. "
                "Call the layer, or its `build`, first."
            )
        return self._train

    def _sized(self, input_shape) -> mps_cores.Train:
        """The train for inputs of this shape."""
        features, *given = input_shape[1:]
        dim = given[0] if given else self.embedding_dim
        if self.embedding_dim not in (None, dim):
            raise ValueError(
                "The last axis of embedded inputs must be `embedding_dim`. "
                f"Received: embedding_dim={self.embedding_dim} and "
                f"input_shape={input_shape}. "
                "Leave out `embedding_dim`, or name an embedding."
            )
        site = mps_cores.output_site(self.output_site, features)
        ring = self.boundary == "periodic"
        return mps_cores.Train(features, dim, self.rank, self.units, site, ring)

    def _initial(self) -> dict:
        """Initializers by stack; none where Keras draws them all."""
        if self.kernel_initializer != NEAR_IDENTITY:
            return {}
        # Keras draws a seed of its own where none is given.
        seed = initializers.RandomNormal(seed=self.seed).seed
        constant = feature_maps.constant_coefficients(
            self.embedding, self._train.dim
        )
        arrays = self._train.near_identity(constant, seed)
        return {name: holding(array) for name, array in arrays.items()}

    def _contracted(self, inputs):
        """Mantissa and logarithm of the scale of the train's value."""
        # Sixteen bits would lose a digit at every few sites.
        dtype = "float64" if self.variable_dtype == "float64" else "float32"
        features = feature_maps.embedded(
            ops.cast(inputs, dtype), self.embedding, self._train.dim
        )
        features = ops.transpose(ops.cast(features, dtype), (1, 0, 2))
        stacks = {
            name: ops.cast(stack, dtype) for name, stack in self._stacks.items()
        }
        return mps_sweep.contract(self._train, stacks, features)
