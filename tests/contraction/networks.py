"""Networks that the planner is asked about."""

import math

from hypothesis import strategies as st

from tensornet_keras.formats import TensorTrain


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
