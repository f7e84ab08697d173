"""Decompositions of the same arrays by TensorLy, at equal ranks.

A 1024 x 1024 matrix and a 3 x 3 x 512 x 512 kernel whose singular values fall
along every unfolding, in four formats. Where TensorLy has
several algorithms or starts, its best error counts, and the time of the call
that found it.
"""

import numpy as np
from rich.console import Console

import tensornet_keras as tk

from ..timing import interleave

DECAY = 1.0
SMOKE_SIZE = 16


def run(smoke):
    """Yields a row for every format and array; none without TensorLy."""
    try:
        import tensorly
    except ImportError:
        note = "Not compared with TensorLy, which is not installed."
        Console(stderr=True).print(note)
        return
    del tensorly
    for name, weight, format, tensor, calls in _cases(smoke):
        yield _row(name, weight, format, tensor, calls)


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


def _cases(smoke):
    """Name, weight, format, the tensor TensorLy sees and its calls."""
    size = SMOKE_SIZE if smoke else 1024
    channels = SMOKE_SIZE // 2 if smoke else 512
    few = 3 if smoke else 16
    modes = tk.formats.TensorTrain(1).bind((size,), (size,)).input_modes
    pair = tk.formats.Tucker(1).bind((size,), (size,)).input_modes
    wide = tk.formats.TensorTrain(1).bind((channels,), (channels,)).input_modes
    matrix = decaying((), modes)
    kernel = decaying((3, 3), wide)
    inner = len(modes) - 1
    yield (
        f"TT, {size} x {size}",
        matrix,
        tk.formats.TensorTrain(few, modes, modes),
        _paired(matrix[None], modes)[0],
        _trains([1, *[few] * inner, 1]),
    )
    yield (
        f"TT, 3 x 3 x {channels} x {channels}",
        kernel,
        tk.formats.TensorTrain(few if smoke else 9, wide, wide),
        _paired(kernel.reshape(9, channels, channels), wide),
        _trains([1, *[few if smoke else 9] * len(wide), 1]),
    )
    yield (
        f"Tucker, {size} x {size}",
        matrix,
        tk.formats.Tucker(few, pair, pair),
        matrix.reshape(*pair, *pair),
        _tuckers((few,) * (2 * len(pair))),
    )
    yield (
        f"Tucker-2, 3 x 3 x {channels} x {channels}",
        kernel,
        tk.formats.Tucker(4 * few),
        kernel,
        _tuckers((4 * few,) * 2, modes=(2, 3)),
    )
    cp = tk.formats.CP(4 * few).bind((size,), (size,))
    yield (
        f"CP, {size} x {size}",
        matrix,
        cp,
        _paired(matrix[None], cp.input_modes, cp.output_modes)[0],
        _polyadics(4 * few),
    )
    yield (
        f"CP, 3 x 3 x {channels} x {channels}",
        kernel,
        tk.formats.CP(4 * few),
        kernel.reshape(9, channels, channels).transpose(1, 0, 2),
        _polyadics(4 * few),
    )
    ring = few // 2 or 1
    yield (
        f"TR, {size} x {size}",
        matrix,
        tk.formats.TensorRing(ring, modes, modes),
        _paired(matrix[None], modes)[0],
        _rings([ring] * (inner + 2)),
    )
    yield (
        f"TR, 3 x 3 x {channels} x {channels}",
        kernel,
        tk.formats.TensorRing(3, wide, wide),
        _paired(kernel.reshape(9, channels, channels), wide),
        _rings([3] * (len(wide) + 2)),
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

    def ours():
        errors["ours"] = tk.decompose(weight, format).relative_error

    def timed(side, call):
        def run():
            missed = np.linalg.norm(call(tensor) - tensor) / norm
            errors[side] = float(missed)

        return run

    sides = {"ours": ours}
    sides |= {side: timed(side, call) for side, call in calls.items()}
    timings = interleave(sides, rounds=5, warmup=0, budget=60.0)
    best = min((x for x in errors if x != "ours"), key=errors.get)
    return {
        "case": f"{name}, rank {_shown(format.rank)}",
        "sides": {side: one.to_dict() for side, one in timings.items()},
        "ratios": {
            f"{side} / ours": one.ratio_to(timings["ours"])
            for side, one in timings.items()
            if side != "ours"
        },
        "facts": {
            **{f"relative_error_{side}": e for side, e in errors.items()},
            "error_over_the_best_of_theirs": errors["ours"] / errors[best],
        },
    }


def _shown(rank):
    return rank if isinstance(rank, int) else "·".join(map(str, rank))
