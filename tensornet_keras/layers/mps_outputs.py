"""What a tensor train's value, a mantissa in log scale, is returned as."""

from __future__ import annotations

from keras import ops

OUTPUTS = ("value", "normalized", "log_square")
# The square of float32's rounding: keeps the logarithm of a zero finite.
LEAST_SQUARE = 1e-14
# Logarithms of the largest numbers that a type holds, a little less.
LARGEST_LOG = {"float16": 11.09, "float64": 709.0}
LARGEST_LOG_OF_OTHERS = 88.7


def expressed(output, mantissa, log_scale, dtype):
    """The value in the form that a layer returns.

    Args:
        output: One of `OUTPUTS`; see `MPSLayer`.
        mantissa: `(batch, units)`, the largest of an example being 1.
        log_scale: `(batch, 1)`, a constant to the gradient.
        dtype: Type that the outputs are cast to afterwards.

    Returns:
        A tensor `(batch, units)`.
    """
    if output == "value":
        largest = LARGEST_LOG.get(dtype, LARGEST_LOG_OF_OTHERS)
        return mantissa * ops.exp(ops.minimum(log_scale, largest))
    square = ops.square(mantissa)
    if output == "log_square":
        return ops.log(square + LEAST_SQUARE) + 2 * log_scale
    square = ops.sum(square, axis=-1, keepdims=True)
    return mantissa / ops.sqrt(square + LEAST_SQUARE)
