"""What fine-tuning must not lose: regularizers, losses, averages, inputs."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tensornet_keras as tk
from tensornet_keras.finetuning import Blockwise, EndToEnd
from tensornet_keras.finetuning.distillation import distillation_of
from tests.small_models import (
    mlp,
    numbers,
    randomized,
    values_of,
)

LOW = tk.formats.LowRank


def net(*layers, shape=(8,)):
    return randomized(keras.Sequential([keras.Input(shape), *layers]))


def differ(model, other):
    pairs = zip(values_of(model), values_of(other), strict=True)
    return any(not np.array_equal(*pair) for pair in pairs)


@pytest.mark.parametrize("phase", [Blockwise(1, "sgd"), EndToEnd(1, "sgd")])
def test_regularizers_count_with_a_teacher_too(phase):
    found = []
    for regularizer in (None, keras.regularizers.L2(0.1)):
        teacher = mlp(kernel_regularizer=regularizer)
        small, _ = tk.convert(teacher, LOW(rank=2))
        x = numbers(64, 8)
        found.append(tk.finetune(small, x, teacher=teacher, phases=[phase]))
    norms = [sum(np.square(w).sum() for w in values_of(m)) for m in found]
    assert norms[1] < norms[0]


def test_labels_of_a_data_loader_count():
    torch = pytest.importorskip("torch")
    x, y = numbers(64, 8), numbers(64, 5)
    both = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    # One batch of all, for which the order plays no part.
    batches = torch.utils.data.DataLoader(both, batch_size=64)
    for teacher in (None, net(layers.Dense(5))):
        found = []
        for data in (batches, (x, y)):
            phase = EndToEnd(1, keras.optimizers.SGD(0.5), loss="mse")
            small = net(layers.Dense(5))
            how = {"teacher": teacher, "phases": [phase], "batch_size": 64}
            found.append(values_of(tk.finetune(small, data, **how)))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        start = values_of(net(layers.Dense(5)))
        assert np.abs(found[0][0] - start[0]).max() > 0.01
        if teacher is not None:
            # Towards the teacher alone, which is where it starts from.
            small = tk.finetune(net(layers.Dense(5)), x, **how)
            assert np.abs(values_of(small)[0] - start[0]).max() < 0.001
    weighed = torch.utils.data.TensorDataset(
        torch.tensor(x), torch.tensor(y), torch.ones(64)
    )
    with pytest.raises(ValueError, match="do not go with a teacher"):
        tk.finetune(
            net(layers.Dense(5)),
            torch.utils.data.DataLoader(weighed, batch_size=32),
            teacher=net(layers.Dense(5)),
            phases=[EndToEnd(1, "sgd", loss="mse")],
        )


@pytest.mark.parametrize(
    ("last", "loss", "temperature"),
    [
        ([layers.Dense(5)], "KLDivergence", 3.0),
        ([layers.Dense(5), layers.Dropout(0.5)], "KLDivergence", 3.0),
        ([layers.Dense(1)], "mean_squared_error", 1.0),
        ([layers.Dense(1, activation="sigmoid")], "binary_crossentropy", 1.0),
        ([layers.Dense(5, activation="sigmoid")], "binary_crossentropy", 1.0),
        ([layers.Dense(5), layers.Softmax()], "categorical_crossentropy", 1.0),
        (
            [layers.Dense(5, activation="softmax"), layers.Dropout(0.1)],
            "categorical_crossentropy",
            1.0,
        ),
        ([layers.Dense(5, activation="tanh")], "mean_squared_error", 1.0),
    ],
)
def test_the_loss_fits_the_outputs(last, loss, temperature):
    for model in (net(*last), net(keras.Sequential(last))):
        (found,) = distillation_of(EndToEnd(), model)
        own = found.loss
        assert getattr(own, "__name__", type(own).__name__) == loss
        assert found.temperature == temperature


def test_the_softmax_of_an_operation_is_seen():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, ops.softmax(layers.Dense(5)(inputs)))
    (found,) = distillation_of(EndToEnd(), model)
    assert found.loss.__name__ == "categorical_crossentropy"


def two_outputs(x):
    inputs = keras.Input((8,))
    x = layers.Dense(8)(inputs)
    outputs = {"a": layers.Dense(5, name="a")(x), "b": layers.Dense(1)(x)}
    return randomized(keras.Model(inputs, outputs))


@pytest.mark.parametrize("phase", [EndToEnd(2), Blockwise(2)])
def test_every_output_is_distilled(phase):
    teacher = two_outputs(None)
    small, _ = tk.convert(teacher, LOW(rank=1), min_compression=0)
    x = numbers(64, 8)
    tuned = tk.finetune(small, x, teacher=teacher, phases=[phase])
    before = {v.path: np.array(v) for v in small.trainable_variables}
    for variable in tuned.trainable_variables:
        assert not np.array_equal(variable, before[variable.path])


def test_a_block_that_does_not_carry_everything_is_refused():
    teacher = two_outputs(None)
    small, _ = tk.convert(teacher, LOW(rank=1), min_compression=0)
    phases = [Blockwise(blocks=["a"])]
    with pytest.raises(ValueError, match="with 'a', past which"):
        tk.finetune(small, numbers(8, 8), teacher=teacher, phases=phases)


def test_inputs_in_a_list_and_one_that_enters_late():
    one, two = keras.Input((8,)), keras.Input((4,))
    x = layers.Dense(8, name="first")(one)
    x = layers.Concatenate()([layers.Dense(8, name="second")(x), two])
    teacher = randomized(keras.Model([one, two], layers.Dense(3)(x)))
    small, _ = tk.convert(teacher, LOW(rank=2), min_compression=0)
    data = [numbers(32, 8), numbers(32, 4)]
    phases = [Blockwise(), EndToEnd()]
    assert differ(
        small, tk.finetune(small, data, teacher=teacher, phases=phases)
    )


def test_labels_in_a_plain_list():
    small, _ = tk.convert(net(layers.Dense(1)), LOW(rank=1), min_compression=0)
    phases = [EndToEnd(loss="mse")]
    tuned = tk.finetune(small, (numbers(32, 8), [0.5] * 32), phases=phases)
    assert differ(small, tuned)


def test_a_loss_of_one_phase_is_not_that_of_the_next():
    teacher = mlp()
    small, _ = tk.convert(teacher, LOW(rank=2))
    data = numbers(32, 8), numbers(32, 6)
    with pytest.raises(ValueError, match="needs a loss"):
        tk.finetune(small, data, phases=[EndToEnd(loss="mae"), EndToEnd()])
    tuned = tk.finetune(small, data, phases=[EndToEnd(loss="mae")])
    assert not tuned.compiled


def test_weights_of_losses_are_those_of_the_model():
    teacher = two_outputs(None)
    losses = {"a": "mse", "b": "mse"}
    teacher.compile("sgd", losses, loss_weights={"a": 1.0, "b": 0.0})
    small, _ = tk.convert(teacher, LOW(rank=1), min_compression=0)
    y = {"a": numbers(32, 5), "b": numbers(32, 1)}
    tuned = tk.finetune(small, (numbers(32, 8), y))
    before = {v.path: np.array(v) for v in small.variables}
    same = {
        v.path: np.array_equal(v, before[v.path])
        for v in tuned.trainable_variables
    }
    assert all(is_same for path, is_same in same.items() if "dense_1" in path)
    assert not all(same.values())
    with pytest.raises(ValueError, match="Weights of losses do not go"):
        tk.finetune(small, (numbers(32, 8), y), teacher=teacher)


def test_averaged_weights_take_over_at_the_end_alone():
    small, _ = tk.convert(mlp(), LOW(rank=2))
    data = numbers(32, 8), numbers(32, 6)
    rate = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)
    phase = EndToEnd(4, rate, "mse")
    feed = [(data[0][n : n + 8], data[1][n : n + 8]) for n in range(0, 32, 8)]
    tuned = tk.finetune(small, Repeated(feed, 1), phases=[phase])
    same = keras.models.clone_model(small)
    same.set_weights(small.get_weights())
    same.compile(type(rate).from_config(rate.get_config()), "mse")
    same.fit(Repeated(feed, 4), epochs=1, shuffle=False, verbose=0)
    for one, two in zip(values_of(tuned), values_of(same), strict=False):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


class Repeated(keras.utils.PyDataset):
    """Batches gone over several times."""

    def __init__(self, batches, times):
        super().__init__()
        self.batches = batches * times

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def test_half_precision_scales_its_loss():
    inputs = keras.Input((8,), dtype="float32")
    outputs = layers.Dense(8, dtype="mixed_float16")(inputs)
    teacher = randomized(keras.Model(inputs, outputs))
    teacher._dtype_policy = keras.DTypePolicy("mixed_float16")
    small, _ = tk.convert(teacher, LOW(rank=2))
    assert small.dtype_policy.name == "mixed_float16"
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(type(self.model.optimizer).__name__)

    phases = [Blockwise(), EndToEnd()]
    tk.finetune(
        small,
        numbers(32, 8),
        teacher=teacher,
        phases=phases,
        callbacks=[Watch()],
    )
    assert seen == ["LossScaleOptimizer"] * 2


def test_steps_limit_data_of_every_kind():
    tf = pytest.importorskip("tensorflow")
    examples = numbers(64, 8)
    endless = tf.data.Dataset.from_tensor_slices(examples).batch(8).repeat()
    batch = examples[:8]
    kinds = [examples, Repeated([batch], 9), Repeated([batch], 2), endless]
    for data in kinds:
        seen = _Counting()
        tk.finetune(
            mlp(),
            data,
            teacher=mlp(),
            batch_size=8,
            steps_per_epoch=3,
            phases=[tk.finetuning.EndToEnd(2)],
            callbacks=[seen],
        )
        assert seen.batches == 2 * 3


class _Counting(keras.callbacks.Callback):
    batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1


def test_a_data_set_goes_on_where_the_last_epoch_ended():
    class Numbered(keras.utils.PyDataset):
        def __init__(self, count):
            super().__init__()
            self.count, self.seen = count, []

        @property
        def num_batches(self):
            return self.count

        def __getitem__(self, index):
            self.seen.append(index)
            return numbers(4, 8, seed=index)

    for count, wanted in ((4, {0, 1, 2, 3}), (None, set(range(9)))):
        data = Numbered(count)
        phases = [tk.finetuning.EndToEnd(3)]
        tk.finetune(
            mlp(), data, teacher=mlp(), steps_per_epoch=3, phases=phases
        )
        assert set(data.seen) == wanted
