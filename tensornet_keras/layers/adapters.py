"""Adapters: two small factors beside the cores, which are held (LoRA)."""

from __future__ import annotations

import math
import numbers
from typing import NoReturn

from keras import initializers, ops

from tensornet_keras import validation
from tensornet_keras.contraction import Plan, plan_for
from tensornet_keras.contraction.execute import dense_kernel, execute
from tensornet_keras.formats import LowRank
from tensornet_keras.layers import planning
from tensornet_keras.layers.core_holder import CoreHolder
from tensornet_keras.network import TensorNetwork


class AdaptedLayer(CoreHolder):
    r"""Base class of layers that may learn a correction of their kernel.

    Abstract. With an adapter of rank $r$ the kernel, read as a matrix, is

    $$W + \frac{\alpha}{r} A B,$$

    where $W$ is what the cores stand for, and held; $A$ and $B$ are trained.
    $A B$ is one more network, planned and contracted like that of the cores.

    Args:
        lora_rank: Rank of an adapter to begin with; `None` for none.
        lora_alpha: Factor of the adapter, over its rank; `None` is the rank.
        **kwargs: Arguments of `CoreHolder`.

    Raises:
        ValueError: If the rank is no positive integer.

    Reference:
        Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1.
    """

    # Whether every call of the layer contracts the cores as its inputs come.
    takes_adapters = True

    def __init__(self, *, lora_rank=None, lora_alpha=None, **kwargs):
        super().__init__(**kwargs)
        self.lora_rank = validation.positive_integer_or_none(
            lora_rank, "lora_rank"
        )
        if self.lora_rank is None and lora_alpha is not None:
            raise ValueError(
                "`lora_alpha` scales an adapter. Received: "
                f"lora_alpha={lora_alpha!r} without a lora_rank. "
                "Pass lora_rank too."
            )
        if self.lora_rank and not self.takes_adapters:
            self._refuse_adapters()
        self.lora_alpha = _checked_alpha(lora_alpha, self.lora_rank)
        self.lora_kernel_a = None
        self.lora_kernel_b = None

    @property
    def lora_enabled(self) -> bool:
        """Whether there is an adapter beside the cores."""
        return self.lora_kernel_a is not None

    def enable_lora(
        self,
        rank,
        lora_alpha=None,
        a_initializer="he_uniform",
        b_initializer="zeros",
    ):
        """Holds the cores and adds an adapter, to be trained in their place.

        The factors are of the kernel read as a matrix, `(inputs, rank)` and
        `(rank, outputs)`; a window goes with the inputs. `merge` makes cores
        of both again. `plan` is that of the cores.

        Args:
            rank: Rank of the adapter.
            lora_alpha: Factor of the adapter, over its rank; `None` is the
                rank.
            a_initializer: Initializer of the factor that meets the input.
            b_initializer: Initializer of the other factor.

        Raises:
            ValueError: If the layer is not built, has an adapter already, or
                the rank is no positive integer.
            NotImplementedError: If it is a kernel of a recurrent layer, or a
                tensor contraction.
        """
        rank = validation.positive_integer(rank, "rank")
        if not self.takes_adapters:
            self._refuse_adapters()
        if not self.built:
            raise ValueError(
                "An adapter is added to a built layer. "
                f"Received: layer {self.name!r}, which is not. "
                "Call the layer, or its `build`, first."
            )
        if self.lora_enabled:
            raise ValueError(
                "A layer has one adapter. Received: layer "
                f"{self.name!r}, which has one of rank {self.lora_rank}. "
                "Merge it first, with tensornet_keras.merge."
            )
        self.lora_rank = rank
        self.lora_alpha = _checked_alpha(lora_alpha, rank)
        self._tracker.unlock()
        given = (a_initializer, b_initializer)
        self.lora_kernel_a, self.lora_kernel_b = (
            self.add_weight(
                name=f"lora_kernel_{name}",
                shape=shape,
                initializer=initializers.get(initializer),
                dtype="float32",
                regularizer=self.kernel_regularizer,
                autocast=False,
            )
            for name, shape, initializer in zip(
                "ab", self.adapter.core_shapes, given, strict=True
            )
        )
        for core in self._cores:
            core.trainable = False
        self._tracker.lock()

    def _refuse_adapters(self) -> NoReturn:
        raise NotImplementedError(
            "Kernels of recurrent layers and tensor contractions take no "
            f"adapters. Received: layer {self.name!r}, a "
            f"{type(self).__name__}. Train the cores themselves."
        )

    def _end_build(self) -> None:
        """Says that the layer is built, and adds the adapter of its config."""
        self.built = True
        if self.lora_rank:
            self.enable_lora(self.lora_rank, self.lora_alpha)

    @property
    def adapter(self) -> LowRank:
        """The bound format of the adapter."""
        own = self.format
        # A tuple, for an int would be cut to what the bond can carry.
        return LowRank((self.lora_rank,)).bind(
            own.input_dims, own.output_dims, own.window
        )

    @property
    def adapter_factors(self) -> list:
        """The factors, the second times what the adapter is scaled by."""
        scale = self.lora_alpha / self.lora_rank
        return [
            ops.convert_to_tensor(self.lora_kernel_a),
            ops.multiply(ops.convert_to_tensor(self.lora_kernel_b), scale),
        ]

    def _adapted_kernel(self, kernel):
        """A dense kernel and what the adapter adds to it."""
        if not self.lora_enabled:
            return kernel
        network = self.adapter.network
        added = dense_kernel(network, self.adapter_factors)
        return ops.add(kernel, ops.cast(added, kernel.dtype))

    def _adapted(self, outputs, inputs, plan: Plan, convolution, met):
        """What the cores make of an input, and what the adapter adds to it.

        Args:
            outputs: What the cores make of it.
            inputs: The input.
            plan: The plan of the cores.
            convolution: How the window slides, or `None`.
            met: What the layer makes of a network to plan for it.
        """
        if not self.lora_enabled:
            return outputs
        network: TensorNetwork = met(self.adapter.network)
        own = plan_for(
            network,
            plan.batch,
            plan.positions,
            convolution is not None and convolution.groups > 1,
            mode=plan.mode,
            machine=plan.machine,
            max_memory=self.max_memory,
        )
        factors, dtype = self.adapter_factors, self.compute_dtype

        def run(plan):
            return lambda: execute(plan, inputs, factors, convolution, dtype)

        return ops.add(outputs, planning.run_best(own, inputs, run))

    def get_config(self):
        config = super().get_config()
        if self.lora_rank:
            config.update(lora_rank=self.lora_rank, lora_alpha=self.lora_alpha)
        return config


def _checked_alpha(alpha, rank):
    """The factor of an adapter: as given, or its rank."""
    if alpha is None:
        return rank
    number = isinstance(alpha, numbers.Real) and not isinstance(alpha, bool)
    if not number or not math.isfinite(alpha):
        raise ValueError(
            "`lora_alpha` must be a finite number. "
            f"Received: lora_alpha={alpha!r}. Pass for example the rank."
        )
    return alpha
