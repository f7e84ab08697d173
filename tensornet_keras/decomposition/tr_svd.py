"""TR-SVD: the tensor ring of a dense weight, and a polish by ALS.

Zhao et al. 2016, "Tensor Ring Decomposition" (arXiv 1606.05535, algorithms 1
and 2). The rank of the first core's unfolding is shared out between the two
bonds of that core; from there on the ring is opened and swept as a train.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import opt_einsum

from tensornet_keras.decomposition.alternation import alternate, widened
from tensornet_keras.decomposition.decomposition import Decomposition, Target
from tensornet_keras.decomposition.legs import balanced, finished
from tensornet_keras.decomposition.network_als import (
    CLOSE,
    EXACT,
    image,
    missed,
)
from tensornet_keras.decomposition.residual import (
    frobenius_norm,
    relative_error,
)
from tensornet_keras.decomposition.svd import split
from tensornet_keras.decomposition.tt_svd import tail_norm
from tensornet_keras.decomposition.unfolding import Unfolding, working_dtype
from tensornet_keras.formats.tensor_ring import TensorRing

# Weights of at most this many numbers are swept from every core.
MOST_ROTATED = 2**18


def tr_svd(
    weight: np.ndarray, format: TensorRing, target: Target
) -> Decomposition:
    """Tensor ring of a matrix or of a convolution kernel.

    At given ranks the sweep starts at the core that lets it keep the most;
    bonds that the first unfolding could not fill start empty, and passes of
    alternating least squares over all cores end it.

    Args:
        weight: A finite array of the shape `format.dense_shape`.
        format: A bound ring. Its ranks are the largest allowed.
        target: With an error, the ring of fewest parameters among those that
            the sweeps find, each within the error; a ring closed by a bond
            of 1, which is a train, is one of them. 0 keeps the full rank of
            that train.

    Returns:
        The bound ring of the ranks obtained, which are lower than asked
        where these are exact, its cores in the weight's dtype and the
        relative error of these cores.
    """
    tensor = image(weight, format.network)
    if not format.num_bonds:
        return finished(weight, format, [tensor])
    sweeps = _Sweeps(tensor, format)
    if target.error is None:
        return _at_rank(weight, sweeps, target)
    if target.error == 0.0:
        cores = sweeps.train(format.attainable_ranks())
    else:
        cores = sweeps.within(target.error, weight.dtype)
    return _measured(weight, format, cores)


def _at_rank(weight, sweeps, target) -> Decomposition:
    format = sweeps.format
    full = format.attainable_ranks()[:-1]
    if all(map(int.__ge__, format.rank, full)):
        return _measured(weight, format, sweeps.train(full))
    cores, error = sweeps.best()
    # A ring with a bond of 1 is a train, and TT-SVD as good as its best.
    if error <= CLOSE or 1 in format.rank:
        start = _measured(weight, format, cores)
        if start.relative_error <= EXACT or 1 in format.rank:
            return start
    cores, _, passes, converged = alternate(
        sweeps.tensor,
        format.network,
        widened(cores, format.network, target.seed),
        target,
    )
    return _measured(weight, format, cores, passes, converged)


class _Sweeps:
    """The ways to open a ring at one of its cores and sweep it."""

    def __init__(self, tensor: np.ndarray, format: TensorRing):
        self.tensor, self.format = tensor, format
        self.norm = frobenius_norm(tensor)
        labels = format.network.weight_labels
        self.sites = [
            tuple(labels.index(leg) for leg in site) for site in format.sites
        ]
        self.sizes = [
            math.prod(tensor.shape[axis] for axis in site)
            for site in self.sites
        ]

    def train(self, ranks):
        """The ring closed by a bond of 1, of at most these ranks."""
        return self._swept(0, (1, ranks[0]), [*ranks[1:], 1])

    def best(self):
        """The sweep of the format's ranks that keeps most of the weight.

        Returns:
            Its cores, and the relative error up to rounding.
        """
        ranks = self.format.rank
        shares = [
            _fitting(ranks[start - 1], ranks[start], size)
            for start, size in enumerate(self.sizes)
        ]
        filled = [
            math.prod(share) / (ranks[start - 1] * ranks[start])
            for start, share in enumerate(shares)
        ]
        starts = range(len(self.sites))
        if 1 in ranks:
            # Opened at such a bond, the sweep is a TT-SVD.
            starts = [k for k in starts if ranks[k - 1] == 1]
        if self.tensor.size > MOST_ROTATED:
            # The fullest one, and of those the one with the least to sweep.
            starts = [min(starts, key=lambda k: (-filled[k], shares[k]))]
        swept = []
        for start in starts:
            limits = [*ranks[start + 1 :], *ranks[:start]]
            cores = self._swept(start, shares[start], limits)
            # All cores but the last are orthonormal.
            last = frobenius_norm(np.ascontiguousarray(cores[start - 1]))
            swept.append((missed(self.norm, last), cores))
        error, cores = min(swept, key=lambda sweep: sweep[0])
        return cores, error

    def within(self, error: float, dtype):
        """The sweep of fewest parameters that keeps a relative error."""
        count = len(self.sites)
        tail = tail_norm(error, count, dtype) * self.norm
        found = [self._swept(0, None, None, tail, closed=False)]
        starts = range(count)
        if self.tensor.size > MOST_ROTATED:
            starts = [int(np.argmax(self.sizes))]
        # One bond more than the train, and the first split drops for two.
        tail = tail_norm(error, count + 1, dtype) * self.norm
        found += [self._swept(k, None, None, tail) for k in starts]
        limits = self.format.attainable_ranks()
        return min(
            (cores for cores in found if _fits(_ranks(cores), limits)),
            key=lambda cores: sum(core.size for core in cores),
        )

    def _swept(self, start, share, limits, tail=None, closed=True):
        """Cores by successive SVDs from one core on, around the ring.

        Either `share`, the sizes of the two bonds of the first core, and
        `limits`, those of the others, or `tail`, what a bond may drop.
        """
        order = [*self.sites[start:], *self.sites[:start]]
        view = self.tensor.transpose(list(itertools.chain(*order)))
        unfolding = Unfolding(view, len(order[0]))
        first = None if tail is None else tail * math.sqrt(1 + closed)
        rank = None if share is None else math.prod(share)
        basis, rest = split(unfolding, rank, first)
        if share is None:
            share = self._shared(basis.shape[1], closed)
        elif basis.shape[1] < rank:
            share = _fitting(*share, basis.shape[1])
        left, right = share
        basis, rest = _resized(basis, rest, left * right)
        shape = view.shape[: len(order[0])]
        core = basis.reshape(*shape, left, right)
        cores = [np.moveaxis(core, -2, 0)]
        rest = rest.reshape(left, right, *rest.shape[1:])
        rest = np.moveaxis(rest, 0, -1)
        for site, limit in zip(
            order[1:-1], limits or itertools.repeat(None), strict=False
        ):
            unfolding = Unfolding(rest, 1 + len(site))
            basis, following = self._split(unfolding, limit, tail)
            cores.append(
                basis.reshape(*rest.shape[: 1 + len(site)], basis.shape[1])
            )
            rest = following
        cores.append(rest)
        return cores[len(cores) - start :] + cores[: len(cores) - start]

    def _split(self, unfolding: Unfolding, limit, tail):
        basis, rest = split(unfolding, limit, tail)
        rank = basis.shape[1]
        if tail is None or self.format.rounded_up(rank) == rank:
            return basis, rest
        return split(unfolding, self.format.rounded_up(rank))

    def _shared(self, rank: int, closed: bool) -> tuple[int, int]:
        """Two bonds of about equal size that hold a rank together."""
        if not closed:
            most = min(self.sizes[0], math.prod(self.sizes[1:]))
            return 1, min(self.format.rounded_up(rank), most)
        left = self.format.rounded_up(math.ceil(math.sqrt(rank)))
        return left, self.format.rounded_up(-(-rank // left))


def _resized(basis, rest, rank: int):
    """Two factors with as many columns and rows, filled with zeros."""
    more = rank - basis.shape[1]
    if more <= 0:
        return basis[:, :rank], rest[:rank]
    widths = [(0, more)] + [(0, 0)] * (rest.ndim - 1)
    return np.pad(basis, ((0, 0), (0, more))), np.pad(rest, widths)


def _fitting(left: int, right: int, size: int) -> tuple[int, int]:
    """Bonds of at most these sizes whose product is at most a size.

    As large a product as there is, and of those the most even.
    """
    pairs = [(min(left, size // b), b) for b in range(1, min(right, size) + 1)]
    return max(pairs, key=lambda pair: (math.prod(pair), min(pair)))


def _measured(
    weight, format, cores, iterations: int = 0, converged: bool = True
) -> Decomposition:
    """The ring of these cores, measured on its two halves.

    As `legs.finished`, but for the work: two products in place of a network.
    """
    format = format.with_rank(_ranks(cores))
    cores = tuple(
        np.ascontiguousarray(core).astype(weight.dtype)
        for core in balanced(cores)
    )
    stack = weight.reshape(-1, *weight.shape[-2:])
    error = relative_error(stack, *_halves(format, cores, weight.dtype))
    return Decomposition(format, cores, error, iterations, converged)


def _halves(format: TensorRing, cores, dtype):
    """Two factors `(window * rows, columns, r)` and `(r, rows', columns')`."""
    network = format.network
    cores = [core.astype(working_dtype(dtype)) for core in cores]
    sizes = [core[0, ..., 0].size for core in cores]
    middle = min(
        range(1, len(cores)),
        key=lambda k: (
            format.rank[k - 1] * (math.prod(sizes[:k]) + math.prod(sizes[k:]))
        ),
    )
    shared = (network.bonds[-1][0], network.bonds[middle - 1][0])
    halves = []
    for part in (slice(0, middle), slice(middle, None)):
        labels = set().union(*network.cores[part])
        sides = [
            [x for x in network.labels_of(kind) if x in labels]
            for kind in ("window", "in", "out")
        ]
        first = part.start == 0
        order = [*itertools.chain(*sides), *shared]
        order = order if first else [*shared, *itertools.chain(*sides)]
        pairs = zip(cores[part], network.cores[part], strict=True)
        half = opt_einsum.contract(*itertools.chain(*pairs), order)
        columns = math.prod(network.sizes[x] for x in sides[-1])
        bond = math.prod(network.sizes[x] for x in shared)
        halves.append(
            half.reshape(-1, columns, bond)
            if first
            else half.reshape(bond, -1, columns)
        )
    return halves


def _ranks(cores) -> tuple[int, ...]:
    return tuple(core.shape[-1] for core in cores)


def _fits(ranks, limits) -> bool:
    return all(map(int.__le__, ranks, limits))
