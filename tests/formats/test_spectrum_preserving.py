import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensornet_keras as tk
from tensornet_keras import formats
from tensornet_keras.formats import LowRank, PaperMethod, TensorTrain, Tucker
from tensornet_keras.formats.cp import CP

METHODS = ("svd", "cp", "tk", "tt", "rcp", "rtk", "rtt")
# Ranks of a 3x3 kernel with 64 channels a side at 5, 10, 20 and 40 %.
RANKS = {
    "svd": [(5,), (10,), (20,), (39,)],
    "cp": [(14,), (27,), (54,), (108,)],
    "tk": [(9,) * 2, (15,) * 2, (23,) * 2, (34,) * 2],
    "tt": [(10,) * 3, (17,) * 3, (26,) * 3, (41,) * 3],
    "rcp": [(14,), (27,), (54,), (108,)],
    "rtk": [(4, 4, 4, 3), (5, 5, 4, 4), (6, 6, 5, 5), (7, 7, 6, 6)],
    "rtt": [(8, 8, 8), (11, 11, 9), (16, 21, 9), (16, 31, 9)],
}
SHAPES = {
    "svd": [(3, 64, 10), (10, 3, 64)],
    "cp": [(64, 27), (3, 3, 27), (27, 64)],
    "tk": [(64, 15), (3, 3, 15, 15), (15, 64)],
    "tt": [(64, 17), (3, 17, 17), (3, 17, 17), (17, 64)],
    "rcp": [(27, 8, 8), (27, 8, 8), (3, 3, 27)],
    "rtk": [(8, 5), (8, 5), (3, 3, 5, 5, 4, 4), (4, 8), (4, 8)],
    "rtt": [(4, 4, 11), (11, 4, 4, 11), (11, 4, 4, 9), (3, 3, 9)],
}
CLASSES = {"svd": LowRank, "cp": CP, "rcp": CP, "tk": Tucker, "rtk": Tucker}


@pytest.mark.parametrize("method", METHODS)
def test_ranks_are_those_of_the_published_code(method):
    found = [
        formats.get(method, rate=rate).bind((64,), (64,), (3, 3)).rank
        for rate in (0.05, 0.1, 0.2, 0.4)
    ]
    assert found == RANKS[method]


@pytest.mark.parametrize("method", METHODS)
def test_factors_have_the_numbers_of_the_paper(method):
    bound = PaperMethod(method, 0.1).bind((64,), (64,), (3, 3))
    assert type(bound) is CLASSES.get(method, TensorTrain)
    found = sorted(np.prod(shape) for shape in bound.core_shapes)
    assert found == sorted(np.prod(shape) for shape in SHAPES[method])


@pytest.mark.parametrize("method", ["cp", "tk", "tt"])
@pytest.mark.parametrize("window", [(), (1, 1)])
def test_pointwise_kernels_fall_back_to_svd(method, window):
    bound = PaperMethod(method, 0.1).bind((64,), (32,), window)
    assert bound == PaperMethod("svd", 0.1).bind((64,), (32,), window)


@given(
    st.sampled_from(METHODS),
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from([(), (3,), (1, 1), (3, 2), (3, 3), (2, 2, 2)]),
    st.floats(0.01, 1.0),
)
def test_every_size_has_modes_and_ranks(method, inputs, outputs, window, rate):
    bound = PaperMethod(method, rate).bind((inputs,), (outputs,), window)
    assert bound.dense_shape == (*window, inputs, outputs)
    assert bound.num_params == sum(map(np.prod, bound.core_shapes))


def test_channels_are_dealt_in_turn():
    train = PaperMethod("rtt", 0.1).bind((32,), (16,), (3, 3))
    assert (train.input_modes, train.output_modes) == ((4, 4, 2), (2, 2, 4))
    tucker = PaperMethod("rtk", 0.1).bind((96,), (7,), (3, 3))
    assert (tucker.input_modes, tucker.output_modes) == ((12, 8), (7, 1))


def test_the_published_rule_of_rcp_spends_three_times_the_rate():
    sizes = (64,), (64,), (3, 3)
    right = PaperMethod("rcp", 0.1).bind(*sizes)
    published = formats.get("rcp", rate=0.1, corrected=False).bind(*sizes)
    assert right.num_params == 27 * (9 + 64 + 64)
    assert published.rank == (98,)
    assert published.num_params > 3.4 * 0.1 * published.dense_params


def test_names_of_the_catalog_stay_formats_of_their_own():
    assert formats.get("tt", rank=3) == TensorTrain(3)
    assert formats.get("tt", rate=0.1) == PaperMethod("tt", 0.1)


def test_the_config_is_plain_data():
    method = PaperMethod("rcp", 0.2, corrected=False)
    config = json.loads(json.dumps(method.to_config()))
    assert formats.get(config) == method
    assert repr(method) == (
        "PaperMethod(method='rcp', rate=0.2, corrected=False)"
    )
    assert str(method) == "rcp(rate=0.2)"


@pytest.mark.parametrize("method", ["svd", "tk", "tt", "rtk", "rtt"])
def test_kernels_decompose_by_method(method):
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((3, 3, 16, 32)).astype("float32")
    result = tk.decompose(kernel, formats.get(method, rate=0.4))
    assert result.relative_error < 0.9
    assert result.to_dense().shape == kernel.shape


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("ttt", 0.1), ValueError, "`method` must be one of"),
        (("rtt",), TypeError, "needs a rate.*rate=None"),
        (("rtt", True), TypeError, "needs a rate"),
        (("rtt", 1.5), ValueError, r"\(0, 1\].*rate=1.5"),
        (("rtt", 0), ValueError, r"\(0, 1\]"),
        (("rtt", 0.1, False), ValueError, "Only `rcp`.*Leave corrected out"),
        (("rcp", 0.1, 1), TypeError, "`corrected`"),
    ],
)
def test_what_makes_no_method_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        PaperMethod(*arguments)


def test_multiples_and_unbound_cores_are_refused():
    with pytest.raises(ValueError, match="rank_multiple=8"):
        PaperMethod("rtt", 0.1, rank_multiple=8)
    with pytest.raises(AttributeError, match="once it is bound"):
        PaperMethod("rtt", 0.1).num_params  # noqa: B018
    with pytest.raises(ValueError, match="exclude each other"):
        tk.decompose(np.ones((4, 4)), PaperMethod("rtt", 0.1), error=0.1)
