"""tensorly-torch: https://github.com/tensorly/torch, eager PyTorch."""

import math

import tensornet_keras as tk

NAME, PACKAGE, BACKEND = "tensorly-torch", "tltorch", None
IMPLEMENTATIONS = {
    "tensorly-torch": "factorized",
    "tensorly-torch, reconstructed": "reconstructed",
}


def dense(bound):
    """`FactorizedLinear`, factorized and reconstructed, of the same ranks.

    Of a CP decomposition, of which it splits every mode, the same size.

    Args:
        bound: A bound format of a dense layer.

    Returns:
        A dict of modules.
    """
    formats = tk.formats
    found = {
        formats.TensorTrain: "blocktt",
        formats.CP: "cp",
        formats.Tucker: "tucker",
    }.get(type(bound))
    if found is None or bound.pad:
        return {}
    tltorch = _tltorch()
    rank = bound.rank
    if found == "blocktt":
        rank = (1, *rank, 1)
    elif found == "tucker":
        inputs = len(bound.input_modes)
        rank = (*rank[inputs:], *rank[:inputs])
    else:
        # One more number of each rank than the factors have: its weight.
        each = sum(bound.input_modes) + sum(bound.output_modes) + 1
        rank = max(1, round(bound.num_params / each))
    return {
        name: tltorch.FactorizedLinear(
            tuple(bound.input_modes),
            tuple(bound.output_modes),
            bias=False,
            factorization=found,
            rank=rank,
            implementation=implementation,
        )
        for name, implementation in IMPLEMENTATIONS.items()
    }


def convolution(bound):
    """`FactorizedConv`: tensor train, Tucker and CP at equal parameters.

    A format that it lacks is compared with its tensor train.

    Args:
        bound: A bound format of a convolution.

    Returns:
        A dict of modules.
    """
    tltorch = _tltorch()
    formats = tk.formats
    name, limits = {
        formats.CP: ("cp", {}),
        formats.Tucker: ("tucker", {"fixed_rank_modes": "spatial"}),
    }.get(type(bound), ("tt", {}))
    module = tltorch.FactorizedConv(
        bound.input_dims[0],
        bound.output_dims[0],
        tuple(bound.window),
        padding=bound.window[0] // 2,
        bias=False,
        factorization=name,
        rank=bound.num_params / bound.dense_params,
        implementation="factorized",
        **limits,
    )
    # Its factors come uninitialised.
    module.weight.normal_(0, 0.02)
    return {"tensorly-torch": module}


def embedding(bound):
    """`FactorizedEmbedding`, a tensor train of the same cores.

    Its words are as many as the modes have places: it does not pad.

    Args:
        bound: A bound format of an embedding.

    Returns:
        A dict of modules.
    """
    if not isinstance(bound, tk.formats.TensorTrain):
        return {}
    if math.prod(bound.output_modes) != math.prod(bound.output_dims):
        return {}
    module = _tltorch().FactorizedEmbedding(
        math.prod(bound.input_modes),
        math.prod(bound.output_modes),
        auto_tensorize=False,
        tensorized_num_embeddings=tuple(bound.input_modes),
        tensorized_embedding_dim=tuple(bound.output_modes),
        factorization="blocktt",
        rank=(1, *bound.rank, 1),
    )
    return {"tensorly-torch": module}


def _tltorch():
    import tensorly
    import tltorch

    # Who used TensorLy last may have left it with NumPy.
    tensorly.set_backend("pytorch")
    return tltorch
