"""Parts that a class makes itself, and what was done to them later."""

import keras
import pytest
from keras import layers

import tensornet_keras as tk
from tests.small_models import (
    assert_same_function,
    copy_of,
    numbers,
    randomized,
)


@keras.saving.register_keras_serializable("tests")
class Two(keras.Model):
    """Two dense layers, of policies of their own."""

    def __init__(self, inner=None, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner
        self.one = layers.Dense(8, name="one", dtype=inner)
        self.two = layers.Dense(4, name="two")

    def call(self, x):
        return self.two(self.one(x))

    def get_config(self):
        return {**super().get_config(), "inner": self.inner}


def two(**kwargs):
    model = Two(**kwargs)
    model(numbers(2, 8))
    return randomized(model)


def test_an_adapter_of_a_part_is_copied():
    model = two()
    model.one.enable_lora(2, lora_alpha=3)
    model.one.lora_kernel_b.assign(numbers(2, 8))
    copy = copy_of(model)
    assert copy.one.lora_enabled
    assert (copy.one.lora_rank, copy.one.lora_alpha) == (2, 3)
    assert_same_function(model, copy, numbers(5, 8))
    small, report = tk.convert(model, tk.formats.LowRank(2))
    assert {row.reason for row in report.rows} == {"LoRA", ""}
    assert small.one.lora_enabled


def test_adapters_of_parts_are_merged():
    model = two()
    model.one.enable_lora(2)
    model.one.lora_kernel_b.assign(numbers(2, 8))
    merged, _ = tk.merge(model)
    assert not merged.one.lora_enabled
    assert_same_function(model, merged, numbers(5, 8))


@pytest.mark.parametrize("whole", [False, True])
def test_parts_that_were_quantized_stay_so(whole):
    model = two()
    (model if whole else model.one).quantize("int8")
    copy = copy_of(model)
    assert copy.one.quantization_mode == "int8"
    assert copy.two.quantization_mode == ("int8" if whole else None)
    assert_same_function(model, copy, numbers(5, 8))


def test_a_policy_given_to_a_part_by_its_class_is_kept():
    model = two(inner="mixed_bfloat16")
    model.two.dtype_policy = keras.DTypePolicy("mixed_float16")
    for found in (
        copy_of(model),
        tk.convert(model, tk.formats.LowRank(2), min_compression=0)[0],
    ):
        assert found.one.dtype_policy.name == "mixed_bfloat16"
        assert found.two.dtype_policy.name == "mixed_float16"
