"""Switches of training that act on the cores of any network.

Dropout of bond entries (Kolbeinsson et al. 2021, "Tensor dropout for robust
learning", arXiv 1902.10758), a lasso on them, and learning rates per core
(Qiu et al. 2024, "Compute better spent", arXiv 2406.06248, section 3).
"""

from __future__ import annotations

import math

import keras
from keras import ops

from tensornet_keras.network import TensorNetwork


def drop_bonds(network: TensorNetwork, cores, rate: float, seed) -> list:
    """The cores with random entries of every bond put to zero.

    What is kept is scaled by `1 / (1 - rate)`: the weight is linear in the
    mask of each bond, so that its mean is the weight itself. A bond of size 1
    is left alone.

    Args:
        network: The network that the cores belong to.
        cores: One tensor per core.
        rate: Share of the entries to drop, in [0, 1).
        seed: A `keras.random.SeedGenerator`.
    """
    cores = list(cores)
    for label, size in network.bonds:
        if size < 2:
            continue
        # One core of the bond: a mask on each would count it twice.
        number = next(
            n for n, core in enumerate(network.cores) if label in core
        )
        kept = keras.random.dropout(
            ops.ones((size,), cores[number].dtype), rate, seed=seed
        )
        axis = network.cores[number].index(label)
        shape = [1] * len(network.cores[number])
        shape[axis] = size
        cores[number] = ops.multiply(cores[number], ops.reshape(kept, shape))
    return cores


def bond_norms(network: TensorNetwork, cores) -> dict:
    """For every bond, the norm of what belongs to each of its entries.

    Args:
        network: The network that the cores belong to.
        cores: One tensor per core.

    Returns:
        A dict from the bond's label to a tensor of its size: the Frobenius
        norm, over all cores of the bond together, of the slices that the
        entry picks.
    """
    norms = {}
    for label, size in network.bonds:
        squares = ops.zeros((size,), "float32")
        for labels, core in zip(network.cores, cores, strict=True):
            if label in labels:
                others = [n for n, x in enumerate(labels) if x != label]
                core = ops.cast(core, "float32")
                squares += ops.sum(ops.square(core), axis=others)
        # The root has no slope at 0.
        norms[label] = ops.sqrt(squares + keras.config.epsilon() ** 2)
    return norms


def rank_lasso(network: TensorNetwork, cores, bonds=None):
    """Sum of the norms of bond entries, a lasso of groups.

    Args:
        network: The network that the cores belong to.
        cores: One tensor per core.
        bonds: Labels of the bonds that count; `None` is all of them.

    Returns:
        A scalar tensor.
    """
    norms = bond_norms(network, cores)
    return sum(
        (
            ops.sum(norm)
            for label, norm in norms.items()
            if bonds is None or label in bonds
        ),
        ops.zeros((), "float32"),
    )


class CoreRegularizer(keras.regularizers.Regularizer):
    """Penalizes a core as the layer's arguments say, through its variable.

    It applies the layer's `kernel_regularizer` to the core and not to the
    variable that holds it divided by a factor, and adds the lasso of the bonds
    that start at this core. Layers make it themselves and save its parts.

    Args:
        layer: The factorized layer.
        number: Number of the core.
    """

    def __init__(self, layer, number: int):
        self.layer = layer
        self.number = number

    def __call__(self, x):
        layer, loss = self.layer, ops.zeros((), "float32")
        core = layer.cores[self.number]
        if layer.kernel_regularizer is not None:
            kept = layer.kernel_regularizer(ops.convert_to_tensor(core))
            loss = loss + ops.cast(kept, "float32")
        if layer.rank_penalty:
            network = layer.format.network
            before = {x for core in network.cores[: self.number] for x in core}
            bonds = set(network.cores[self.number]) - before
            lasso = rank_lasso(network, layer.cores, bonds)
            loss = loss + layer.rank_penalty * lasso
        return loss


def learning_rate_scales(network: TensorNetwork) -> tuple[float, ...]:
    r"""Factors that make one learning rate fit every core.

    An optimizer of the Adam family moves every number by about the learning
    rate, and what a product changes grows with the number of terms that it
    sums, its fan-in. A rate that suits a dense layer suits core $k$ of $K$
    when it is multiplied by

    $$\kappa_k = \frac{\text{fan-in of the layer}}
    {K \cdot \text{fan-in of core } k}.$$

    Args:
        network: The network of the layer's kernel.

    Returns:
        One factor per core. The layer holds each core divided by its factor,
        which has the same effect with any optimizer of that family.

    Reference:
        Qiu et al. 2024, https://arxiv.org/abs/2406.06248, section 3.
    """
    window = math.prod(leg.size for leg in network.legs_of("window"))
    # A row of a table is looked up: nothing is summed over it.
    rows = 1 if network.legs_of("lookup") else network.input_size
    whole = window * rows
    return tuple(
        whole / (len(network.cores) * _fan_in(network, number))
        for number in range(len(network.cores))
    )


def _fan_in(network: TensorNetwork, number: int) -> int:
    """How many terms a core sums when the input meets it in its turn."""
    later = {x for core in network.cores[number + 1 :] for x in core}
    kept = {
        label
        for kind in ("out", "batch", "lookup")
        for label in network.labels_of(kind)
    } | later
    return math.prod(
        network.sizes[label]
        for label in network.cores[number]
        if label not in kept
    )
