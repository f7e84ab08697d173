"""Decompositions of the same arrays by TensorLy, at equal ranks.

A 1024 x 1024 matrix and a 3 x 3 x 512 x 512 kernel whose singular values fall
along every unfolding, in four formats. Where TensorLy has
several algorithms or starts, its best error counts, and the time of the call
that found it.
"""

import warnings
from dataclasses import dataclass

import numpy as np

import tensornet_keras as tk

from ..notes import skipped
from ..timing import interleave

DECAY = 1.0
# tensorly-torch's own 100 passes would take a quarter of an hour.
PASSES = 5
# Formats found pass by pass are timed twice: as it is, and to this tolerance.
ITERATED = (tk.formats.CP, tk.formats.TensorRing)
LOOSE_TOLERANCE = 5e-4


def run(smoke):
    """Yields a row for every format and array; none without TensorLy."""
    try:
        import tensorly
    except ImportError:
        skipped("Not compared with TensorLy, which is not installed.")
        return
    # tensorly-torch, when it is loaded, leaves it with PyTorch.
    tensorly.set_backend("numpy")
    for name, weight, format, tensor, calls in _cases(smoke):
        yield _row(name, weight, format, tensor, calls)
    yield from _linear_row(smoke)


def decaying(window, modes, seed=0):
    """A weight whose spectrum falls along every mode of both sides, float32.

    Normal numbers, scaled down along every axis and turned by a random
    rotation of each: no unfolding is of low rank, and none is flat.

    Args:
        window: Kernel size, `()` for a matrix.
        modes: Modes of the input, and again of the output.
        seed: Seed of numbers and rotations.

    Returns:
        An array of shape `(*window, input, output)`.
    """
    rng = np.random.default_rng(seed)
    shape = (*window, *modes, *modes)
    weight = rng.standard_normal(shape, "float32")
    for axis, size in enumerate(shape):
        scale = np.arange(1, size + 1.0) ** -DECAY
        turn = np.linalg.qr(rng.standard_normal((size, size)))[0] * scale
        turned = np.tensordot(weight, turn.astype("float32"), (axis, 1))
        weight = np.moveaxis(turned, -1, axis)
    side = int(np.prod(modes))
    return np.ascontiguousarray(weight.reshape(*window, side, side))


@dataclass(frozen=True)
class Arrays:
    """The two weights, their modes and a rank for them."""

    matrix: np.ndarray
    kernel: np.ndarray
    modes: tuple[int, ...]
    wide: tuple[int, ...]
    rank: int

    @property
    def names(self):
        """What the weights are called in a table."""
        return [
            " x ".join(map(str, weight.shape))
            for weight in (self.matrix, self.kernel)
        ]

    @property
    def stack(self):
        """The kernel with its window as one axis."""
        return self.kernel.reshape(-1, *self.kernel.shape[-2:])


def _arrays(smoke):
    size, channels, rank = (16, 8, 2) if smoke else (1024, 512, 16)
    modes, wide = (
        tk.formats.TensorTrain(1).bind((n,), (n,)).input_modes
        for n in (size, channels)
    )
    matrix, kernel = decaying((), modes), decaying((3, 3), wide)
    return Arrays(matrix, kernel, modes, wide, rank)


def _cases(smoke):
    """Name, weight, format, the tensor TensorLy sees and its calls."""
    arrays = _arrays(smoke)
    for cases in (_train_cases, _tucker_cases, _cp_cases, _ring_cases):
        for kind, case in zip(("matrix", "kernel"), cases(arrays), strict=True):
            format, tensor, calls = case
            weight = getattr(arrays, kind)
            name = arrays.names[kind == "kernel"]
            yield f"{format.name}, {name}", weight, format, tensor, calls


def _train_cases(arrays):
    matrix, kernel = arrays.matrix, arrays.stack
    modes, wide = arrays.modes, arrays.wide
    few = min(9, arrays.rank)
    yield (
        tk.formats.TensorTrain(arrays.rank, modes, modes),
        _paired(matrix[None], modes)[0],
        _trains([1, *[arrays.rank] * (len(modes) - 1), 1]),
    )
    yield (
        tk.formats.TensorTrain(few, wide, wide),
        _paired(kernel, wide),
        _trains([1, *[few] * len(wide), 1]),
    )


def _tucker_cases(arrays):
    size = len(arrays.matrix)
    pair = tk.formats.Tucker(1).bind((size,), (size,)).input_modes
    yield (
        tk.formats.Tucker(arrays.rank, pair, pair),
        arrays.matrix.reshape(*pair, *pair),
        _tuckers((arrays.rank,) * (2 * len(pair))),
    )
    few = min(4 * arrays.rank, arrays.kernel.shape[-1])
    yield (
        tk.formats.Tucker(few),
        arrays.kernel,
        _tuckers((few,) * 2, modes=(2, 3)),
    )


def _cp_cases(arrays):
    rank = 4 * arrays.rank
    size = len(arrays.matrix)
    cp = tk.formats.CP(rank).bind((size,), (size,))
    yield (
        cp,
        _paired(arrays.matrix[None], cp.input_modes, cp.output_modes)[0],
        _polyadics(rank),
    )
    yield (
        tk.formats.CP(rank),
        arrays.stack.transpose(1, 0, 2),
        _polyadics(rank),
    )


def _ring_cases(arrays):
    modes, wide = arrays.modes, arrays.wide
    rank = arrays.rank // 2
    yield (
        tk.formats.TensorRing(rank, modes, modes),
        _paired(arrays.matrix[None], modes)[0],
        _rings([rank] * (len(modes) + 1)),
    )
    few = min(3, rank)
    yield (
        tk.formats.TensorRing(few, wide, wide),
        _paired(arrays.stack, wide),
        _rings([few] * (len(wide) + 2)),
    )


def _paired(stack, inputs, outputs=None):
    """A stack of matrices with one axis per pair of modes."""
    outputs = outputs or inputs
    count = len(inputs)
    split = stack.reshape(len(stack), *inputs, *outputs)
    axes = [0]
    for mode in range(1, count + 1):
        axes += [mode, mode + count]
    pairs = [i * j for i, j in zip(inputs, outputs, strict=True)]
    return np.ascontiguousarray(
        split.transpose(axes).reshape(len(stack), *pairs)
    )


def _trains(rank):
    from tensorly.decomposition import tensor_train

    return {"tensorly": lambda x: tensor_train(x, rank=rank).to_tensor()}


def _tuckers(rank, modes=None):
    import tensorly
    from tensorly.decomposition import partial_tucker, tucker

    def whole(x):
        return tensorly.tucker_to_tensor(tucker(x, rank=rank))

    def partial(x):
        (core, factors), _ = partial_tucker(x, rank=rank, modes=modes)
        return tensorly.tenalg.multi_mode_dot(core, factors, modes=modes)

    return {"tensorly": whole if modes is None else partial}


def _polyadics(rank):
    import tensorly
    from tensorly.decomposition import parafac

    def call(init):
        return lambda x: tensorly.cp_to_tensor(
            parafac(x, rank=rank, init=init, random_state=0)
        )

    return {
        "tensorly, svd": call("svd"),
        "tensorly, random": call("random"),
    }


def _rings(rank):
    from tensorly.decomposition import tensor_ring, tensor_ring_als

    return {
        "tensorly": lambda x: tensor_ring(x, rank=rank).to_tensor(),
        "tensorly, ALS": lambda x: tensor_ring_als(
            x, rank=rank, n_iter_max=100, random_state=0
        ).to_tensor(),
    }


def _row(name, weight, format, tensor, calls):
    norm = np.linalg.norm(tensor)
    errors = {}

    def decomposed(side, **limits):
        def run():
            errors[side] = tk.decompose(weight, format, **limits).relative_error

        return run

    def timed(side, call):
        def run():
            with warnings.catch_warnings():
                # TensorLy warns of ranks above and of tensors of two axes.
                warnings.simplefilter("ignore")
                missed = np.linalg.norm(call(tensor) - tensor) / norm
            errors[side] = float(missed)

        return run

    sides = {"ours": decomposed("ours")}
    if isinstance(format, ITERATED):
        loose = f"ours, tolerance {LOOSE_TOLERANCE:g}"
        sides[loose] = decomposed(loose, tolerance=LOOSE_TOLERANCE)
    own = list(sides)
    sides |= {side: timed(side, call) for side, call in calls.items()}
    timings = interleave(sides, rounds=3, warmup=0, budget=60.0)
    least = min(errors[side] for side in calls)
    return {
        "case": f"{name}, rank {_shown(format.rank)}",
        "sides": {side: one.to_dict() for side, one in timings.items()},
        "ratios": {
            f"{other} / {side}": timings[other].ratio_to(timings[side])
            for side in own
            for other in sides
            if other != side and (side == "ours" or other in calls)
        },
        "facts": {
            **{f"relative_error_{side}": e for side, e in errors.items()},
            **{
                f"error_over_the_best_of_theirs_{side}": errors[side] / least
                for side in own
            },
        },
    }


def _linear_row(smoke):
    """A linear layer by CP as tensorly-torch makes it, five passes each."""
    try:
        import tensorly
        import tltorch
        import torch
    except ImportError:
        skipped("Not compared with tensorly-torch, which is not installed.")
        return
    tensorly.set_backend("pytorch")
    arrays = _arrays(smoke)
    weight = arrays.matrix
    linear = torch.nn.Linear(*weight.shape, bias=False)
    linear.weight.data = torch.tensor(weight.T.copy())
    share, order = 0.1, len(arrays.modes) - 1
    # Empty, for the modes and the rank that it takes.
    modes = tltorch.utils.get_tensorized_shape(
        *weight.shape, order=order, min_dim=2, verbose=False
    )
    rank = tltorch.FactorizedLinear(*modes, factorization="CP", rank=share).rank
    errors = {}

    def theirs():
        layer = tltorch.FactorizedLinear.from_linear(
            linear,
            rank=share,
            n_tensorized_modes=order,
            factorization="CP",
            decomposition_kwargs={"n_iter_max": PASSES},
        )
        dense = layer.weight.to_matrix().detach().numpy().T
        missed = np.linalg.norm(dense - weight) / np.linalg.norm(weight)
        errors["tltorch"] = float(missed)

    def ours():
        format = tk.formats.CP(rank, *modes, pair_modes=False)
        result = tk.decompose(weight, format, max_iterations=PASSES)
        errors["ours"] = result.relative_error

    timings = interleave({"tltorch": theirs, "ours": ours}, rounds=1, warmup=0)
    yield {
        "case": f"cp of a linear layer, {arrays.names[0]}, rank {rank}, "
        f"{PASSES} passes",
        "sides": {side: one.to_dict() for side, one in timings.items()},
        "ratios": {
            "tltorch / ours": timings["tltorch"].ratio_to(timings["ours"])
        },
        "facts": {f"relative_error_{side}": e for side, e in errors.items()},
    }


def _shown(rank):
    return rank if isinstance(rank, int) else "·".join(map(str, rank))
