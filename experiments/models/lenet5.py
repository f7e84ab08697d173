"""LeNet-5 as Schotthöfer et al. 2022 train it (arXiv 2205.13571, table 1)."""

import keras
from keras import layers


def lenet5():
    """Builds the LeNet-5 with 430,500 weights, biases not counted.

    Input shape: `(batch, 28, 28, 1)`, scaled to [0, 1].
    Output shape: `(batch, 10)`, logits.

    Returns:
        A built `keras.Sequential` with the layers `conv1`, `conv2`, `fc1`
        and `fc2`.

    Reference:
        Schotthöfer et al. 2022, https://arxiv.org/abs/2205.13571, section
        5.1.
    """
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(20, 5, activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(50, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(500, activation="relu", name="fc1"),
            layers.Dense(10, name="fc2"),
        ],
        name="lenet5",
    )
