"""Contracts a tensor train with the features of its sites, in log scale.

A product over hundreds of sites leaves the range of any float. So every
number here is a mantissa beside the logarithm of its scale: cores and
features are divided by powers of two (exactly), the running products by their
largest entries. The scales are constants to the gradient, which is exact all
the same, since the product of mantissa and scale does not depend on them.

Both ends sweep towards the output site at once. Two measures keep the
sequence short: neighbouring sites are merged, and where bonds are narrow the
matrices of all sites are built beforehand in one batched product.
"""

from __future__ import annotations

import math

import numpy as np
from keras import ops

from tensornet_keras import backend

# Bonds up to this size build one matrix per site and example: wider ones
# would need more memory than they save in time.
NARROW = 16
# Most features of a merged site, for narrow bonds and for wide ones.
MERGED_NARROW = 16
MERGED_WIDE = 4
# Steps between two divisions by the largest entry. A step multiplies it by at
# most the bond times the merged features, and shrinks it by no more than
# float32's rounding, unless zeros stand in the way: both to the fifth power
# stay within float32.
SETTLED_EVERY = 5
# The least scale that a division may have: the smallest normal float32.
LARGEST = 126
LEAST = 2.0**-LARGEST


def contract(train, stacks, features):
    """The value of a train at every example.

    Args:
        train: A `mps_cores.Train`.
        stacks: Its cores, by the names of `train.stack_shapes`.
        features: The embedded inputs, `(features, batch, dim)`.

    Returns:
        `(mantissa, log_scale)` of shapes `(batch, units)` and `(batch, 1)`:
        the value is `mantissa * exp(log_scale)`, and the largest mantissa of
        an example is 1, unless all are 0.
    """
    batch = ops.shape(features)[1]
    output, exponent = _halved(stacks["output_core"], None)
    log = math.log(2) * exponent
    chains, levels = [], _levels(train)
    for cores, part in _sides(train, stacks, features):
        chain = []
        if part.shape[0]:
            chain, more = _prepared(cores, part, levels)
            log = log + more
        chains.append(chain)
    states, more = _swept(chains, _ends(train, features.dtype), batch)
    value = _joined(*states, output, train.units)
    value, scale = normalized(value, -1)
    return value, log + more + ops.log(scale)


def _sides(train, stacks, features):
    """Cores and features of either side, from its end inwards.

    The right side is mirrored: its sites in reverse, the bonds of every core
    swapped.
    """
    left, right = _cut(features, train.site)
    empty = ops.zeros((0, train.rank, train.dim, train.rank), features.dtype)
    inner = stacks.get("inner_cores", empty)
    inner_left, inner_right = _cut(inner, train.left_inner)
    mirrored = ops.transpose(ops.flip(inner_right, axis=0), (0, 3, 2, 1))
    first, last = stacks.get("first_core"), stacks.get("last_core")
    return (
        (_with_end(first, inner_left), left),
        (
            _with_end(None if last is None else ops.transpose(last), mirrored),
            ops.flip(right, axis=0),
        ),
    )


def _cut(tensor, place):
    # The gradient of a split is one copy, that of two slices are three.
    if place in (0, tensor.shape[0]):
        return (tensor, tensor[:0])[:: 1 if place else -1]
    return ops.split(tensor, [place], axis=0)


def _with_end(end, inner):
    """Puts a core without an outer bond in front, its one row in the first."""
    if end is None:
        return inner
    rest = inner.shape[-1] - 1
    end = ops.pad(end[None, None], ((0, 0), (0, rest), (0, 0), (0, 0)))
    return ops.concatenate([end, inner], axis=0) if inner.shape[0] else end


def _ends(train, dtype):
    """The states at both ends: one row each, and of a ring all rows."""
    identity = ops.eye(train.rank, dtype=dtype)
    if train.periodic:
        return identity, identity
    one = ops.ones((1, 1), dtype=dtype)
    return (
        identity[:1] if train.site else one,
        identity[:1] if train.site < train.features else one,
    )


def normalized(tensor, axis):
    """Divides by the largest absolute value, a constant to the gradient.

    Args:
        tensor: A tensor.
        axis: The axis, or axes, to take the largest value over.

    Returns:
        `(quotient, scale)`.
    """
    # Operators and not `ops`, which PyTorch dispatches slowly: this runs at
    # every site.
    scale = ops.max(abs(tensor), axis=axis, keepdims=True)
    scale = ops.stop_gradient(scale) + LEAST
    return tensor / scale, scale


def _halved(tensor, axis):
    """Divides by the power of two below the largest absolute value.

    Returns the exponent too: exponents add without rounding, whatever the
    scales of two thousand sites.
    """
    scale = ops.max(ops.abs(tensor), axis=axis, keepdims=axis is not None)
    exponent = ops.floor(ops.log2(ops.maximum(scale, LEAST)))
    exponent = ops.stop_gradient(ops.minimum(exponent, LARGEST))
    return ops.multiply(tensor, _power_of_two(-exponent)), exponent


def _power_of_two(exponent):
    # From a table, since JAX's exp2 is not exact.
    powers = ops.array(2.0 ** np.arange(-LARGEST, LARGEST + 1), exponent.dtype)
    place = ops.clip(exponent, -LARGEST, LARGEST) + LARGEST
    return ops.take(powers, ops.cast(place, "int32"))


def _levels(train):
    """How often neighbouring sites are merged, the same for both sides."""
    most = MERGED_NARROW if train.rank <= NARROW else MERGED_WIDE
    sites, dim = max(train.site, train.features - train.site), train.dim
    levels = 0
    while sites > 1 and dim**2 <= most:
        sites, dim, levels = (sites + 1) // 2, dim**2, levels + 1
    return levels


def _prepared(cores, features, levels):
    """A side's merged sites, ready to sweep, and their log scale.

    The scale of each slice of a core goes to its feature: slices may differ
    by any factor.
    """
    bond, dim = cores.shape[-1], cores.shape[-2]
    cores = ops.transpose(cores, (0, 2, 1, 3))
    cores, exponent = _halved(cores, (2, 3))
    scale = ops.max(exponent, axis=1, keepdims=True)
    features = ops.multiply(
        features,
        _power_of_two(ops.reshape(exponent - scale, (-1, 1, dim))),
    )
    features, sizes = normalized(features, -1)
    log = math.log(2) * ops.sum(scale) + ops.sum(ops.log(sizes), axis=0)
    for _ in range(levels):
        cores, features = _merged(cores, features)
    sites, dim = cores.shape[:2]
    if bond > NARROW:
        cores = ops.reshape(cores, (sites, 1, dim * bond, bond))
        return [cores, ops.expand_dims(features, 1)], log
    matrices = ops.matmul(features, ops.reshape(cores, (sites, dim, -1)))
    return [ops.reshape(matrices, (sites, 1, -1, bond, bond))], log


def _merged(cores, features):
    """Neighbouring sites as one; a lone one gets the identity beside it."""
    if cores.shape[0] % 2:
        cores, features = _with_identity(cores, features)
    pairs, dim, bond = cores.shape[0] // 2, cores.shape[1], cores.shape[-1]
    cores = ops.reshape(cores, (pairs, 2, dim, bond, bond))
    first, second = ops.unstack(cores, axis=1)
    first = ops.reshape(first, (pairs, dim * bond, bond))
    second = ops.transpose(second, (0, 2, 1, 3))
    second = ops.reshape(second, (pairs, bond, dim * bond))
    cores = ops.matmul(first, second)
    cores = ops.reshape(cores, (pairs, dim, bond, dim, bond))
    cores = ops.transpose(cores, (0, 1, 3, 2, 4))
    cores = ops.reshape(cores, (pairs, dim**2, bond, bond))
    features = ops.reshape(features, (pairs, 2, -1, dim))
    first, second = ops.unstack(features, axis=1)
    features = ops.multiply(first[..., None], second[..., None, :])
    return cores, ops.reshape(features, (pairs, -1, dim**2))


def _with_identity(cores, features):
    """One site more at the outer end, which changes nothing."""
    dim, bond = cores.shape[1], cores.shape[-1]
    identity = ops.expand_dims(ops.eye(bond, dtype=cores.dtype), (0, 1))
    identity = ops.pad(identity, ((0, 0), (0, dim - 1), (0, 0), (0, 0)))
    ones = ops.ones_like(features[:1, :, :1])
    ones = ops.pad(ones, ((0, 0), (0, 0), (0, dim - 1)))
    return (
        ops.concatenate([identity, cores], axis=0),
        ops.concatenate([ones, features], axis=0),
    )


def _swept(chains, rows, batch):
    """The states of both sides at the output site, and their log scale.

    The longer side goes ahead alone until both are as far from the output.
    """
    lengths = [chain[0].shape[0] if chain else 0 for chain in chains]
    both = min(lengths)
    states, logs = [], []
    for chain, length, state in zip(chains, lengths, rows, strict=True):
        state = ops.broadcast_to(state, (1, batch, *state.shape))
        state, log = _alone(chain, length - both, state)
        states.append(state)
        logs.append(log)
    if both:
        stacked = [
            ops.concatenate([_last(one, both), _last(other, both)], axis=1)
            for one, other in zip(*chains, strict=True)
        ]
        state, log = _sweep(stacked, ops.concatenate(states, axis=0))
        states = ops.split(state, 2, axis=0)
        logs.append(log)
    return states, sum(logs)


def _alone(chain, steps, state):
    if not steps:
        return state, 0.0
    return _sweep([part[:steps] for part in chain], state)


def _last(part, sites):
    # A slice of everything would cost the gradient a copy.
    return part if part.shape[0] == sites else part[-sites:]


def _sweep(parts, state):
    """Multiplies states with the matrices of one site after another.

    Args:
        parts: Per site, matrices `(sides, batch, D, D)`; or features
            `(sides, batch, d)` and cores `(sides, d * D, D)`.
        state: `(sides, batch, rows, D)`.

    Returns:
        The last states and the logarithm of their scale, `(batch, 1)`.
    """
    step = _by_matrix if len(parts) == 1 else _by_core
    state, scales = backend.scan(
        step, _settled, state, parts, every=SETTLED_EVERY
    )
    log = ops.sum(ops.log(scales), axis=(0, 1))
    return state, ops.reshape(log, (-1, 1))


def _settled(state):
    return normalized(state, (-2, -1))


def _by_matrix(state, parts):
    if state.shape[2] > 1:
        return state @ parts[0]
    # One row each: a stack of tiny products is mostly overhead.
    columns = ops.transpose(state, (0, 1, 3, 2))
    return ops.sum(columns * parts[0], axis=2, keepdims=True)


def _by_core(state, parts):
    core, features = parts
    sides, _, rows, bond = state.shape
    state = state[..., None, :] * features[:, :, None, :, None]
    state = ops.reshape(state, (sides, -1, core.shape[1]))
    return ops.reshape(state @ core, (sides, -1, rows, bond))


def _joined(left, right, output, units):
    """Both sides' states and the output core: `(batch, units)`."""
    left, right = ops.squeeze(left, axis=0), ops.squeeze(right, axis=0)
    rows, bond, other = left.shape[1], left.shape[2], right.shape[2]
    value = ops.matmul(left, ops.reshape(output, (bond, units * other)))
    value = ops.reshape(value, (-1, rows, units, other))
    return ops.sum(ops.multiply(value, right[:, :, None, :]), axis=(1, 3))
