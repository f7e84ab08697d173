import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensornet_keras.contraction import cost
from tensornet_keras.contraction.cost import CPU, GPU, Machine, Shapes

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
        matmul(2**14, 2**5, 2**5),
        matmul(2**5, 2**14, 2**5),
        matmul(2**5, 2**5, 2**14),
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


def permuted(shape, axes):
    return Shapes("move", (shape,), axes)


def test_a_permutation_that_keeps_the_last_axis_is_faster():
    shape = (64, 64, 64)
    kept = cost.seconds(permuted(shape, (1, 0, 2)))
    assert kept < 0.7 * cost.seconds(permuted(shape, (0, 2, 1)))


def test_the_longer_what_stays_together_the_faster_a_permutation():
    times = [
        cost.seconds(permuted((2**18 // run, 4, run), (1, 0, 2)))
        for run in (1, 4, 16, 64, 256)
    ]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == len(times)


def test_axes_of_size_one_are_moved_for_nothing():
    start = cost.seconds(permuted((1, 2, 1), (0, 2, 1)))
    assert start == CPU.launch
    assert cost.seconds(permuted((1, 4096, 1, 512), (2, 1, 0, 3))) == start
    moved = permuted((1, 4096, 512), (0, 2, 1))
    assert cost.seconds(moved) > 2 * start
    assert cost.seconds(moved) == cost.seconds(
        permuted((4096, 512, 1), (1, 0, 2))
    )


def test_what_fits_the_cache_is_read_faster():
    small, large = matmul(1, 256, 256), matmul(1, 4096, 4096)
    slower = dataclasses.replace(CPU, bytes_cached=CPU.bytes_cached / 100)
    far = dataclasses.replace(CPU, cache_bytes=1.0)
    assert cost.seconds(small, slower) > 2 * cost.seconds(small)
    assert cost.seconds(large, slower) > cost.seconds(large)
    assert cost.seconds(small, far) >= cost.seconds(small)


def examples():
    """One step of every kind."""
    return [
        matmul(64, 32, 16),
        matmul(64, 32, 16, stack=8),
        Shapes("matmul", ((8, 64, 32), (8, 32, 16))),
        convolve(4, 100, 8, 16),
        Shapes("depthwise", ((4, 100, 8), (3, 3, 8, 2), (4, 100, 16))),
        Shapes("gather", ((1000, 16), (64, 16))),
        permuted((64, 32, 16), (1, 0, 2)),
        move(4096),
    ]


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["CPU", "GPU"])
@pytest.mark.parametrize("step", examples(), ids=lambda step: step.kind)
def test_a_step_with_its_gradients_takes_two_to_five_times_as_long(
    step, machine
):
    forward = cost.seconds(step, machine)
    both = cost.training_seconds(step, machine)
    assert 2 * forward <= both <= 5 * forward


def test_gradients_of_one_weight_for_a_stack_are_added_up():
    lone = cost.training_seconds(matmul(64, 512, 512, stack=64))
    both = cost.training_seconds(
        Shapes("matmul", ((64, 64, 512), (64, 512, 512)))
    )
    forward = cost.seconds(matmul(64, 512, 512, stack=64))
    assert lone - forward > both - cost.seconds(
        Shapes("matmul", ((64, 64, 512), (64, 512, 512)))
    )


def test_gradients_of_a_look_up_write_the_whole_table():
    small = Shapes("gather", ((1000, 16), (64, 16)))
    large = Shapes("gather", ((1000000, 16), (64, 16)))
    assert cost.seconds(small) == cost.seconds(large)
    assert cost.training_seconds(large) > 10 * cost.training_seconds(small)


@pytest.mark.parametrize("machine", [CPU, GPU], ids=["CPU", "GPU"])
def test_a_machine_survives_json(machine):
    text = json.dumps(dataclasses.asdict(machine))
    read = Machine.from_dict(json.loads(text))
    assert read == machine
    assert hash(read) == hash(machine)


@pytest.mark.parametrize("rates", [None, [], {}, {"launch": 1.0}, "rates"])
def test_a_machine_needs_every_rate(rates):
    with pytest.raises(ValueError, match="A machine has the rates"):
        Machine.from_dict(rates)


def test_a_machine_has_no_unknown_rate():
    rates = dataclasses.asdict(CPU) | {"speed": 1.0}
    with pytest.raises(ValueError, match="A machine has the rates"):
        Machine.from_dict(rates)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf, "fast", None])
def test_a_rate_is_a_number_above_0(rate):
    with pytest.raises(ValueError, match="must be a number above 0"):
        Machine(launch=rate)
