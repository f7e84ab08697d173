"""TT-matrices to and from t3f, number for number.

t3f (Novikov et al. 2020, JMLR 21(30)) stores the cores of a TT-matrix in the
same row-major order as here, as `(r, i, j, r')` with unit bonds at the ends.
"""

from __future__ import annotations

import numpy as np

from tensornet_keras.decomposition import Decomposition
from tensornet_keras.formats import TensorTrain


def to_t3f(train, cores=None):
    """A t3f TT-matrix with the cores of a tensor train.

    The cores are copied as they are. t3f knows no crop: a padded train
    becomes the padded matrix, of which the weight is the leading part.

    Args:
        train: A decomposition, or the bound `TensorTrain` of `cores`. For a
            built layer these are `layer.format` and `layer.cores`.
        cores: Arrays or variables in the shapes of `train.core_shapes`.
            `None` with a decomposition, which has its own.

    Returns:
        A `t3f.TensorTrain` that is a TT-matrix.

    Raises:
        ImportError: If t3f is not installed.
        TypeError: If `train` is neither of these, or cores are missing or
            given twice.
        ValueError: If the train is a convolution's, unbound, or does not fit
            the cores.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> train = tk.formats.TensorTrain(rank=3)
    >>> result = tk.decompose(np.ones((16, 16)), train)
    >>> tk.interop.to_t3f(result).get_raw_shape()
    (TensorShape([4, 4]), TensorShape([4, 4]))
    """
    format, cores = _train_of(train, cores)
    if format.window:
        raise ValueError(
            "t3f has matrices, and no convolution kernels. "
            f"Received: a train with window={format.window}. "
            "Pass the train of a dense layer."
        )
    bonds = (1, *format.rank, 1)
    modes = zip(format.input_modes, format.output_modes, strict=True)
    shapes = [(bonds[k], i, j, bonds[k + 1]) for k, (i, j) in enumerate(modes)]
    # t3f takes the shape from the cores; one given with a single mode a side
    # it would read as that of a vector.
    return _import_t3f().TensorTrain(
        [core.reshape(s) for core, s in zip(cores, shapes, strict=True)]
    )


def from_t3f(tt_matrix) -> tuple[TensorTrain, tuple[np.ndarray, ...]]:
    """The bound tensor train and the cores of a t3f TT-matrix.

    A layer takes them over with
    `layer = TTDense(units, rank=format.rank, input_modes=format.input_modes,
    output_modes=format.output_modes)` and, once built,
    `core.assign(value)` for each of `layer.cores`.

    Args:
        tt_matrix: A `t3f.TensorTrain` that is a TT-matrix.

    Returns:
        The bound train, and one array a core in the shapes of its
        `core_shapes`, equal to those of t3f.

    Raises:
        ImportError: If t3f is not installed.
        TypeError: If `tt_matrix` is no t3f train.
        ValueError: If it is a TT-tensor and not a TT-matrix.

    Example:

    >>> import numpy as np
    >>> import tensornet_keras as tk
    >>> train = tk.formats.TensorTrain(rank=3)
    >>> result = tk.decompose(np.ones((16, 16)), train)
    >>> format, cores = tk.interop.from_t3f(tk.interop.to_t3f(result))
    >>> format.input_modes, [core.shape for core in cores]
    ((4, 4), [(4, 4, 3), (3, 4, 4)])
    """
    t3f = _import_t3f()
    if not isinstance(tt_matrix, t3f.TensorTrain):
        raise TypeError(
            "Only a t3f.TensorTrain can be taken over. "
            f"Received: tt_matrix of type {type(tt_matrix).__name__}. "
            "Pass for example what t3f.to_tt_matrix returned."
        )
    if any(len(core.shape) != 4 for core in tt_matrix.tt_cores):
        raise ValueError(
            "Only a TT-matrix stands for a weight. "
            f"Received: a TT-tensor of shape {tuple(tt_matrix.get_shape())}. "
            "Make one with t3f.to_tt_matrix."
        )
    arrays = [np.array(core) for core in tt_matrix.tt_cores]
    shapes = [core.shape for core in arrays]
    rows = tuple(shape[1] for shape in shapes)
    columns = tuple(shape[2] for shape in shapes)
    format = TensorTrain(
        rank=tuple(shape[3] for shape in shapes[:-1]),
        input_modes=rows,
        output_modes=columns,
    ).bind((int(np.prod(rows)),), (int(np.prod(columns)),))
    cores = zip(arrays, format.core_shapes, strict=True)
    return format, tuple(core.reshape(shape) for core, shape in cores)


def _train_of(train, cores):
    if isinstance(train, TensorTrain):
        if cores is None:
            raise TypeError(
                "A format holds no numbers. "
                f"Received: train={train!r}, cores=None. "
                "Pass its cores too, or a decomposition."
            )
        # Checks that the format is bound and fits the cores.
        train = Decomposition(train, tuple(cores), 0.0)
    elif cores is not None:
        raise TypeError(
            "Cores go with a TensorTrain. "
            f"Received: train={train!r} with {len(cores)} cores. "
            "Pass to_t3f(decomposition) or to_t3f(format, cores)."
        )
    if not isinstance(train, Decomposition) or not isinstance(
        train.format, TensorTrain
    ):
        raise TypeError(
            "Only tensor trains go to t3f. "
            f"Received: train={train!r}. "
            "Pass a decomposition into a TensorTrain, or its format and cores."
        )
    return train.format, train.cores


def _import_t3f():
    try:
        import t3f
    except ImportError as error:
        raise ImportError(
            "Exchanging trains with t3f needs the package t3f. "
            "Received: it is not installed. "
            "Install it with `pip install tensornet_keras[t3f]`."
        ) from error
    return t3f
