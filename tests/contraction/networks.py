"""Networks that the planner is asked about."""

import math

from hypothesis import strategies as st

from tensornet_keras.formats import TensorTrain
from tensornet_keras.network import Leg, TensorNetwork


def train(input_modes, output_modes, rank, window=()):
    """The network of a tensor train with these modes."""
    sizes = [(math.prod(side),) for side in (input_modes, output_modes)]
    format = TensorTrain(rank, input_modes, output_modes)
    return format.bind(*sizes, window).network


# The first dense layer of VGG, as Novikov et al. 2015 split it.
VGG = train((2, 7, 8, 8, 7, 4), (4,) * 6, 4)


@st.composite
def trains(draw):
    """Networks of small tensor trains, of matrices and of kernels."""
    order = draw(st.integers(1, 5))
    modes = st.lists(st.integers(1, 8), min_size=order, max_size=order)
    window = draw(st.sampled_from([(), (), (3,), (3, 3)]))
    rank = draw(st.integers(1, 16))
    return train(tuple(draw(modes)), tuple(draw(modes)), rank, window)


@st.composite
def networks(draw):
    """Small networks of any shape: loops, hyperedges, legs on many cores."""
    count = draw(st.integers(1, 4))
    cores = [[] for _ in range(count)]
    numbers = st.integers(0, count - 1)
    legs, bonds = [], []
    for kind, prefix in (("in", "i"), ("out", "j")):
        for k in range(1, draw(st.integers(1, 2)) + 1):
            label = f"{prefix}{k}"
            legs.append(Leg(label, draw(st.integers(1, 3)), kind))
            for n in draw(st.sets(numbers, min_size=1, max_size=2)):
                cores[n].append(label)
    for k in range(1, draw(st.integers(0, 3)) + 1 if count > 1 else 1):
        bonds.append((f"b{k}", draw(st.integers(1, 3))))
        for n in draw(st.sets(numbers, min_size=2, max_size=3)):
            cores[n].append(f"b{k}")
    cores = [draw(st.permutations(core)) for core in cores]
    return TensorNetwork(tuple(map(tuple, cores)), tuple(legs), tuple(bonds))
