"""Examples of every format: bound ones, and as a user writes them."""

from tensornet_keras.formats import (
    CP,
    BlockTensorTrain,
    EinsumNetwork,
    Kronecker,
    LowRank,
    Monarch,
    PaperMethod,
    TensorRing,
    TensorTrain,
    Tucker,
)

# Bound formats, by catalog name: matrices first, then convolution kernels.
FORMATS = {
    # Bound, a method of this paper is a format of another class.
    "su2018": (
        PaperMethod("rtt", rate=0.5).bind((8,), (16,), (3, 3)),
        PaperMethod("rtk", rate=0.5).bind((4,), (8,), (3,)),
        PaperMethod("tt", rate=0.9).bind((6,), (8,), (3, 3)),
        PaperMethod("rcp", rate=0.9).bind((8,), (16,)),
        PaperMethod("tk", rate=0.9).bind((6,), (8,), (2, 3, 2)),
    ),
    "btt": (
        BlockTensorTrain(2, (3, 4), (2, 5)).bind((12,), (10,)),
        BlockTensorTrain(1, (1, 7), (5, 1)).bind((7,), (5,)),
        # A rank above the attainable, 2.
        BlockTensorTrain((5,), (4, 2), (3, 2)).bind((8,), (6,)),
        BlockTensorTrain(3).bind((67,), (13,)),
        BlockTensorTrain(0.5).bind((36,), (24,)),
        BlockTensorTrain(2).bind((1,), (20,)),
        BlockTensorTrain(2, (2, 3), (4, 2)).bind((6,), (8,), (3,)),
        BlockTensorTrain(3, (3, 2), (2, 4)).bind((6,), (8,), (3, 2)),
        BlockTensorTrain(2, (2, 3), (3, 2), pad=True).bind(
            (5,), (5,), (2, 1, 2)
        ),
    ),
    "cp": (
        CP(3).bind((3,), (5,)),
        # Primes, padded to the modes that are chosen.
        CP(3).bind((67,), (13,)),
        CP(0.5).bind((16,), (24,)),
        CP(2).bind((1,), (20,)),
        CP(2, (2, 3, 2), (3, 1, 2)).bind((12,), (6,)),
        # Ranks above the attainable, 12.
        CP((15,), (3, 2, 2), (2, 3, 1)).bind((12,), (6,)),
        CP((30,), (2, 3), (4, 2), pair_modes=False).bind((6,), (8,)),
        CP(2, (7,), (5,), pair_modes=False).bind((7,), (5,)),
        CP(3, (2, 3), (6,), pad=True, pair_modes=False).bind((5,), (5,)),
        CP(3).bind((6,), (4,), (3,)),
        CP(0.5).bind((6,), (8,), (3, 2)),
        CP(2, (3, 2), (8,)).bind((6,), (8,), (3, 2)),
        CP(4).bind((1,), (6,), (3, 3)),
        CP(2, (2, 3), (3, 2), pad=True).bind((5,), (5,), (2, 1, 2)),
        *(
            CP(3, *modes, pad=True, pair_modes=True).bind(*sizes)
            for modes, sizes in (
                ((None, None), ((4,), (3,), (2,))),
                (((3, 2), (2, 4)), ((6,), (8,), (3,))),
                (((3, 2), (2, 4)), ((5,), (8,), (3, 2))),
                (((2, 2), (3, 1)), ((4,), (3,), (2, 1, 2))),
            )
        ),
    ),
    "kronecker": (
        Kronecker(2).bind((6,), (8,)),
        Kronecker(1, (3, 2), (2, 3)).bind((6,), (6,)),
        Kronecker(3, (3,), (4,)).bind((3,), (4,)),
        # A rank above the attainable, 4.
        Kronecker((9,), (3, 2), (5, 2)).bind((6,), (10,)),
        # Primes, padded to two modes.
        Kronecker(3).bind((67,), (13,)),
        Kronecker(0.5).bind((16,), (24,)),
        Kronecker(3).bind((1,), (20,)),
        Kronecker(3, (2, 3, 2), (3, 1, 2)).bind((12,), (6,)),
        Kronecker(2, (3, 2), (2, 4)).bind((6,), (8,), (3,)),
        Kronecker(3).bind((6,), (8,), (3, 2)),
        Kronecker(2, (2, 3), (3, 2), pad=True).bind((5,), (5,), (2, 1, 2)),
        Kronecker(2, (2, 1, 2), (1, 3, 2)).bind((4,), (6,), (3, 3)),
        Kronecker(2, (3,), (2,)).bind((3,), (2,), (2,)),
    ),
    "low_rank": (
        LowRank(2).bind((7,), (5,)),
        LowRank(0.5).bind((16,), (24,)),
        LowRank(3).bind((1,), (20,)),
        # A rank above the attainable, 4.
        LowRank((9,), "spatial").bind((4,), (11,)),
        LowRank(3, rank_multiple=2).bind((12,), (10,)),
        *(
            LowRank(rank, split).bind((6,), (outputs,), window)
            for split in ("matrix", "spatial", "spatial_transposed")
            for rank, outputs, window in (
                (3, 4, (3,)),
                ((40,), 7, (3, 2)),
                (2, 1, (2, 1, 3)),
            )
        ),
    ),
    # Modes of one where any weight is to be met exactly.
    "monarch": (
        Monarch((3, 1), (2, 5)).bind((3,), (10,)),
        Monarch((3, 4), (1, 5)).bind((12,), (5,)),
        Monarch((4, 1), (2, 4), pad=True).bind((3,), (7,)),
        Monarch((2, 3), (1, 4)).bind((6,), (4,), (3,)),
        Monarch((3, 2), (1, 4)).bind((6,), (4,), (3, 2)),
        Monarch((2, 2), (1, 3), pad=True).bind((3,), (2,), (2, 1, 2)),
    ),
    "tr": (
        TensorRing(2, (7,), (5,)).bind((7,), (5,)),
        TensorRing(2, (3, 2), (2, 3)).bind((6,), (6,)),
        TensorRing((2, 3, 2), (2, 3, 2), (3, 1, 2)).bind((12,), (6,)),
        # Ranks above the attainable (4, 6, 4).
        TensorRing((9, 11, 7), (2, 2, 3), (2, 1, 2)).bind((12,), (4,)),
        # Primes, padded to the modes that are chosen.
        TensorRing(3).bind((67,), (13,)),
        TensorRing(0.5).bind((16,), (24,)),
        TensorRing(3).bind((1,), (20,)),
        TensorRing(2, (2,) * 5, (2,) * 5).bind((32,), (32,)),
        TensorRing(3, (6,), (4,)).bind((6,), (4,), (3,)),
        TensorRing(2, (3, 2), (2, 4)).bind((6,), (8,), (2,)),
        TensorRing((2, 5, 3), (3, 2), (2, 4)).bind((6,), (8,), (3, 2)),
        TensorRing(3, (2, 3), (3, 2), pad=True).bind((5,), (5,), (2, 1, 2)),
    ),
    "einsum": (
        # A chain, Tucker's network, a tree, a grid; a single core.
        EinsumNetwork("i1 a, a i2 j1 b, b j2", 3).bind((12,), (10,)),
        EinsumNetwork("i1 a, i2 b, a b c, c j1 -> i1 i2 j1", (2, 3, 4)).bind(
            (6,), (5,)
        ),
        EinsumNetwork.tree(3, rank=2).bind((12,), (8,)),
        EinsumNetwork.grid(2, 2, rank=2).bind((16,), (24,)),
        EinsumNetwork("i1 j1", 2).bind((7,), (5,)),
        # A bond of three cores, a leg of two, both at once.
        EinsumNetwork("i1 a, a i2 j1, j2 a", 3).bind((6,), (8,)),
        EinsumNetwork("i1 j1 a, j1 a i2 j2", 2, (2, 3), (3, 2)).bind(
            (6,), (6,)
        ),
        EinsumNetwork("i1 a b, a b j1 i2, b i2 j2", 2).bind((6,), (4,)),
        # Primes, padded to even modes; ranks above the attainable.
        EinsumNetwork("i1 a, i2 a j1", 3).bind((67,), (13,)),
        EinsumNetwork("i1 a, a i2 j1", (9,), (2, 3), (2,)).bind((6,), (2,)),
        EinsumNetwork("i1 j1 a, a i2 j2", 0.5).bind((16,), (24,)),
        EinsumNetwork("w0 a, a i1 b, b j1", 3).bind((6,), (4,), (3,)),
        EinsumNetwork("i1 a, w0 a b, b c w1, c j1", 3).bind((6,), (4,), (3, 2)),
        EinsumNetwork("w i1 a, a i2 j1 b, b j2", 2).bind((6,), (8,), (3, 2)),
        EinsumNetwork.grid(2, 2, 2).bind((4,), (6,), (2, 1, 2)),
    ),
    "tt": (
        TensorTrain(2, (7,), (5,)).bind((7,), (5,)),
        TensorTrain(1, (3, 2), (2, 3)).bind((6,), (6,)),
        TensorTrain((2, 3), (2, 3, 2), (3, 1, 2)).bind((12,), (6,)),
        # Ranks above the attainable (4, 6).
        TensorTrain((9, 11), (2, 2, 3), (2, 1, 2)).bind((12,), (4,)),
        # Primes, padded to the modes that are chosen.
        TensorTrain(3).bind((67,), (13,)),
        TensorTrain(0.5).bind((16,), (24,)),
        TensorTrain(3).bind((1,), (20,)),
        TensorTrain(2, (2, 1, 3, 2), (1, 3, 1, 2)).bind((12,), (6,)),
        TensorTrain(2, (2,) * 5, (2,) * 5).bind((32,), (32,)),
        TensorTrain(3, (2, 3, 2, 2, 1, 2), (2, 1, 2, 2, 3, 2), pad=True).bind(
            (45,), (47,)
        ),
        TensorTrain(3, (6,), (4,)).bind((6,), (4,), (3,)),
        TensorTrain(2, (3, 2), (2, 4)).bind((6,), (8,), (2,)),
        TensorTrain(1, (3, 2), (2, 4)).bind((6,), (8,), (3, 2)),
        TensorTrain(4).bind((1,), (6,), (3, 3)),
        TensorTrain((5, 30, 7), (2, 3, 1), (2, 2, 2)).bind((6,), (8,), (3, 2)),
        TensorTrain(2, (2,) * 4, (2,) * 4).bind((16,), (16,), (3, 3)),
        TensorTrain(3, (2, 3), (3, 2), pad=True).bind((5,), (5,), (2, 1, 2)),
        *(
            TensorTrain(rank, *modes, pad=True, conv_order=order).bind(
                *sizes, window
            )
            for rank, modes, order, sizes, window in (
                (2, ((3, 2), (2, 4)), "channels_outside", ((6,), (8,)), ()),
                (3, ((6,), (2, 4)), "channels_outside", ((6,), (8,)), (3,)),
                (4, ((6,), (8,)), "channels_outside", ((6,), (7,)), (3, 2)),
                (3, ((2, 3), (4,)), "channels_outside", ((5,), (4,)), (2,) * 3),
                (2, ((3, 2), (2, 4)), "spatial_last", ((6,), (8,)), (3,)),
                (5, ((3, 2), (2, 4)), "spatial_last", ((5,), (8,)), (3, 2)),
                (
                    (9, 9),
                    ((2, 3), (3, 2)),
                    "spatial_last",
                    ((6,), (5,)),
                    (2,) * 3,
                ),
            )
        ),
    ),
    "tucker": (
        Tucker(2).bind((7,), (5,)),
        # Primes, padded to the modes that are chosen.
        Tucker(3).bind((67,), (13,)),
        Tucker(0.5).bind((16,), (24,)),
        Tucker(3).bind((1,), (20,)),
        Tucker((2, 1, 3), (3, 4), (6,)).bind((12,), (6,)),
        # Ranks above the attainable (2, 6, 3).
        Tucker((3, 9, 5), (2, 6), (3,)).bind((12,), (3,)),
        Tucker(1, (2, 3), (3, 2), pad=True).bind((5,), (5,)),
        Tucker(2, (2, 2, 2), (2, 2, 2)).bind((8,), (8,)),
        Tucker(3).bind((6,), (4,), (3,)),
        Tucker((3, 5)).bind((6,), (8,), (3, 2)),
        Tucker(2, (3, 2), (2, 4)).bind((6,), (8,), (3, 2)),
        Tucker(4).bind((1,), (6,), (3, 3)),
        Tucker(3, (2, 3), (6,), pad=True).bind((5,), (5,), (2, 1, 2)),
    ),
}

# The same as a user writes it for a layer: with a rank, without sizes.
AS_WRITTEN = {
    "btt": BlockTensorTrain(rank=3),
    "cp": CP(rank=3),
    "kronecker": Kronecker(rank=3),
    "low_rank": LowRank(rank=3),
    "monarch": Monarch(),
    "einsum": EinsumNetwork("w i1 a, a i2 j1 b, b j2", rank=3),
    "su2018": PaperMethod("rtt", rate=0.3),
    "tr": TensorRing(rank=3),
    "tt": TensorTrain(rank=3),
    "tucker": Tucker(rank=3),
}
