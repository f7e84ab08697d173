"""The base of all factorized layers: where format, layer and plan meet.

A subclass knows one Keras layer (its sizes and its arithmetic around the
kernel); this file knows what all of them share: the cores, the dense kernel
they stand for, the plan, the bias and the config.
"""

from __future__ import annotations

import dataclasses

import keras
from keras import (
    activations,
    constraints,
    initializers,
    ops,
    regularizers,
)

from tensornet_keras import validation
from tensornet_keras.contraction import Plan
from tensornet_keras.contraction.execute import dense_kernel, execute
from tensornet_keras.layers import planning
from tensornet_keras.layers.adapters import AdaptedLayer
from tensornet_keras.layers.arguments import (
    refuse,
    trainable_format,
)
from tensornet_keras.layers.initializers import check_initializer
from tensornet_keras.layers.switches import drop_bonds
from tensornet_keras.network import TensorNetwork


class FactorizedLayer(AdaptedLayer):
    """Base class of the layers whose kernel is a network of cores.

    Abstract: use `FactorizedDense`, `FactorizedConv2D` and their kin.

    Args:
        format: A `Format` with a rank, or such a format's plain-data dict.
            It is bound to the layer's sizes by `build`.
        activation: Activation function, as in Keras.
        use_bias: Whether to add a bias.
        kernel_initializer: Initializer whose variance the dense kernel gets;
            of the variance-scaling family, `RandomNormal`, `RandomUniform`,
            `TruncatedNormal` or `Zeros`.
        bias_initializer: Initializer of the bias.
        kernel_regularizer: Regularizer of each core.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the output.
        bias_constraint: Constraint of the bias.
        planning_batch: Batch size to plan for. `None` plans for the batch
            that is seen, and for all where it is unknown.
        max_memory: Most bytes that a plan may take beyond input and output,
            where the batch is unknown at up to 1024 examples; a batch may be
            cut into parts for it. `None` sets no limit.
        tuned_plans: Plans that `autotune` has found, from a config.
        bond_dropout: Share of the entries of every bond to drop at random in
            training, in [0, 1).
        rank_penalty: Factor of the sum of the norms of all bond entries,
            added to the loss: a lasso that empties entries, which
            `tensornet_keras.prune` then removes.
        scale_learning_rates: Whether every core is held divided by a factor
            such that one learning rate, that of a dense layer, fits all of
            them with an optimizer of the Adam family.
        recompute: Whether what lies between input and output is computed
            again for the gradient instead of being kept.
        **kwargs: `lora_rank` and `lora_alpha`, as in `AdaptedLayer`, and
            arguments of `keras.layers.Layer` (name, dtype, trainable).

    Raises:
        ValueError: If an argument of the Keras layer is given that a
            factorized kernel cannot have, or the format has no rank.

    Reference:
        Bond dropout: Kolbeinsson et al. 2021,
        https://arxiv.org/abs/1902.10758. Learning rates: Qiu et al. 2024,
        https://arxiv.org/abs/2406.06248, section 3.
    """

    def __init__(
        self,
        format,
        *,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        bias_constraint=None,
        planning_batch=None,
        max_memory=None,
        tuned_plans=None,
        bond_dropout=0.0,
        rank_penalty=0.0,
        scale_learning_rates=False,
        recompute=False,
        **kwargs,
    ):
        refuse(kwargs)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.format = trainable_format(format)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        check_initializer(self.kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.planning_batch = validation.positive_integer_or_none(
            planning_batch, "planning_batch"
        )
        self.max_memory = validation.positive_integer_or_none(
            max_memory, "max_memory"
        )
        self.tuned_plans = planning.checked_plans(tuned_plans)
        self.bond_dropout = validation.share(bond_dropout, "bond_dropout")
        self.rank_penalty = validation.non_negative(
            rank_penalty, "rank_penalty"
        )
        self.scale_learning_rates = validation.boolean(
            scale_learning_rates, "scale_learning_rates"
        )
        self.recompute = validation.boolean(recompute, "recompute")
        self._seed_generator = (
            keras.random.SeedGenerator() if bond_dropout else None
        )
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.bias = None
        self._built_shape = None

    @property
    def built_shape(self) -> tuple[int | None, ...] | None:
        """The input shape that the layer was built with, `None` before."""
        return self._built_shape

    @property
    def kernel(self):
        """The dense kernel that the cores stand for, in Keras' shape."""
        if not self.built:
            raise AttributeError(
                "The kernel of a layer is there once it is built. "
                f"Received: layer {self.name!r}, which is not. "
                "Call the layer, or its `build`, first."
            )
        return self._adapted_kernel(
            dense_kernel(self.format.network, self.cores)
        )

    def plan(self, input_shape=None, training=False) -> Plan:
        """The plan by which the layer contracts its input; prints.

        Args:
            input_shape: Shape of the input, with `None` for unknown sizes.
                An int is the batch of the shape the layer was built with;
                `None` is that shape itself. A `planning_batch` decides on
                the steps whatever the batch.
            training: Whether gradients are wanted too.

        Returns:
            The plan.

        Raises:
            ValueError: If the layer is not built, or the shape is not one of
                its inputs.
            TypeError: If the shape is neither a tuple nor an int.
        """
        if not self.built:
            raise ValueError(
                "A layer has a plan once it is built. "
                f"Received: layer {self.name!r}, which is not. "
                "Call the layer, or its `build`, first."
            )
        if input_shape is None:
            return self._plan_for(self._built_shape, training)
        if validation.is_integer(input_shape):
            input_shape = (input_shape, *self._built_shape[1:])
        input_shape = self._checked_shape(input_shape)
        plan = self._plan_for(input_shape, training)
        if input_shape[0] and plan.batch == self.planning_batch is not None:
            return dataclasses.replace(plan, batch=input_shape[0], rivals=())
        return plan

    def _contract(
        self, inputs, plan, convolution=None, training=False, met=None
    ):
        """The input contracted with the cores, with all switches."""
        cores = self._cores_for(training)
        again = self.recompute and training
        # As variables, TensorFlow would count their gradients twice.
        cores = list(map(ops.copy if again else ops.convert_to_tensor, cores))
        dtype = self.compute_dtype

        def run(plan):
            def contracted(inputs, *cores):
                return execute(plan, inputs, cores, convolution, dtype)

            function = keras.remat(contracted) if again else contracted
            return lambda: function(inputs, *cores)

        outputs = planning.run_best(plan, inputs, run)
        return self._adapted(
            outputs, inputs, plan, convolution, met or self._met
        )

    def _cores_for(self, training) -> list:
        """The cores that a call uses, with entries dropped as asked."""
        cores = self.cores
        if self.bond_dropout and training:
            cores = drop_bonds(
                self.format.network,
                cores,
                self.bond_dropout,
                self._seed_generator,
            )
        return cores

    def _network(self) -> TensorNetwork:
        """The network with its legs of the kinds that the layer has."""
        return self._met(self.format.network)

    def _met(self, network: TensorNetwork) -> TensorNetwork:
        """A network with its legs of the kinds that the layer has."""
        return network

    def _plan_for(self, input_shape, training=False) -> Plan:
        """The plan for an input of this static shape."""
        raise TypeError(
            f"{type(self).__name__} is abstract. Received: a call of it. "
            "Use FactorizedDense or FactorizedConv2D."
        )

    def _checked_shape(self, shape) -> tuple[int | None, ...]:
        """A shape that the layer takes, or an error."""
        return planning.checked_shape(self, shape, self._built_shape)

    def _add_bias(self, shape) -> None:
        """Adds the bias, if the layer has one."""
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def get_config(self):
        config = super().get_config()
        config.update(
            format=self.format.to_config(),
            activation=activations.serialize(self.activation),
            use_bias=self.use_bias,
            kernel_initializer=initializers.serialize(self.kernel_initializer),
            bias_initializer=initializers.serialize(self.bias_initializer),
            kernel_regularizer=regularizers.serialize(self.kernel_regularizer),
            bias_regularizer=regularizers.serialize(self.bias_regularizer),
            activity_regularizer=regularizers.serialize(
                self.activity_regularizer
            ),
            bias_constraint=constraints.serialize(self.bias_constraint),
            planning_batch=self.planning_batch,
            max_memory=self.max_memory,
            tuned_plans=dict(self.tuned_plans),
            bond_dropout=self.bond_dropout,
            rank_penalty=self.rank_penalty,
            scale_learning_rates=self.scale_learning_rates,
            recompute=self.recompute,
        )
        return config
