"""Alternating least squares for the cores of any network.

With all cores but one held, the weight is linear in that one: each step solves
its normal equations. What several steps need of the other cores is contracted
once, down a binary tree of the cores (Phan et al. 2013, "Fast Alternating LS
Algorithms for High Order CANDECOMP/PARAFAC Tensor Factorizations", IEEE Trans.
Signal Process. 61(19), there for CP).
"""

from __future__ import annotations

import math

import numpy as np
import opt_einsum
from scipy.linalg.lapack import dposv

from tensornet_keras.decomposition.decomposition import Target
from tensornet_keras.decomposition.passes import passed
from tensornet_keras.decomposition.residual import frobenius_norm
from tensornet_keras.decomposition.threads import threads_for
from tensornet_keras.network import TensorNetwork

# Added to the diagonal of the normal equations, as a share of their trace. It
# draws a core to what it was before, so that a step never raises the error.
RIDGE = 1e-12
# Numbers in the largest intermediate of a pass: half a gigabyte of float64.
MOST_NUMBERS = 2**26


class TooLarge(Exception):
    """A pass would take more memory than is reasonable."""


def alternate(
    tensor: np.ndarray,
    network: TensorNetwork,
    cores,
    target: Target,
    goal: float = 0.0,
):
    """Lowers the error of a network's cores, pass by pass.

    Args:
        tensor: One axis per open leg. Products with it run in its dtype, the
            normal equations in float64.
        network: The network of the cores.
        cores: Where to start, one array per core.
        target: Its `tolerance` and `max_iterations` end the passes.
        goal: Relative error at which to end them too.

    Returns:
        The cores in float64, the relative error, the number of passes and
        whether the tolerance or the goal was met.
    """
    problem = _Problem(tensor, network, cores)
    if problem.norm == 0.0:
        # One core of zeros is enough, and leaves the others a gradient.
        zero = np.zeros_like(problem.cores[-1])
        return [*problem.cores[:-1], zero], 0.0, 0, True
    before = math.inf
    widest = max((size for _, size in network.bonds), default=1)
    for passes in range(1, target.max_iterations + 1):
        with threads_for(widest):
            problem.sweep()
        passed()
        error = problem.error
        if error <= goal or before - error <= target.tolerance:
            return problem.cores, error, passes, True
        before = error
    return problem.cores, error, target.max_iterations, False


def widened(
    cores, network: TensorNetwork, seed: int | np.random.Generator
) -> list[np.ndarray]:
    """The same weight by cores of larger bonds.

    What a bond gains is noise on the first of its cores and zero on the
    others: the product stays, and a step of ALS can use the new entries.

    Args:
        cores: Cores whose bonds are at most those of the network.
        network: The network that they are to have the shapes of.
        seed: Seed of the noise, or where to draw it from.
    """
    generator = np.random.default_rng(seed)
    bonds = {label for label, _ in network.bonds}
    seen: set[str] = set()
    wider = []
    for core, labels, shape in zip(
        cores, network.cores, network.core_shapes, strict=True
    ):
        scale = np.linalg.norm(core) / math.sqrt(max(1, core.size))
        whole = generator.normal(scale=scale or 1.0, size=shape)
        for axis, (label, old) in enumerate(
            zip(labels, core.shape, strict=True)
        ):
            if label in seen:
                new = (slice(None),) * axis + (slice(old, None),)
                whole[new] = 0.0
        whole[tuple(map(slice, core.shape))] = core
        seen |= bonds.intersection(labels)
        wider.append(whole)
    return wider


class _Problem:
    """The cores, and what a pass over all of them contracts."""

    def __init__(self, tensor, network, cores):
        self.network = network
        self.tensor = tensor
        self.norm = frobenius_norm(np.ascontiguousarray(tensor))
        self.cores = [np.array(core, np.float64) for core in cores]
        self.error = math.inf
        labels = [y for x in network.sizes for y in (x, _copied(x, 1))]
        self._numbers = {label: number for number, label in enumerate(labels)}
        # The same few contractions come back in every pass.
        self._expressions: dict[tuple, object] = {}

    def sweep(self) -> None:
        """Solves for each core once, from the first to the last."""
        everything = tuple(range(len(self.cores)))
        image = (self.tensor, self.network.weight_labels)
        self._visit(everything, image, (np.ones(()), ()))

    def _visit(self, group, image, gram) -> None:
        """Solves for the cores of a group.

        `image` is the tensor and `gram` the number 1, each contracted with
        all cores outside of the group, `gram` with two copies of each.
        """
        if len(group) == 1:
            self._solve(group[0], image, gram)
            return
        halves = self._halves(group)
        for keep, drop in (halves, halves[::-1]):
            self._visit(
                keep,
                self._without(image, keep, drop, copies=1),
                self._without(gram, keep, drop, copies=2),
            )

    def _halves(self, group):
        """The group as two runs that hold about as many numbers of legs."""
        legs = set(self.network.weight_labels)
        sizes = [
            sum(
                math.log(self.network.sizes[label])
                for label in legs.intersection(self.network.cores[core])
            )
            for core in group
        ]
        middle = min(
            range(1, len(group)),
            key=lambda k: abs(sum(sizes[:k]) - sum(sizes[k:])),
        )
        return group[:middle], group[middle:]

    def _without(self, operand, keep, drop, copies: int):
        """An operand contracted with the dropped cores, once or twice."""
        array, labels = operand
        bonds = {label for label, _ in self.network.bonds}
        arrays, terms = [array], [tuple(labels)]
        kept = set().union(*(self.network.cores[core] for core in keep))
        for copy in range(copies):
            for core in drop:
                arrays.append(self.cores[core].astype(array.dtype, copy=False))
                terms.append(
                    tuple(
                        _copied(label, copy) if label in bonds else label
                        for label in self.network.cores[core]
                    )
                )
        kept |= {_copied(label, 1) for label in kept}
        result = tuple(
            dict.fromkeys(x for term in terms for x in term if x in kept)
        )
        return self._contract(arrays, terms, result), result

    def _contract(self, arrays, terms, result):
        key = (tuple(terms), result)
        if key not in self._expressions:
            inputs, output = (
                [
                    "".join(opt_einsum.get_symbol(self._numbers[x]) for x in t)
                    for t in side
                ]
                for side in (terms, [result])
            )
            equation = f"{','.join(inputs)}->{output[0]}"
            shapes = [array.shape for array in arrays]
            path, found = opt_einsum.contract_path(
                equation, *shapes, shapes=True
            )
            if found.largest_intermediate > MOST_NUMBERS:
                raise TooLarge
            self._expressions[key] = opt_einsum.contract_expression(
                equation, *shapes, optimize=path
            )
        return self._expressions[key](*arrays)

    def _solve(self, core: int, image, gram) -> None:
        """The core of least error, from its normal equations."""
        labels = self.network.cores[core]
        bonds = [x for x in labels if x in dict(self.network.bonds)]
        shared = [x for x in labels if x in gram[1] and x not in bonds]
        own = [x for x in labels if x not in bonds and x not in shared]
        order = [*shared, *bonds, *own]
        sizes = [self.network.sizes[x] for x in order]
        width = math.prod(self.network.sizes[x] for x in bonds)
        shape = (*sizes[: len(shared)], width, -1)
        axes = [image[1].index(x) for x in order]
        right = image[0].transpose(axes).reshape(shape).astype(np.float64)
        both = [*shared, *bonds, *(_copied(x, 1) for x in bonds)]
        normal = gram[0].transpose([gram[1].index(x) for x in both])
        normal = normal.reshape(*shape[:-1], width)
        axes = [labels.index(x) for x in order]
        old = self.cores[core].transpose(axes).reshape(shape)
        new = old + _solved(normal, right - normal @ old)
        missed = np.vdot(new, normal @ new - 2 * right)
        self.error = math.sqrt(max(0.0, self.norm**2 + missed)) / self.norm
        self.cores[core] = np.ascontiguousarray(
            new.reshape(sizes).transpose(np.argsort(axes))
        )


def _solved(normal: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solutions of symmetric systems, with a small ridge."""
    trace = np.trace(normal, axis1=-2, axis2=-1)[..., None, None]
    ridge = np.where(trace > 0.0, RIDGE * trace, 1.0)
    normal = normal + ridge * np.eye(normal.shape[-1])
    if normal.ndim == 2:
        _, solution, failed = dposv(normal, right)
        if not failed:
            return solution
    return np.linalg.solve(normal, right)


def _copied(label: str, copy: int) -> str:
    """The label of a core's second copy; no label of a network has one."""
    return f"{label}'" if copy else label
