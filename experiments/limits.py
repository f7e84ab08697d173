"""What a device can do at best: a copy's bandwidth, a product's rate.

The roofline of Williams et al. 2009: no function that reads and writes so
many bytes and multiplies so often takes less time than the larger of the two
quotients.
"""

from dataclasses import dataclass
from functools import cache

from keras import ops

from .suites.layers import best_call, random_input
from .timing import interleave

# A large side is tried until one product takes this long.
PRODUCT_SECONDS = 0.02
LARGEST_SIDE = 16384
COPY_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Limits:
    """The measured limits of a device in float32.

    Args:
        multiply_adds_per_second: Of the product of two square matrices.
        bytes_per_second: Of a copy out of any cache, read and written.
    """

    multiply_adds_per_second: float
    bytes_per_second: float

    def seconds(self, multiply_adds, bytes_moved):
        """The least time that so much work can take.

        Args:
            multiply_adds: Multiplications, each with its addition.
            bytes_moved: Bytes read and written, each array once.

        Returns:
            Seconds.
        """
        return max(
            multiply_adds / self.multiply_adds_per_second,
            bytes_moved / self.bytes_per_second,
        )

    def to_dict(self):
        """The limits as plain data."""
        return {
            "multiply_adds_per_second": self.multiply_adds_per_second,
            "bytes_per_second": self.bytes_per_second,
        }


@cache
def measured(smoke=False):
    """Measures the device that Keras computes on, once a process.

    Args:
        smoke: Whether small arrays will do.

    Returns:
        The `Limits`.
    """
    side, seconds = 128 if smoke else 1024, 0.0
    while True:
        seconds = _product_seconds(side)
        if smoke or seconds > PRODUCT_SECONDS or side >= LARGEST_SIDE:
            break
        side *= 2
    size = 2**18 if smoke else COPY_BYTES // 4
    return Limits(side**3 / seconds, 8 * size / _copy_seconds(size))


def _product_seconds(side):
    x = random_input((side, side))
    return _quickest(ops.matmul, x, x)


def _copy_seconds(size):
    # Adding one reads and writes every number once, as a copy does, and no
    # compiler takes it away.
    return _quickest(lambda x: x + 1.0, random_input((size,)))


def _quickest(function, *arguments):
    call = best_call(function, *arguments)
    timing = interleave({"call": call}, rounds=7, warmup=2, budget=5.0)["call"]
    return min(timing.seconds)
