from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tensornet_keras import backend


def test_the_name_is_the_one_keras_was_started_with():
    assert backend.name() == keras.config.backend()


def test_compiled_functions_give_the_same_numbers():
    x = keras.ops.arange(6, dtype="float32")
    result = backend.compiled(lambda x: keras.ops.sum(2 * x))(x)
    assert float(result) == 30.0


def test_compiled_functions_take_several_arguments():
    ones = keras.ops.ones((2, 2))
    result = backend.compiled(keras.ops.matmul)(ones, ones)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(result), 2.0)


def test_synchronize_returns_the_tensor_it_waited_for():
    x = keras.ops.ones((2, 2))
    assert backend.synchronize(x) is x


@pytest.mark.skipif(
    backend.name() != "torch", reason="the others wait in one way"
)
@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps"])
def test_synchronize_waits_for_the_device_of_a_tensor(monkeypatch, kind):
    import torch

    waited = []
    for other in ("cuda", "mps"):
        monkeypatch.setattr(
            getattr(torch, other),
            "synchronize",
            lambda *device, other=other: waited.append(other),
        )
    device = SimpleNamespace(type=kind)
    tensor = SimpleNamespace(device=device, is_cuda=kind == "cuda")
    assert backend.synchronize(tensor) is tensor
    assert waited == ([] if kind == "cpu" else [kind])


def test_an_accelerator_has_a_name_and_a_cpu_has_none():
    name = backend.accelerator()
    assert name is None or (isinstance(name, str) and name)


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "bfloat16", "int32", "bool"]
)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_numbers_of_a_variable_are_those_of_keras(shape, dtype):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    variable = keras.Variable(values, dtype=dtype, trainable=False)
    found = backend.numbers_of(variable)
    expected = keras.ops.convert_to_numpy(variable)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(
    backend.name() == "torch", reason="PyTorch writes into what it gave away."
)
def test_numbers_of_a_variable_stay_when_it_changes():
    variable = keras.Variable(np.ones((64, 64), "float32"))
    found = backend.numbers_of(variable)
    variable.assign_add(np.ones((64, 64), "float32"))
    np.testing.assert_array_equal(found, 1.0)


@pytest.mark.parametrize("changed", [0, 1])
def test_a_copied_variable_and_its_copy_change_apart(changed):
    pair = [keras.Variable(np.full((64, 64), x, "float32")) for x in (0, 1)]
    pair[1].assign(backend.copied(pair[0]))
    pair[changed].assign_add(keras.ops.ones((64, 64)))
    expected = [float(changed == 0), float(changed == 1)]
    for variable, number in zip(pair, expected, strict=True):
        found = keras.ops.convert_to_numpy(variable)
        np.testing.assert_array_equal(found, number)


def test_distinct_numbers_and_their_places():
    values = np.array([4, 7, 4, 4, 0], "int32")
    found, places = map(
        keras.ops.convert_to_numpy,
        backend.unique(keras.ops.convert_to_tensor(values), 5),
    )
    np.testing.assert_array_equal(found[places], values)
    assert set(found) == {0, 4, 7}
    assert len(found) == (5 if backend.has_static_shapes() else 3)


def test_numbers_are_at_hand_until_a_function_is_traced():
    x = keras.ops.arange(3)
    np.testing.assert_array_equal(backend.numbers_at_hand(x), [0, 1, 2])
    seen = []

    def double(x):
        seen.append(backend.numbers_at_hand(x))
        return 2 * x

    backend.compiled(double)(x)
    # PyTorch runs eagerly.
    assert (seen[0] is None) == (backend.name() != "torch")


@pytest.mark.parametrize(
    "call",
    [
        lambda: backend.compiled(abs),
        lambda: backend.synchronize(None),
        lambda: backend.numbers_at_hand(None),
        lambda: backend.unique(None, 1),
    ],
)
def test_a_backend_we_do_not_know_is_refused_by_name(monkeypatch, call):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    with pytest.raises(ValueError, match="openvino.*Set KERAS_BACKEND"):
        call()
