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


@pytest.mark.parametrize(
    "call", [lambda: backend.compiled(abs), lambda: backend.synchronize(None)]
)
def test_a_backend_we_do_not_know_is_refused_by_name(monkeypatch, call):
    monkeypatch.setattr(keras.backend, "backend", lambda: "openvino")
    with pytest.raises(ValueError, match="openvino.*Set KERAS_BACKEND"):
        call()
