import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.contraction import cost
from tensornet_keras.contraction.cost import CPU, Shapes

extents = st.integers(1, 4096)


def matmul(rows, contracted, columns, stack=None):
    left = (rows, contracted) if stack is None else (stack, rows, contracted)
    return Shapes("matmul", (left, (contracted, columns)))


def convolve(batch, positions, channels, filters, window=(3, 3)):
    return Shapes(
        "convolve",
        (
            (batch, positions, channels),
            (*window, channels, filters),
            (batch, positions, filters),
        ),
    )


def move(size):
    return Shapes("move", ((size,),))


@given(st.lists(extents, min_size=4, max_size=4), st.integers(0, 3))
@pytest.mark.parametrize("step", [matmul, convolve])
def test_larger_steps_never_take_less_time(step, sizes, grown):
    larger = [size + (n == grown) for n, size in enumerate(sizes)]
    assert cost.seconds(step(*larger)) >= cost.seconds(step(*sizes))
    assert cost.multiply_adds(step(*larger)) > cost.multiply_adds(step(*sizes))


@given(extents, extents)
def test_moving_more_takes_longer_and_multiplies_nothing(size, more):
    assert cost.seconds(move(size + more)) > cost.seconds(move(size))
    assert cost.multiply_adds(move(size)) == 0


def test_multiplications_are_counted():
    assert cost.multiply_adds(matmul(3, 5, 7)) == 3 * 5 * 7
    assert cost.multiply_adds(matmul(3, 5, 7, stack=2)) == 2 * 3 * 5 * 7
    assert cost.multiply_adds(convolve(2, 10, 3, 4)) == 2 * 10 * 9 * 3 * 4


def test_a_stack_may_be_on_either_side():
    left = Shapes("matmul", ((6, 3, 5), (5, 7)))
    right = Shapes("matmul", ((3, 5), (6, 5, 7)))
    assert cost.multiply_adds(left) == cost.multiply_adds(right)
    assert cost.seconds(left) == pytest.approx(cost.seconds(right), rel=0.5)


@given(extents, extents, extents)
def test_a_product_and_its_mirror_image_take_the_same_time(
    rows, inner, columns
):
    mirrored = cost.seconds(matmul(columns, inner, rows))
    assert cost.seconds(matmul(rows, inner, columns)) == mirrored


@pytest.mark.parametrize(
    "thin",
    [
        matmul(2**12, 2**6, 2**6),
        matmul(2**6, 2**12, 2**6),
        matmul(2**6, 2**6, 2**12),
    ],
)
def test_thin_products_are_slower_than_square_ones_of_as_many_operations(thin):
    square = matmul(2**8, 2**8, 2**8)
    assert cost.multiply_adds(thin) == cost.multiply_adds(square)
    assert cost.seconds(thin) > 1.1 * cost.seconds(square)


def test_very_thin_products_take_the_time_of_their_bytes():
    square = matmul(2**10, 2**10, 2**10)
    for sizes in ((2**18, 4, 2**10), (2, 2**14, 2**15), (2**15, 2**14, 2)):
        thin = matmul(*sizes)
        assert cost.multiply_adds(thin) == cost.multiply_adds(square)
        assert cost.seconds(thin) > 2 * cost.seconds(square)


def test_every_product_of_a_stack_takes_time_of_its_own():
    one = matmul(1000 * 2048, 1, 1)
    many = matmul(2048, 1, 1, stack=1000)
    assert cost.multiply_adds(many) == cost.multiply_adds(one)
    assert cost.seconds(many) > 1.01 * cost.seconds(one)


@pytest.mark.parametrize(
    "step", [matmul(1, 1, 1), convolve(1, 1, 1, 1), move(1)]
)
def test_no_step_is_free(step):
    assert cost.seconds(step) >= CPU.launch


@pytest.mark.parametrize("rate", ["multiply_adds", "bytes_moved"])
@pytest.mark.parametrize("step", [matmul, convolve])
def test_a_faster_machine_takes_less_time(step, rate):
    large = step(512, 512, 512, 512)
    slower = dataclasses.replace(CPU, **{rate: getattr(CPU, rate) / 100})
    assert cost.seconds(large) < cost.seconds(large, slower)


def test_a_convolution_takes_longer_than_the_product_it_holds():
    window = (3, 3)
    product = matmul(2 * 100, math.prod(window) * 8, 16)
    step = convolve(2, 100, 8, 16, window)
    assert cost.multiply_adds(step) == cost.multiply_adds(product)
    assert cost.seconds(step) > cost.seconds(product)
