"""Fine-tuning: towards what, what changes, and what does not."""

import keras
import numpy as np
import pytest
from keras import layers

import tensornet_keras as tk
from tensornet_keras.finetuning import Blockwise, Compress, EndToEnd
from tensornet_keras.finetuning.distillation import TEMPERATURE
from tensornet_keras.finetuning.trainers import whole_trainer
from tests.nasty_models import Tower
from tests.small_graphs import functional
from tests.small_models import (
    arrays,
    assert_same_values,
    mlp,
    numbers,
    randomized,
    values_of,
)

LOW = tk.formats.LowRank
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def residual():
    def function(x):
        for number in range(3):
            y = layers.Dense(8, activation="relu", name=f"one{number}")(x)
            y = layers.Dense(8, name=f"two{number}")(y)
            x = layers.ReLU(name=f"end{number}")(layers.Add()([x, y]))
        return layers.Dense(5, name="head")(x)

    return functional(function)


def distance(model, teacher, x):
    found, wanted = (
        np.asarray(each.predict(x, verbose=0)) for each in (model, teacher)
    )
    return float(np.square(found - wanted).mean() / np.square(wanted).mean())


@pytest.fixture
def pair():
    teacher = residual()
    small, _ = tk.convert(teacher, LOW(rank=2), min_compression=0)
    return small, teacher, numbers(256, 8)


@pytest.mark.parametrize(
    "phase",
    [
        Blockwise(8, keras.optimizers.Adam(3e-2)),
        Blockwise(8, keras.optimizers.Adam(3e-2), blocks=["end0", "end2"]),
        EndToEnd(
            8,
            keras.optimizers.Adam(3e-2),
            distillation=keras.distillation.LogitsDistillation(1.0, "mse"),
        ),
    ],
    ids=["blockwise", "given blocks", "end to end"],
)
def test_the_teacher_is_approached_and_nothing_else_changes(pair, phase):
    small, teacher, x = pair
    before = values_of(small), values_of(teacher)
    trainable = [len(each.trainable_variables) for each in (small, teacher)]
    keras.utils.set_random_seed(0)
    tuned = tk.finetune(small, x, teacher=teacher, phases=[phase])
    assert distance(tuned, teacher, x) < 0.6 * distance(small, teacher, x)
    assert_same_values(before[0], values_of(small))
    assert_same_values(before[1], values_of(teacher))
    assert trainable == [
        len(each.trainable_variables) for each in (tuned, teacher)
    ]
    ours = {id(variable) for variable in tuned.variables}
    assert not ours & {id(variable) for variable in small.variables}


def test_blocks_end_where_one_tensor_carries_everything(pair):
    small, teacher, x = pair
    _, report = tk.finetune(
        small, x, teacher=teacher, phases=[Blockwise(1)], return_report=True
    )
    names = [row.stage for row in report.rows]
    assert names == [
        "block 1 (end0)",
        "block 2 (end1)",
        "block 3 (end2)",
        "block 4 (outputs)",
    ]


def test_a_callback_can_stop_a_phase(pair):
    small, teacher, x = pair
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=1e9)
    _, report = tk.finetune(
        small,
        x,
        teacher=teacher,
        phases=[EndToEnd(9), EndToEnd(9)],
        callbacks=[stop],
        return_report=True,
    )
    assert [row.epoch for row in report.rows] == [1, 2, 1, 2]


def test_while_a_block_is_trained_the_others_stay(pair):
    small, teacher, x = pair
    phase = Blockwise(3, "sgd", blocks=["end1"])
    seen = {}

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen[len(seen)] = [
                variable.path for variable in self.model.trainable_variables
            ]

    tk.finetune(small, x, teacher=teacher, phases=[phase], callbacks=[Watch()])
    first, second = ({p.split("/")[-2] for p in seen[n]} for n in (0, 1))
    assert first == {"one0", "two0", "one1", "two1"}
    assert second == {"one2", "two2", "head"}


def test_labels_alone_a_teacher_alone_or_both():
    teacher = mlp()
    x = numbers(128, 8)
    y = teacher.predict(x, verbose=0).argmax(-1)
    small, _ = tk.convert(teacher, LOW(rank=2))
    phase = EndToEnd(
        10, keras.optimizers.Adam(3e-2), CROSS_ENTROPY, metrics=["accuracy"]
    )
    accuracies = {}
    for name, who, data in (
        ("labels", None, (x, y)),
        ("both", teacher, (x, y)),
        ("teacher", teacher, x),
    ):
        tuned = tk.finetune(small, data, teacher=who, phases=[phase])
        found = tuned.predict(x, verbose=0).argmax(-1)
        accuracies[name] = np.mean(found == y)
    before = np.mean(small.predict(x, verbose=0).argmax(-1) == y)
    assert min(accuracies.values()) > before + 0.1


def test_the_loss_of_logits_is_that_of_their_probabilities():
    """Keras 3.15 compares bare logits where the divergence is a name."""
    x = numbers(32, 8)
    teacher, student = mlp(), mlp()
    student.set_weights([1.1 * w for w in student.get_weights()])
    logits = [arrays(each(x))[0] / TEMPERATURE for each in (teacher, student)]
    wanted, found = (
        np.exp(each) / np.exp(each).sum(-1, keepdims=True) for each in logits
    )
    divergence = (wanted * np.log(wanted / found)).sum(-1).mean()
    for given in (None, keras.distillation.LogitsDistillation(TEMPERATURE)):
        phase = EndToEnd(distillation=given)
        trainer = whole_trainer(student, teacher, phase, 1)
        loss = trainer.compute_loss(x, None, student(x))
        assert float(loss) == pytest.approx(
            TEMPERATURE**2 * divergence, rel=1e-3
        )


def test_a_model_with_a_softmax_is_compared_by_cross_entropy():
    teacher = randomized(
        keras.Sequential(
            [keras.Input((8,)), layers.Dense(5, activation="softmax")]
        )
    )
    phase = EndToEnd()
    x = numbers(16, 8)
    trainer = whole_trainer(teacher, teacher, phase, 1)
    (p,) = arrays(teacher(x))
    entropy = -(p * np.log(np.maximum(p, 1e-7))).sum(-1).mean()
    assert float(trainer.compute_loss(x, None, p)) == pytest.approx(
        entropy, rel=1e-3
    )


def test_a_subclassed_model_is_tuned_end_to_end():
    teacher = Tower(8)
    x = numbers(16, 5, 8)
    teacher(x)
    randomized(teacher)
    small, _ = tk.convert(teacher, LOW(), ratio=0.6)
    mse = keras.distillation.LogitsDistillation(1.0, "mse")
    phase = EndToEnd(10, keras.optimizers.Adam(1e-3), distillation=mse)
    _, report = tk.finetune(
        small, x, teacher=teacher, phases=[phase], return_report=True
    )
    losses = [row.logs["loss"] for row in report.rows]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]
    with pytest.raises(ValueError, match="Blockwise training needs Sequential"):
        tk.finetune(small, x, teacher=teacher, phases=[Blockwise()])


def test_compressed_and_tuned_by_turns(pair):
    small, teacher, x = pair
    phases = [
        EndToEnd(1),
        Compress({"format": LOW(), "ratio": 0.4}),
        EndToEnd(1),
    ]
    tuned, report = tk.finetune(
        small, x, teacher=teacher, phases=phases, return_report=True
    )
    assert tuned.count_params() < small.count_params()
    assert [row.stage for row in report.rows] == [
        "end to end",
        "convert",
        "end to end",
    ]
    assert report.rows[-1].params == tuned.count_params()
    assert "convert" in str(report)
    assert report.to_dict()["epochs"][0]["logs"]["loss"] > 0


def test_the_result_is_compiled_as_the_model_was():
    teacher = mlp()
    teacher.compile("adam", "mse", metrics=["mae"])
    small, _ = tk.convert(teacher, LOW(rank=2))
    x, y = numbers(32, 8), numbers(32, 6)
    tuned = tk.finetune(small, (x, y))
    assert tuned.compiled
    assert set(tuned.evaluate(x, y, verbose=0, return_dict=True)) == {
        "loss",
        "mae",
    }


def test_tensorboard_gets_losses_and_ranks(pair, tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorflow")
    from tensorboard.backend.event_processing import event_accumulator

    small, teacher, x = pair
    small.compile("sgd", CROSS_ENTROPY, metrics=["accuracy"])
    data = x, np.zeros(len(x), "int32")
    phase = EndToEnd(2)
    _, report = tk.finetune(
        small,
        data,
        teacher=teacher,
        phases=[phase],
        log_dir=tmp_path,
        return_report=True,
    )
    assert all(0 <= row.logs["accuracy"] <= 1 for row in report.rows)
    (folder,) = {path.parent for path in tmp_path.rglob("events*")}
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    tags = events.Tags()["tensors"]
    assert "epoch_loss" in tags
    assert "epoch_accuracy" in tags
    assert any(tag.startswith("epoch_rank/") for tag in tags)


@pytest.mark.parametrize(
    ("data", "kwargs", "error", "words"),
    [
        (
            np.ones((4, 8)),
            {"teacher": mlp(), "phases": [EndToEnd(label_weight=0.5)]},
            ValueError,
            "`label_weight` needs labels",
        ),
        ((), {}, ValueError, "at least one"),
        ((np.ones((4, 8)), None, np.ones(4)), {}, ValueError, "with None"),
        (
            (np.ones((4, 8)), np.ones(4), np.ones(4)),
            {"teacher": mlp()},
            ValueError,
            "Weights of examples do not go with a teacher",
        ),
        (np.ones((0, 8)), {}, ValueError, "at least one"),
        ((np.ones((4, 8)), np.ones(3)), {}, ValueError, r"\[3, 4\]"),
        (iter([np.ones((4, 8))]), {}, TypeError, "gone over again"),
        (3, {}, TypeError, "gone over again"),
        (np.ones((4, 8)), {}, ValueError, "needs labels or a teacher"),
        (
            (np.ones((4, 8)), np.ones(4)),
            {},
            ValueError,
            "needs a loss for the labels",
        ),
        (
            np.ones((4, 8)),
            {"phases": [Blockwise()]},
            ValueError,
            "needs the outputs of a teacher",
        ),
        (np.ones((4, 8)), {"phases": ["blockwise"]}, TypeError, "must hold"),
        (
            np.ones((4, 8)),
            {"phases": [Blockwise(blocks=["x"])], "teacher": mlp()},
            ValueError,
            "`blocks` must name layers .* hidden, head",
        ),
        (
            np.ones((4, 8)),
            {"phases": [Blockwise()], "teacher": residual()},
            ValueError,
            "teacher with the graph of the model",
        ),
        (np.ones((4, 8)), {"batch_size": 0}, ValueError, "batch_size"),
    ],
)
def test_what_cannot_be_trained_is_refused(data, kwargs, error, words):
    small, _ = tk.convert(mlp(), LOW(rank=2))
    with pytest.raises(error, match=words):
        tk.finetune(small, data, **kwargs)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EndToEnd(0), "epochs"),
        (lambda: Blockwise(1, "fastest"), "`optimizer` must be"),
        (lambda: EndToEnd(label_weight=2.0), "`label_weight` must be"),
    ],
)
def test_a_phase_is_checked_when_it_is_made(make, words):
    with pytest.raises(ValueError, match=words):
        make()
