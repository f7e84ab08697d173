"""Random arguments give the outputs of the Keras layer with the same kernel."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tensornet_keras import backend, layers
from tests.laws.oracles import assert_close, keras_twin, random_array
from tests.laws.tracing import traced

CONVOLUTIONS = (layers.TTConv1D, layers.TTConv2D, layers.TTConv3D)
EXTENTS = ((9,), (6, 7), (5, 6, 5))
# JAX compiles every example; there the laws and these few must do.
EXAMPLES = settings(max_examples=8 if backend.name() == "jax" else 20)

sizes = st.integers(1, 24)
ranks = st.one_of(st.integers(1, 8), st.floats(0.5, 1.0))
activations = st.sampled_from([None, "relu", "tanh"])
input_types = st.sampled_from(["float32", "float64", "float16", "int32"])


def assert_like_keras(layer, inputs):
    """Compares a built layer with its twin, which only takes floats."""
    expected = traced(keras_twin(layer), inputs.astype("float32"))
    outputs = traced(layer, inputs)
    assert outputs.dtype == expected.dtype
    assert tuple(outputs.shape) == layer.compute_output_shape(inputs.shape)
    assert_close(outputs, expected)


@EXAMPLES
@given(
    leading=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    inputs=sizes,
    units=sizes,
    rank=st.integers(1, 8),
    use_bias=st.booleans(),
    activation=activations,
    input_type=input_types,
)
def test_dense_layers(leading, inputs, input_type, **arguments):
    layer = layers.TTDense(bias_initializer="random_normal", **arguments)
    layer.build((*leading, inputs))
    x = (4 * random_array((*leading, inputs))).astype(input_type)
    assert_like_keras(layer, x)


@st.composite
def convolutions(draw):
    """A convolution with its arguments, and the shape of its input."""
    axes = draw(st.integers(1, 3))

    def per_axis(most):
        return draw(st.tuples(*[st.integers(1, most)] * axes))

    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    spacing = draw(st.sampled_from(["strides", "dilation_rate", None]))
    arguments = {
        "filters": groups * draw(st.integers(1, 8)),
        "kernel_size": per_axis(3),
        "padding": draw(
            st.sampled_from(
                ["valid", "same", "causal"] if axes == 1 else ["valid", "same"]
            )
        ),
        "groups": groups,
        "use_bias": draw(st.booleans()),
        "activation": draw(activations),
        "rank": draw(st.integers(1, 8)),
    }
    if spacing:
        arguments[spacing] = per_axis(2)
    channels = groups * draw(st.integers(1, 8))
    shape = (draw(st.integers(1, 3)), *EXTENTS[axes - 1], channels)
    return CONVOLUTIONS[axes - 1], arguments, shape


@EXAMPLES
@given(convolutions(), input_types)
def test_convolutions(convolution, input_type):
    layer_class, arguments, shape = convolution
    layer = layer_class(bias_initializer="random_normal", **arguments)
    layer.build(shape)
    assert_like_keras(layer, (4 * random_array(shape)).astype(input_type))
