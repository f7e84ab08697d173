"""The cores of a tensor train with one output site, as variables hold them.

A list of hundreds of small variables would be slow to train, so the cores of
equal shape are one stack. Shapes and arrays only; `MPSLayer` owns them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tensornet_keras import validation

# Logarithm of how much the noise of all sites together adds to the square of
# the identity's part.
NOISE = 1.0


@dataclass(frozen=True)
class Train:
    """The sizes of a tensor train with one output site.

    Args:
        features: Number of input sites.
        dim: Size of an input's embedding.
        rank: Size of every bond.
        units: Size of the output.
        site: How many input sites are left of the output core.
        periodic: Whether the ends are joined.
    """

    features: int
    dim: int
    rank: int
    units: int
    site: int
    periodic: bool

    @property
    def core_shapes(self) -> list[tuple[int, ...]]:
        """The shape of every core, `(left bond, site, right bond)`.

        The outermost cores of an open train have no outer bond.
        """
        shapes = [(self.rank, self.dim, self.rank)] * self.features
        shapes.insert(self.site, (self.rank, self.units, self.rank))
        if not self.periodic:
            shapes[0], shapes[-1] = shapes[0][1:], shapes[-1][:-1]
        return shapes

    @property
    def stack_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every variable by name, in the order of the sites."""
        shapes = self.core_shapes
        first, last = self._ends
        inner = self.features - first - last
        stacks = {
            "first_core": shapes[0] if first else None,
            "inner_cores": (inner, self.rank, self.dim, self.rank),
            "output_core": shapes[self.site],
            "last_core": shapes[-1] if last else None,
        }
        return {
            name: shape
            for name, shape in stacks.items()
            if shape and 0 not in shape
        }

    @property
    def left_inner(self) -> int:
        """How many of the stacked cores are left of the output core."""
        return self.site - self._ends[0]

    def cores(self, stacks: dict) -> list:
        """The list of cores, from the stacks."""
        inner = stacks.get("inner_cores")
        cores = (
            [] if inner is None else [inner[k] for k in range(inner.shape[0])]
        )
        cores.insert(self.left_inner, stacks["output_core"])
        head = [stacks["first_core"]] if self._ends[0] else []
        tail = [stacks["last_core"]] if self._ends[1] else []
        return [*head, *cores, *tail]

    def stacks(self, cores: list) -> dict[str, np.ndarray]:
        """The stacks, from a list of NumPy arrays.

        Args:
            cores: One array per site; bonds smaller than the rank are filled
                up with zeros.

        Raises:
            ValueError: If they are not as many, or of other shapes.
        """
        shapes = self.core_shapes
        if len(cores) != len(shapes):
            raise ValueError(
                "`cores` must hold one core per feature and the output core. "
                f"Received: {len(cores)} cores for {self.features} features. "
                f"Pass {len(shapes)} cores."
            )
        cores = [
            _filled(np.asarray(core), shape, k, self._site_axis(k))
            for k, (core, shape) in enumerate(zip(cores, shapes, strict=True))
        ]
        first, last = self._ends
        named = {"output_core": cores.pop(self.site)}
        if first:
            named["first_core"] = cores.pop(0)
        if last:
            named["last_core"] = cores.pop()
        if cores:
            named["inner_cores"] = np.stack(cores)
        return {name: named[name] for name in self.stack_shapes}

    def near_identity(self, constant, seed) -> dict[str, np.ndarray]:
        """Stacks such that outputs have variance one or so.

        Every input core is the identity, times the coefficients with which
        the features sum to one, plus noise whose variance falls with the
        number of sites: products of hundreds of them neither grow nor fade.
        The output core takes the scale that makes the mean square of an open
        train one, for uncorrelated features of equal mean squares.

        Args:
            constant: These coefficients, `(dim,)`.
            seed: Seed of NumPy's generator.

        Reference:
            Novikov et al. 2016, https://arxiv.org/abs/1605.03795, begin near
            the identity too, with noise of a fixed size.
        """
        generator = np.random.default_rng(seed)
        square = 1 / np.sum(np.square(constant))
        paths = self.features * self.rank * self.dim
        deviation = math.sqrt(NOISE / (square * paths))
        identity = np.einsum("s,ab->asb", constant, np.eye(self.rank))
        # At an open end one direction goes in; the noise spreads it.
        end = generator.standard_normal((2, self.rank))
        end /= np.linalg.norm(end, axis=1, keepdims=True)
        cores = []
        for k, shape in enumerate(self.core_shapes):
            core = generator.standard_normal(shape)
            if k == self.site:
                core *= math.exp(-NOISE / 2) / math.sqrt(self.rank)
            elif len(shape) == 3:
                core = deviation * core + identity
            elif k == 0:
                core = deviation * core + np.outer(constant, end[0])
            else:
                core = deviation * core + np.outer(end[1], constant)
            cores.append(core)
        if not self.periodic:
            cores[self.site] /= self._deviation(cores, square)
        return self.stacks(cores)

    def _deviation(self, cores, square) -> float:
        """Root of an open train's mean square over inputs and units."""
        left = _moment(cores[: self.site], square)
        mirrored = [core.T for core in cores[: self.site : -1]]
        right = _moment(mirrored, square)
        shape = (len(left), self.units, len(right))
        output = np.moveaxis(cores[self.site].reshape(shape), 1, 0)
        total = np.sum(output * (left @ output @ right))
        return math.sqrt(total / self.units)

    @property
    def _ends(self) -> tuple[bool, bool]:
        """Whether the first and the last core are inputs without a bond."""
        return (
            not self.periodic and self.site > 0,
            not self.periodic and self.site < self.features,
        )

    def _site_axis(self, k: int) -> int:
        return 0 if k == 0 and not self.periodic else 1


def _moment(cores, square):
    """Mean of `v v'` of the states `v` that come in from an open end."""
    moment = np.ones((1, 1))
    for core in cores:
        slices = np.moveaxis(
            core.reshape(len(moment), -1, core.shape[-1]), 1, 0
        )
        moment = square * np.sum(slices.mT @ moment @ slices, axis=0)
    return moment


def output_site(value, features: int) -> int:
    """The place of the output core: `value`, or the middle for `None`."""
    if value is None:
        return (features + 1) // 2
    if not validation.is_integer(value) or not 0 <= value <= features:
        raise ValueError(
            "`output_site` must be a number of features, those left of the "
            f"output core. Received: output_site={value!r}. "
            f"Pass an int from 0 to {features}, or None for the middle."
        )
    return int(value)


def train_of(cores: list, site) -> Train:
    """The sizes that a list of cores says.

    Args:
        cores: Arrays of shapes `(d, D)`, `(D, d, D)`, ..., `(D, d)`, or all
            of three axes for a ring.
        site: The place of the output core; `None` is the middle.

    Returns:
        A `Train` whose rank is the largest bond.

    Raises:
        ValueError: If there are fewer than two, or they have other numbers
            of axes.
    """
    shapes = [tuple(np.shape(core)) for core in cores]
    axes = [len(shape) for shape in shapes]
    inner = [3] * (len(axes) - 2)
    if len(axes) < 2 or axes not in ([2, *inner, 2], [3, *inner, 3]):
        raise ValueError(
            "`cores` must be two or more arrays of 3 axes, the outermost of "
            "2, or of 3 for a ring. "
            f"Received: cores of the shapes {_short(shapes)}. "
            "Pass shapes (d, D), (D, d, D), ..., (D, d)."
        )
    site = output_site(site, len(shapes) - 1)
    periodic = axes[0] == 3
    bonds = [size for shape in shapes[1:] for size in shape[:1]]
    if periodic:
        bonds += shapes[0][:1]
    sizes = [shape[1] for shape in shapes]
    if not periodic:
        sizes[0] = shapes[0][0]
    units = sizes.pop(site)
    return Train(len(sizes), sizes[0], max(bonds), units, site, periodic)


def _short(shapes) -> str:
    if len(shapes) <= 5:
        return str(shapes)
    head = ", ".join(map(str, shapes[:2]))
    return f"[{head}, ..., {shapes[-1]}]"


def _filled(core, shape, k, site_axis):
    """A core with zeros up to a shape; its site's size must be right."""
    fits = core.ndim == len(shape) and all(
        have == want if axis == site_axis else have <= want
        for axis, (have, want) in enumerate(
            zip(core.shape, shape, strict=False)
        )
    )
    if not fits:
        raise ValueError(
            f"Core {k} must have the shape {shape}, or smaller bonds. "
            f"Received: cores[{k}] of the shape {core.shape}. "
            "Check the order of its axes, `output_site` and the rank."
        )
    missing = zip(shape, core.shape, strict=True)
    return np.pad(core, [(0, want - have) for want, have in missing])
