"""Fine-tuning of the CIFAR-10 ResNets: data by epoch, phases, Tucker-2."""

import re

import keras
import numpy as np

import tensornet_keras as tk

from .datasets import AugmentedBatches
from .datasets.weights import fill
from .models.resnet_cifar import DEVIATION, MEAN, normalized, resnet_cifar
from .training import accuracy

BATCH = 128
TEMPERATURE = 3.0
# The convolutions of 3 x 3 but the first.
CONVOLUTIONS = r"layer\d\.\d\.conv\d$"


class Case:
    """A pretrained network, pictures to test it on, and some to fit on.

    Args:
        data: A data set of CIFAR-10.
        settings: `depth`; `examples`, how many training pictures are taken
            for examples without labels; `fill`, whether random weights will
            do.
        seed: Seed of the choice of the examples.
    """

    def __init__(self, data, settings, seed):
        depth = settings["depth"]
        self.model = resnet_cifar(depth)
        fill(self.model, f"resnet{depth}_cifar10", smoke=settings["fill"])
        self._tested = normalized(data.x_test), data.y_test
        chosen = np.random.default_rng(seed).permutation(len(data.x_train))
        chosen = chosen[: settings["examples"]]
        self.examples = normalized(data.x_train[chosen])

    def reported(self, ratio, **how):
        """The network with factorized convolutions, and the report.

        Args:
            ratio: Share of their parameters.
            **how: Other arguments of `convert`.
        """
        how = {"ratio": ratio, "filters": CONVOLUTIONS, **how}
        return tk.convert(self.model, **how)

    def converted(self, ratio, **how):
        """The network with factorized convolutions.

        Args:
            ratio: Share of their parameters.
            **how: Other arguments of `convert`.
        """
        return self.reported(ratio, **how)[0]

    def fitted(self, ratio):
        """The network with convolutions fitted front to back.

        Args:
            ratio: Share of their parameters.
        """
        return self.converted(ratio, calibration_data=self.examples)

    def accuracy(self, model=None):
        """Share of the test pictures that a network gets right.

        Args:
            model: The network; `None` for the original.
        """
        return accuracy(model or self.model, *self._tested)


class Augmented(AugmentedBatches):
    """Crops and flips of the pictures of one epoch, or of a part of it.

    Args:
        data: A data set of CIFAR-10.
        epoch: Number of the epoch.
        steps: Batches of an epoch, None for all.
        seed: Seed of the order and of the augmentation.
    """

    def __init__(self, data, epoch, steps=None, seed=0):
        super().__init__(
            data.x_train,
            data.y_train,
            BATCH,
            mean=255 * np.asarray(MEAN, "float32"),
            deviation=255 * np.asarray(DEVIATION, "float32"),
            contrast=(1.0, 1.0),
            seed=1000 * seed + epoch,
        )
        self.steps = steps

    def __len__(self):
        whole = super().__len__()
        return whole if self.steps is None else min(self.steps, whole)


def by_epoch(data, steps=None, seed=0):
    """A function from the number of an epoch to its pictures and labels.

    Args:
        data: A data set of CIFAR-10.
        steps: Batches of an epoch, None for all.
        seed: Seed of the order and of the augmentation.
    """
    return lambda epoch: Augmented(data, epoch, steps, seed)


def rate(peak, steps):
    """SGD with momentum whose rate falls to zero along a cosine.

    Args:
        peak: The rate at the start.
        steps: Steps until it is zero.
    """
    schedule = keras.optimizers.schedules.CosineDecay(peak, steps)
    return keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)


def distilled(epochs, optimizer, label_weight=0.0):
    """A phase towards the teacher's logits.

    Args:
        epochs: Passes over the data.
        optimizer: A Keras optimizer.
        label_weight: As in `EndToEnd`.
    """
    return tk.finetuning.EndToEnd(
        epochs=epochs,
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        distillation=keras.distillation.LogitsDistillation(
            TEMPERATURE, keras.losses.KLDivergence()
        ),
        label_weight=label_weight,
    )


def untuned(case, ratio):
    """The network converted in every way, by the name of the way.

    Args:
        case: The network.
        ratio: Share of the parameters.
    """
    low = tk.formats.LowRank
    return {
        "same share": case.converted(None, format=low(rank=ratio)),
        "low rank": case.converted(ratio, format=low()),
        "auto": case.converted(ratio),
        "calibrated": case.fitted(ratio),
    }


def tuned(case, small, data, settings, seed):
    """A converted network after some epochs with the original as teacher.

    Args:
        case: The network.
        small: What it was converted to.
        data: A data set of CIFAR-10.
        settings: `epochs` and `learning_rate`.
        seed: Seed of the order and of the augmentation.
    """
    epochs = settings["epochs"]
    steps = epochs * -(-len(data.x_train) // BATCH)
    phase = distilled(epochs, rate(settings["learning_rate"], steps))
    feed = by_epoch(data, seed=seed)
    return tk.finetune(small, feed, teacher=case.model, phases=[phase])


def tucker2(model, ratio):
    """A copy with kernels approximated by TensorLy's plain Tucker-2.

    Every kernel gets the same share of ranks for its inputs and its outputs,
    as much as keeps to the ratio.

    Args:
        model: The source model.
        ratio: Share of each kernel's parameters.

    Returns:
        The copy, with dense kernels.
    """
    from tensorly.decomposition import partial_tucker
    from tensorly.tenalg import multi_mode_dot

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    for layer in copy.layers:
        if re.search(CONVOLUTIONS, layer.name):
            kernel = np.asarray(layer.kernel)
            *window, inputs, outputs = kernel.shape
            ranks = _ranks(np.prod(window), inputs, outputs, ratio)
            (core, factors), _ = partial_tucker(kernel, ranks, modes=[2, 3])
            layer.kernel.assign(multi_mode_dot(core, factors, modes=[2, 3]))
    return copy


def _ranks(window, inputs, outputs, ratio):
    """The largest ranks in one proportion whose cores keep to the ratio."""
    for share in np.linspace(1, 0, 513):
        ranks = max(1, round(share * inputs)), max(1, round(share * outputs))
        size = ranks[0] * inputs + ranks[1] * outputs + window * np.prod(ranks)
        if size <= ratio * window * inputs * outputs:
            break
    return ranks
