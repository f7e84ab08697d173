"""The tensor train over features: its numbers, its cores and its manners."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras import backend
from tensornet_keras.layers import MPSLayer, feature_maps
from tests.laws.oracles import as_numpy, assert_close, random_array
from tests.layers.mps_oracle import (
    UNSTRUCTURED,
    WIDE,
    built,
    embedded,
    outputs_of,
    uniform,
    value_and_log,
    value_of,
)

ops = keras.ops


@pytest.mark.parametrize("boundary", ["open", "periodic"])
@pytest.mark.parametrize("rank", [1, 3, WIDE])
@pytest.mark.parametrize("features", [1, 7])
def test_every_output_site_agrees_with_numpy(features, rank, boundary):
    x = uniform(3, features)
    for site in sorted({0, (features + 1) // 2, features}):
        layer = built(
            features,
            rank=rank,
            output_site=site,
            boundary=boundary,
            kernel_initializer=UNSTRUCTURED,
        )
        assert_close(outputs_of(layer, x), value_of(layer, x))


def test_one_einsum_over_all_cores_says_the_same():
    layer = built(4, kernel_initializer=UNSTRUCTURED, rank=3)
    x = uniform(2, 4)
    e = embedded(x, "poly", 2)
    cores = [as_numpy(core) for core in layer.cores]
    expected = np.einsum(
        "ia,ajb,bud,dke,el,zi,zj,zk,zl->zu",
        *cores,
        *(e[:, k] for k in range(4)),
    )
    assert_close(outputs_of(layer, x), expected)


# JAX compiles every example.
@settings(max_examples=6 if backend.name() == "jax" else 12)
@given(
    features=st.integers(1, 20),
    dim=st.integers(1, 5),
    rank=st.sampled_from([1, 2, 5, WIDE]),
    name=st.sampled_from(["poly", "unit", "fourier"]),
    data=st.data(),
)
def test_every_size_and_embedding_agrees_with_numpy(
    features, dim, rank, name, data
):
    layer = built(
        features,
        rank=rank,
        embedding=name,
        embedding_dim=dim,
        output_site=data.draw(st.integers(0, features)),
        kernel_initializer=UNSTRUCTURED,
    )
    x = uniform(2, features)
    assert_close(outputs_of(layer, x), value_of(layer, x))


def test_whole_numbers_pick_a_slice_of_every_core():
    layer = built(5, embedding="basis", embedding_dim=3)
    x = np.array([[0, 1, 2, 1, 0], [2, 2, 0, 0, 1]])
    found = outputs_of(layer, x)
    assert_close(found, value_of(layer, x))
    assert_close(outputs_of(layer, x.astype("float32")), found)


def test_embedded_inputs_are_taken_as_they_are():
    plain = built(6, seed=1)
    given_ = built(6, embedding=None, seed=1)
    x = uniform(2, 6)
    found = outputs_of(given_, embedded(x, "poly", 2).astype("float32"))
    assert_close(found, outputs_of(plain, x))


def test_a_function_embeds():
    layer = built(
        6, embedding=lambda x: ops.stack([ops.ones_like(x), x], -1), seed=1
    )
    x = uniform(2, 6)
    assert_close(outputs_of(layer, x), outputs_of(built(6, seed=1), x))


@pytest.mark.parametrize(("features", "middle"), [(1, 1), (4, 2), (5, 3)])
def test_the_output_is_in_the_middle_unless_one_says_where(features, middle):
    assert built(features).output_site == middle


@pytest.mark.parametrize("name", ["poly", "fourier", "unit", "basis"])
def test_coefficients_sum_the_features_to_one(name):
    dim = 3
    x = np.linspace(0, 1, 5) if name != "basis" else np.arange(dim)
    coefficients = feature_maps.constant_coefficients(name, dim)
    np.testing.assert_allclose(embedded(x, name, dim) @ coefficients, 1)


def test_the_other_outputs_follow_from_the_value():
    x = uniform(4, 9)
    layers = {
        output: built(9, output=output, kernel_initializer=UNSTRUCTURED)
        for output in ("value", "normalized", "log_square")
    }
    value = value_of(layers["value"], x)
    norm = np.linalg.norm(value, axis=-1, keepdims=True)
    assert_close(outputs_of(layers["normalized"], x), value / norm)
    logits = outputs_of(layers["log_square"], x)
    assert_close(ops.softmax(logits), (value / norm) ** 2)
    assert_close(logits, np.log(value**2))


def test_cores_go_in_and_come_out_in_the_convention_of_tensorkrowch():
    rng = np.random.default_rng(0)
    bonds = [2, 4, 5, 3]
    shapes = [(2, 2), (2, 2, 4), (4, 7, 5), (5, 2, 3), (3, 2)]
    cores = [rng.standard_normal(shape) for shape in shapes]
    layer = MPSLayer.from_cores(cores)
    assert (layer.units, layer.rank, layer.output_site) == (7, max(bonds), 2)
    x = uniform(3, 4)
    value, log = value_and_log(cores, embedded(x, "poly", 2), 2)
    found = outputs_of(layer, x)
    assert_close(found, value * np.exp(log))
    again = MPSLayer.from_cores([as_numpy(core) for core in layer.cores])
    assert_close(outputs_of(again, x), found)


def test_a_ring_of_cores_is_recognized():
    cores = [random_array((3, s, 3), k) for k, s in enumerate((2, 2, 4, 2))]
    layer = MPSLayer.from_cores(cores)
    assert (layer.boundary, layer.units) == ("periodic", 4)
    x = uniform(2, 3)
    assert_close(outputs_of(layer, x), value_of(layer, x))


def test_bias_activation_and_regularizer_are_those_of_keras():
    layer = built(
        4,
        use_bias=True,
        bias_initializer="ones",
        activation="tanh",
        kernel_regularizer=keras.regularizers.L2(0.1),
        seed=0,
    )
    x = uniform(2, 4)
    assert_close(outputs_of(layer, x), np.tanh(value_of(layer, x) + 1))
    squares = sum(np.square(as_numpy(core)).sum() for core in layer.cores)
    assert float(as_numpy(sum(layer.losses))) == pytest.approx(
        0.1 * squares, rel=1e-5
    )


@keras.saving.register_keras_serializable("test_mps")
def lifted(x):
    return ops.stack([ops.ones_like(x), x, x], axis=-1)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"embedding": "unit", "embedding_dim": 3, "output_site": 2},
        {"embedding": lifted, "embedding_dim": 3, "output": "log_square"},
        {"boundary": "periodic", "use_bias": True, "seed": 3},
        {"kernel_initializer": "glorot_uniform", "activation": "relu"},
    ],
    ids=["default", "unit", "callable", "periodic", "glorot"],
)
def test_a_saved_model_gives_the_same_outputs(tmp_path, arguments):
    layer = MPSLayer(4, rank=3, **arguments)
    model = keras.Sequential([keras.Input((9,)), layer])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = uniform(3, 9)
    before, after = (as_numpy(outputs_of(each, x)) for each in (model, again))
    np.testing.assert_array_equal(after, before)
    assert again.layers[0].get_config() == layer.get_config()


def test_the_same_seed_draws_the_same_cores():
    first, second = built(5, seed=4), built(5, seed=4)
    for one, other in zip(first.cores, second.cores, strict=True):
        np.testing.assert_array_equal(as_numpy(one), as_numpy(other))
    assert not np.array_equal(
        as_numpy(built(5).cores[0]), as_numpy(built(5).cores[0])
    )


def test_symbolic_shapes_and_parameters():
    inputs = keras.Input((20,))
    layer = MPSLayer(4, rank=5)
    outputs = layer(inputs)
    assert outputs.shape == (None, 4)
    assert layer.count_params() == 2 * (2 * 5) + 18 * (5 * 2 * 5) + 5 * 4 * 5
    assert layer.compute_output_shape((7, 20)) == (7, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`units` must be at least 1"),
        ({"rank": 2.5}, "`rank` must be a whole number"),
        ({"embedding": "sine"}, "`embedding` must be one of"),
        ({"embedding": 3}, "a name, a function or None"),
        ({"output": "log"}, "`output` must be one of"),
        ({"boundary": "obc"}, "`boundary` must be one of"),
        ({"output_site": 6}, "Pass an int from 0 to 5"),
        ({"output_site": -1}, "Received: output_site=-1"),
        ({"embedding": None, "embedding_dim": 3}, "must be `embedding_dim"),
    ],
    ids=str,
)
def test_what_is_no_layer_is_refused(arguments, words):
    with pytest.raises((ValueError, TypeError), match=words):
        built(5, **arguments)


def test_a_function_of_another_size_is_refused():
    layer = built(4, embedding=lifted, embedding_dim=2)
    with pytest.raises(ValueError, match="must add an axis of size"):
        layer(uniform(2, 4))


def test_unknown_features_and_other_inputs_are_refused():
    with pytest.raises(ValueError, match="number of features"):
        MPSLayer(3).build((None, None))
    with pytest.raises(ValueError, match="expected shape"):
        built(5)(uniform(2, 6))


def test_cores_that_do_not_fit_are_refused():
    layer = built(3)
    cores = [as_numpy(core) for core in layer.cores]
    with pytest.raises(ValueError, match="Pass 4 cores"):
        layer.set_cores(cores[:-1])
    with pytest.raises(ValueError, match=r"Core 1 must have the shape"):
        layer.set_cores([cores[0], cores[1][:, :1], *cores[2:]])
    with pytest.raises(ValueError, match="two or more arrays of 3 axes"):
        MPSLayer.from_cores([cores[0], cores[0]][:1])
    with pytest.raises(ValueError, match="once it is built"):
        _ = MPSLayer(3).cores


def test_the_face_has_the_layer():
    assert tk.layers.MPSLayer is MPSLayer
