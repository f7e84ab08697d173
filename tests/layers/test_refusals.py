"""What a factorized layer cannot have is refused by name."""

import keras
import pytest

import tensornet_keras as tk

TTDense = tk.layers.TTDense
TRAIN = tk.formats.TensorTrain(rank=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel_constraint", "non_neg"),
        ("quantization_config", {"mode": "int8"}),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda **more: tk.layers.FactorizedDense(8, TRAIN, **more),
        lambda **more: tk.layers.FactorizedConv2D(8, 3, TRAIN, **more),
        lambda **more: TTDense(8, **more),
    ],
)
def test_arguments_of_keras_that_cannot_be_had(make, name, value):
    with pytest.raises(ValueError, match=f"has no `{name}`.*{name}=") as error:
        make(**{name: value})
    assert repr(value) in str(error.value)
    make(**{name: None})


def test_an_argument_that_nobody_has():
    with pytest.raises((TypeError, ValueError), match="kernel_size"):
        TTDense(8, kernel_size=3)


@pytest.mark.parametrize(
    "format",
    [
        tk.formats.TensorTrain(),
        tk.formats.TensorTrain("vbmf"),
        {"name": "tt"},
    ],
    ids=str,
)
def test_a_format_without_a_rank(format):
    with pytest.raises(ValueError, match="needs a rank.*Pass rank="):
        tk.layers.FactorizedDense(8, format)


def test_a_rank_of_none():
    with pytest.raises(ValueError, match="needs a rank"):
        TTDense(8, rank=None)


def test_a_catalog_name_has_no_rank():
    with pytest.raises(ValueError, match=r"format='tt'.*get\('tt', rank=8\)"):
        tk.layers.FactorizedDense(8, "tt")


@pytest.mark.parametrize("format", [8, None, ("tt", 8)])
def test_what_is_no_format(format):
    with pytest.raises(TypeError, match="A format must be a Format"):
        tk.layers.FactorizedDense(8, format)


@pytest.mark.parametrize(
    "initializer",
    [
        "ones",
        "identity",
        keras.initializers.Constant(0.5),
        lambda shape, dtype=None: keras.ops.zeros(shape, dtype),
    ],
    ids=["ones", "identity", "constant", "function"],
)
def test_initializers_that_cannot_be_matched_in_variance(initializer):
    with pytest.raises(ValueError, match="variance-scaling.*Received: kernel_"):
        TTDense(8, kernel_initializer=initializer)


@pytest.mark.parametrize(
    "initializer",
    [
        keras.initializers.RandomNormal(mean=0.5),
        keras.initializers.TruncatedNormal(mean=-1.0),
        keras.initializers.RandomUniform(0.0, 1.0),
    ],
)
def test_initializers_of_another_mean_than_zero(initializer):
    name = type(initializer).__name__
    with pytest.raises(ValueError, match=f"mean of zero.*{name}"):
        TTDense(8, kernel_initializer=initializer)


@pytest.mark.parametrize(
    ("batch", "error"), [(0, ValueError), (-2, ValueError), ("8", TypeError)]
)
def test_a_planning_batch_below_one(batch, error):
    with pytest.raises(
        error, match=f"`planning_batch`.*planning_batch={batch!r}"
    ):
        TTDense(8, planning_batch=batch)


def test_a_kernel_or_a_plan_before_the_layer_is_built():
    layer = TTDense(8, name="early")
    # PyTorch's modules say in their own words that there is no `kernel`.
    with pytest.raises(AttributeError, match="kernel"):
        _ = layer.kernel
    with pytest.raises(ValueError, match="layer 'early', which is not"):
        layer.plan()


def test_the_base_class_cannot_be_planned():
    layer = tk.layers.FactorizedLayer(TRAIN)
    layer.built = True
    with pytest.raises(TypeError, match="FactorizedLayer is abstract"):
        layer.plan()
