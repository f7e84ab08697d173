"""Timing suites: what they compare agrees, and a small run is complete."""

import sys

import keras
import numpy as np
import pytest

import tensornet_keras as tk
from experiments import bench, record
from experiments.suites import baselines, decompositions
from experiments.suites.dense import Case


@pytest.mark.parametrize("suite", bench.SUITES)
def test_every_suite_runs_in_seconds(suite, tmp_path, capsys):
    if suite == "decompositions":
        pytest.importorskip("t3f")
    arguments = [suite, "--smoke", "--output", str(tmp_path)]
    assert bench.main(arguments) == 0
    assert "over ours" in capsys.readouterr().out
    result = record.load(tmp_path / f"bench_{suite}.json")
    assert result["smoke"]
    for row in result["rows"]:
        others = set(row["sides"]) - {"ours"}
        assert set(row["ratios"]) >= {f"{name} / ours" for name in others}
        assert all(one["median"] > 0 for one in row["sides"].values())


def test_tensornet_loop_agrees_with_the_layer():
    layer = tk.layers.TTDense(
        30, rank=(2, 3), input_modes=(2, 3, 4), output_modes=(5, 3, 2)
    )
    x = np.random.default_rng(0).normal(size=(7, 24)).astype("float32")
    expected = layer(x)
    found = baselines.core_by_core(
        x, baselines.core_matrices(layer), layer.format.output_modes
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    cores = [core.value for core in layer.cores]
    rebuilt = baselines.rebuilt(layer)(x, *cores)
    np.testing.assert_allclose(rebuilt, expected, atol=1e-5)


def test_channel_by_channel_agrees_with_the_layer():
    layer = tk.layers.TTConv2D(
        15,
        3,
        rank=(4, 2),
        input_modes=(2, 3),
        output_modes=(5, 3),
        padding="same",
        use_bias=False,
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 6)).astype("float32")
    expected = layer(x)
    found = baselines.channel_by_channel(
        keras.ops.convert_to_tensor(x),
        layer.cores[0].value,
        baselines.core_matrices(layer, spatial=True),
        layer.format.output_modes,
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_both_decompositions_find_the_same_error():
    pytest.importorskip("t3f")
    row = next(decompositions.run(smoke=True))
    facts = row["facts"]
    assert facts["relative_error_ours"] == pytest.approx(
        facts["relative_error_t3f"], rel=0.01
    )
    assert 0.05 < facts["relative_error_ours"] < 0.5


def test_the_kernel_to_decompose_is_a_train_and_noise():
    case = Case((2, 3, 2), (2, 2, 3), 2)
    kernel = decompositions.noisy_train(case)
    assert kernel.shape == (12, 12)
    assert kernel.dtype == np.float32
    bound = tk.formats.TensorTrain(2, case.input_modes, case.output_modes)
    found = tk.decompose(kernel, bound)
    assert found.relative_error < decompositions.NOISE


def test_without_t3f_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "t3f", None)
    assert bench.main(["decompositions", "--smoke"]) == 1
    assert "pip install 'tensornet-keras[t3f]'" in capsys.readouterr().err
