"""Random crops, flips and contrast of image batches, in NumPy.

The augmentation of Garipov et al. 2016, "Ultimate tensorization" (arXiv
1611.03214), as their code has it. NumPy alone, so that every backend trains
on the same batches.
"""

import keras
import numpy as np

PADDING = 4


class AugmentedBatches(keras.utils.PyDataset):
    """Shuffled batches of pictures, each augmented anew in every epoch.

    A picture is padded by four zeros a side and cropped back at random,
    flipped half of the time, and its contrast scaled about the mean of each
    channel; then the mean is taken off and the deviation divided out.

    Args:
        images: uint8 pictures, `(n, height, width, channels)`.
        labels: Their labels, `(n,)`.
        batch_size: Pictures a batch; a last, smaller batch is kept.
        mean: Subtracted from every picture, of its shape.
        deviation: Every picture is divided by it.
        contrast: Smallest and largest factor of the contrast.
        seed: Seed of the order and of the augmentation.
    """

    def __init__(
        self,
        images,
        labels,
        batch_size,
        *,
        mean,
        deviation,
        contrast=(0.75, 1.25),
        seed=0,
    ):
        super().__init__()
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.mean = mean
        self.deviation = deviation
        self.contrast = contrast
        self.seed = seed
        self.epoch = -1
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.images) // self.batch_size)

    def __getitem__(self, index):
        # One generator per batch: the same whichever thread asks for it.
        rng = np.random.default_rng([self.seed, self.epoch, index])
        start = index * self.batch_size
        chosen = self.order[start : start + self.batch_size]
        pictures = _crop(self.images[chosen], rng)
        pictures = _flip(pictures, rng).astype("float32")
        pictures = _contrast(pictures, self.contrast, rng)
        return (pictures - self.mean) / self.deviation, self.labels[chosen]

    def on_epoch_end(self):
        self.epoch += 1
        rng = np.random.default_rng([self.seed, self.epoch])
        self.order = rng.permutation(len(self.images))


def _crop(pictures, rng):
    count, height, width, _ = pictures.shape
    sides = (0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(pictures, sides), (height, width), axis=(1, 2)
    )
    top, left = rng.integers(0, 2 * PADDING + 1, (2, count))
    return windows[np.arange(count), top, left].transpose(0, 2, 3, 1)


def _flip(pictures, rng):
    flipped = rng.random(len(pictures)) < 0.5
    return np.where(
        flipped[:, None, None, None], pictures[:, :, ::-1], pictures
    )


def _contrast(pictures, limits, rng):
    factor = rng.uniform(*limits, (len(pictures), 1, 1, 1)).astype("float32")
    middle = pictures.mean(axis=(1, 2), keepdims=True)
    return middle + factor * (pictures - middle)
