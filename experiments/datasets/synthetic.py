"""Made-up images with labels that can be learnt, for runs of seconds."""

import numpy as np

CLASSES = 10


def synthetic_images(shape, train=512, test=256, seed=0):
    """Draws noisy copies of one random picture per class.

    Args:
        shape: Shape of one image, `(height, width)` or with three channels.
        train: Number of training images.
        test: Number of test images.
        seed: Seed of the pictures, the noise and the labels.

    Returns:
        `(x_train, y_train, x_test, y_test)`: uint8 images, int64 labels.
    """
    rng = np.random.default_rng(seed)
    pictures = rng.uniform(0, 255, (CLASSES, *shape))
    labels = rng.integers(0, CLASSES, train + test)
    noise = rng.normal(0, 40, (train + test, *shape))
    images = np.clip(pictures[labels] + noise, 0, 255).astype("uint8")
    return images[:train], labels[:train], images[train:], labels[train:]
