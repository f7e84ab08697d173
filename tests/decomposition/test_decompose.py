import numpy as np
import pytest

import tensornet_keras as tk
from tensornet_keras.decomposition import Decomposition
from tensornet_keras.decomposition.decompose import ALGORITHMS
from tensornet_keras.formats import CATALOG, PaperMethod, TensorTrain
from tests.decomposition.oracles import decaying_weight, relative_error

WEIGHT = decaying_weight((16, 24))


def test_every_format_of_the_catalog_has_an_algorithm():
    # A method of Su et al. becomes another format before it is decomposed.
    assert set(ALGORITHMS) == set(CATALOG.values()) - {PaperMethod}


def test_a_format_may_be_named_or_plain_data():
    for format in ("tt", {"name": "tt"}, TensorTrain()):
        result = tk.decompose(WEIGHT, format, error=0.1)
        assert result.format.rank == (1,)


def test_a_bound_format_is_used_as_it_is():
    bound = TensorTrain(3, (2, 8), (12, 2)).bind((4, 4), (24,))
    result = tk.decompose(WEIGHT, bound)
    assert result.format == bound


def test_a_share_of_the_parameters_is_never_exceeded():
    result = tk.decompose(WEIGHT, TensorTrain(rank=0.3))
    assert sum(core.size for core in result.cores) <= 0.3 * WEIGHT.size
    assert result.format.num_params == sum(core.size for core in result.cores)


def test_error_zero_keeps_the_full_rank():
    result = tk.decompose(WEIGHT, TensorTrain(), error=0)
    assert result.format.rank == (16,)
    assert result.relative_error < 1e-14


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_to_dense_has_the_shape_and_dtype_of_the_weight(dtype):
    weight = decaying_weight((3, 2, 15, 7), dtype=dtype)
    result = tk.decompose(weight, TensorTrain(rank=4))
    dense = result.to_dense()
    assert (dense.shape, dense.dtype) == (weight.shape, weight.dtype)
    assert relative_error(dense, weight) == pytest.approx(
        result.relative_error, abs=2e-3
    )


def test_a_decomposition_prints_without_its_numbers():
    text = repr(tk.decompose(WEIGHT, TensorTrain(rank=3)))
    assert "rank=(3,)" in text
    assert "relative_error=" in text
    assert "array" not in text


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        (np.ones((4, 4), "int64"), TypeError, "floating dtype.*int64"),
        (np.ones((4, 4), "complex64"), TypeError, "floating dtype"),
        (np.ones(4), ValueError, r"matrix .*shape \(4,\)"),
        (np.ones((1,) * 6), ValueError, "one to three kernel axes"),
        (np.ones((4, 0)), ValueError, r"not empty.*\(4, 0\)"),
        (np.full((4, 4), np.nan), ValueError, "finite.*16 entries"),
        (np.array([[1.0, np.inf]]), ValueError, "finite.*1 entries"),
    ],
)
def test_a_weight_that_cannot_be_decomposed_is_refused(weight, error, words):
    with pytest.raises(error, match=words):
        tk.decompose(weight, TensorTrain(rank=2))


@pytest.mark.parametrize(
    ("format", "error", "words"),
    [
        (TensorTrain(rank=2), 0.1, "exclude each other.*rank=2, error=0.1"),
        (TensorTrain(), None, "needs a rank or an error"),
        (TensorTrain(), 1.0, r"\[0, 1\).*error=1.0"),
        (TensorTrain(), -0.1, r"\[0, 1\).*error=-0.1"),
        (TensorTrain(), float("nan"), r"\[0, 1\)"),
        (TensorTrain(2).bind((8,), (8,)), None, r"\(8, 8\).*\(16, 24\)"),
        (TensorTrain((2, 2), (4, 4), (6, 4)), None, "one entry per bond"),
        (TensorTrain(2, (4, 5), (6, 4)), None, "multiply to the size"),
        ("no such format", 0.1, "catalog"),
    ],
)
def test_a_format_that_does_not_fit_is_refused(format, error, words):
    with pytest.raises(ValueError, match=words):
        tk.decompose(WEIGHT, format, error=error)


def test_an_error_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="must be a number"):
        tk.decompose(WEIGHT, TensorTrain(), error="small")


def test_a_format_without_algorithm_is_refused_by_name():
    class Unknown(TensorTrain):
        pass

    with pytest.raises(ValueError, match=r"'TensorTrain', .*\].*Unknown"):
        tk.decompose(WEIGHT, Unknown(rank=2))


def test_cores_that_do_not_fit_their_format_are_refused():
    result = tk.decompose(WEIGHT, TensorTrain(rank=3))
    with pytest.raises(ValueError, match="shapes of their format"):
        Decomposition(result.format, result.cores[::-1], 0.0)
    with pytest.raises(ValueError, match="bound to sizes"):
        Decomposition(TensorTrain(rank=3), result.cores, 0.0)


def test_decomposing_imports_no_keras(fresh_process):
    printed = fresh_process("""
        import sys
        import numpy as np
        import tensornet_keras as tk
        tk.decompose(np.ones((8, 8)), tk.formats.TensorTrain(rank=2))
        print("keras" in sys.modules)
    """)
    assert printed == "False"
