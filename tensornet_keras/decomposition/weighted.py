r"""Cores in the norm that a layer's inputs see.

With the second moments $C = X^T X$ of the inputs, what the outputs miss is

$$\lVert X (W - \hat W) \rVert_F^2 =
  \operatorname{tr} (W - \hat W)^T C (W - \hat W).$$

Two factors of a matrix have a best answer: the truncated SVD of $C^{1/2} W$
(Wang et al. 2024, "SVD-LLM", https://arxiv.org/abs/2403.07378). The cores of
any other network are polished one after another: with all others held this is
a least squares problem, whose normal equations conjugate gradients solve
without writing them down. A chain is polished from two starts, the plain one
and that of whitened legs, and the better end is taken.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import opt_einsum
import scipy.linalg

from tensornet_keras.decomposition.decompose import decompose
from tensornet_keras.decomposition.decomposition import Decomposition
from tensornet_keras.decomposition.legs import finished, leg_tensor
from tensornet_keras.decomposition.passes import passed
from tensornet_keras.decomposition.whitened_start import whitened_start
from tensornet_keras.formats import Format, LowRank
from tensornet_keras.network import TensorNetwork

# Share of the mean of the moments' diagonal that is added to all of it, so that
# directions that no input has are not free.
RIDGE = 1e-6
# Passes over the cores, and steps for each core in a pass, unless told.
PASSES = 4
STEPS = 15
# A step ends where the squared gradient has fallen by so much.
CONVERGED = 1e-14


def decompose_for(
    weight,
    format: Format,
    moments: np.ndarray | InputNorm,
    *,
    dims=None,
    seed: int = 0,
    passes: int = PASSES,
    steps: int = STEPS,
) -> tuple[Decomposition, float]:
    """Approximates a weight for inputs of known second moments.

    Args:
        weight: An array as `decompose` takes it.
        format: A format with ranks, bound or not.
        moments: Sums of products of the inputs, a symmetric matrix over the
            rows of the weight read as `(window and input, output)`, or its
            diagonal if all else is zero; or the norm that they make.
        dims: As in `decompose`.
        seed: As in `decompose`.
        passes: How often every core is polished.
        steps: Steps of conjugate gradients for a core in a pass.

    Returns:
        The decomposition, whose `relative_error` is that of the weight, and
        the relative error of the outputs for these inputs.

    Raises:
        TypeError: If the weight is not of a floating dtype.
        ValueError: If the moments are of another shape, not finite, or the
            weight or the format is refused by `decompose`.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> from tensornet_keras.decomposition import decompose_for
    >>> rng = np.random.default_rng(0)
    >>> weight = rng.normal(size=(16, 8))
    >>> inputs = rng.normal(size=(99, 16)) * np.geomspace(1, 0.01, 16)
    >>> found, error = decompose_for(
    ...     weight, tk.formats.LowRank(4), inputs.T @ inputs
    ... )
    >>> error < 0.2 < found.relative_error
    True
    """
    weight = np.asarray(weight)
    norm = (
        moments
        if isinstance(moments, InputNorm)
        else InputNorm.of(moments, math.prod(weight.shape[:-1]))
    )
    if is_two_factors(format):
        whitened = np.ascontiguousarray(norm.whitened(weight), weight.dtype)
        start = decompose(whitened, format, dims=dims, seed=seed)
        cores = [_unwhitened(start, norm), start.cores[1]]
    else:
        start = decompose(weight, format, dims=dims, seed=seed)
        cores = _polished(weight, start, norm, passes, steps)
    best = _measured(weight, start, cores, norm)
    other = None
    if not is_two_factors(format):
        other = whitened_start(weight, start.format, norm.matrix, seed)
    if other is None:
        return best
    cores = _polished(weight, other, norm, passes, steps)
    return min(best, _measured(weight, other, cores, norm), key=lambda x: x[1])


@dataclasses.dataclass(frozen=True, eq=False)
class InputNorm:
    """The norm of weights that inputs of known second moments see.

    Args:
        matrix: The moments, of unit mean diagonal, with a ridge; or their
            diagonal.
        root: An upper triangular matrix `R` with `R^T R` the moments; or its
            diagonal.
    """

    matrix: np.ndarray
    root: np.ndarray

    @classmethod
    def of(cls, moments, rows: int) -> InputNorm:
        """The norm for second moments.

        Args:
            moments: As in `decompose_for`.
            rows: Rows of the weight.

        Raises:
            ValueError: If they are of another shape, or not finite.
        """
        moments = np.asarray(moments, np.float64)
        if moments.shape not in ((rows, rows), (rows,)):
            raise ValueError(
                "Moments must be a square matrix over the rows of the weight, "
                f"of shape {(rows, rows)}, or its diagonal. "
                f"Received: moments of shape {moments.shape}. "
                "Pass x.T @ x for inputs x of that many features."
            )
        if not np.isfinite(moments).all():
            raise ValueError(
                "Moments must be finite. Received: moments with NaN or "
                "infinite entries. Look for them in the data."
            )
        if moments.ndim == 1:
            mean = moments.mean()
            scaled = moments / mean if mean else np.ones(rows)
            return cls(scaled + RIDGE, np.sqrt(scaled + RIDGE))
        mean = np.trace(moments) / rows
        scaled = moments / mean if mean else np.eye(rows)
        matrix = 0.5 * (scaled + scaled.T)
        ridge = RIDGE
        while True:
            # Sums of float32 products may be a little below zero.
            firm = matrix + ridge * np.eye(rows)
            try:
                return cls(firm, scipy.linalg.cholesky(firm))
            except scipy.linalg.LinAlgError:
                ridge *= 10.0

    def whitened(self, weight: np.ndarray) -> np.ndarray:
        """The weight whose Frobenius norm is this norm.

        Args:
            weight: An array `(*window, input, output)`.
        """
        flat = weight.reshape(len(self.matrix), -1)
        return _product(self.root, flat).reshape(weight.shape)

    def whitened_channels(self, weight: np.ndarray) -> np.ndarray:
        """The weight whose Frobenius norm is about this norm.

        It is this norm where inputs at the places of the window are alike
        and have nothing to do with one another.

        Args:
            weight: An array `(*window, input, output)`.
        """
        channels = weight.shape[-2]
        places = len(self.matrix) // channels
        blocks = self.matrix.reshape(places, channels, places, channels)
        mean = np.einsum("aiaj->ij", blocks) / places
        return np.matmul(scipy.linalg.cholesky(mean), weight)

    def times(self, weight: np.ndarray) -> np.ndarray:
        """The gradient of half the squared norm.

        Args:
            weight: As above.
        """
        flat = weight.reshape(len(self.matrix), -1)
        return _product(self.matrix, flat).reshape(weight.shape)

    def error(self, weight: np.ndarray, other: np.ndarray) -> float:
        """The relative error of another weight.

        Args:
            weight: The weight.
            other: What stands for it.
        """
        weight = weight.astype(np.float64)
        missed = float(np.linalg.norm(self.whitened(weight - other)))
        whole = float(np.linalg.norm(self.whitened(weight)))
        if whole == 0.0:
            return math.inf if missed else 0.0
        return missed / whole


def is_two_factors(format: Format) -> bool:
    """Whether the first core has all rows, and the second the columns.

    Args:
        format: A format; of a matrix, it may be bound or not.
    """
    return isinstance(format, LowRank) and format.conv_split == "matrix"


def _product(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A matrix, or a diagonal one, times rows."""
    return matrix @ rows if matrix.ndim == 2 else matrix[:, None] * rows


def _unwhitened(found: Decomposition, norm: InputNorm) -> np.ndarray:
    first = found.cores[0].astype(np.float64)
    flat = first.reshape(len(norm.matrix), -1)
    if norm.root.ndim == 1:
        return (flat / norm.root[:, None]).reshape(first.shape)
    return scipy.linalg.solve_triangular(norm.root, flat).reshape(first.shape)


def _measured(
    weight, start: Decomposition, cores, norm: InputNorm
) -> tuple[Decomposition, float]:
    """What these cores make, and its error in the norm."""
    found = finished(
        weight,
        start.format,
        cores,
        iterations=start.iterations,
        converged=start.converged,
    )
    return found, norm.error(weight, found.to_dense())


def _polished(weight, start: Decomposition, norm: InputNorm, passes, steps):
    """The cores after some passes of alternating least squares."""
    network = start.format.network
    problem = _Problem(weight, network, norm)
    cores = [core.astype(np.float64) for core in start.cores]
    for _ in range(passes):
        for number in range(len(cores)):
            cores[number] = problem.solved(cores, number, steps)
        passed()
    return cores


class _Problem:
    """The weight that is to be met, in the norm of its inputs."""

    def __init__(self, weight, network: TensorNetwork, norm: InputNorm):
        self.network, self.norm = network, norm
        self.shape = weight.shape
        self.tensor = leg_tensor(weight, network)

    def weighed(self, tensor: np.ndarray) -> np.ndarray:
        """The moments times a tensor of legs; padding weighs nothing."""
        *window, rows, columns = self.network.weight_shape
        whole = tensor.reshape(self.network.padded_shape)
        true = whole[..., :rows, :columns]
        found = self.norm.times(np.ascontiguousarray(true).reshape(self.shape))
        if true.shape == whole.shape:
            return found.reshape(tensor.shape)
        padded = np.zeros_like(whole)
        padded[..., :rows, :columns] = found.reshape(*window, rows, columns)
        return padded.reshape(tensor.shape)

    def solved(self, cores, number: int, steps: int) -> np.ndarray:
        """A core by conjugate gradients, the others held."""
        forward, back = self._products(cores, number)
        core = cores[number]
        residual = back(self.weighed(self.tensor - forward(core)))
        direction = residual
        square = first = float((residual * residual).sum())
        for _ in range(steps):
            if square <= CONVERGED * first or not square > 0.0:
                break
            image = back(self.weighed(forward(direction)))
            curvature = float((direction * image).sum())
            if curvature <= 0.0:
                break
            length = square / curvature
            core = core + length * direction
            residual = residual - length * image
            before, square = square, float((residual * residual).sum())
            direction = residual + (square / before) * direction
        return core

    def _products(self, cores, number: int):
        """The weight as a linear function of one core, and its adjoint."""
        labels = {
            label: opt_einsum.get_symbol(n)
            for n, label in enumerate(self.network.sizes)
        }
        terms = [
            "".join(labels[x] for x in core) for core in self.network.cores
        ]
        own = terms[number]
        others = [x for n, x in enumerate(terms) if n != number]
        held = [core for n, core in enumerate(cores) if n != number]
        legs = "".join(labels[x] for x in self.network.weight_labels)
        shapes = [core.shape for core in held]
        forward = opt_einsum.contract_expression(
            ",".join([own, *others]) + f"->{legs}", cores[number].shape, *shapes
        )
        back = opt_einsum.contract_expression(
            ",".join([legs, *others]) + f"->{own}", self.tensor.shape, *shapes
        )
        return (
            lambda core: forward(core, *held),
            lambda tensor: back(tensor, *held),
        )
