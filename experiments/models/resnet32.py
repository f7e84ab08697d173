"""The convolutions of the CIFAR-10 ResNet-32, as sizes without a network.

He et al. 2016 (arXiv 1603.05027) with projection shortcuts, as in the
official TensorFlow models from which Su et al. 2018 (arXiv 1805.10352) took
it: three stages of five blocks with two 3x3 convolutions each, the first
block of a stage with a 1x1 projection.
"""

STAGES = (16, 32, 64)
BLOCKS = 5


def resnet32_convolutions():
    """Sizes of the convolutions that Su et al. compress: 463,616 weights.

    The first convolution of the network is not one of them.

    Returns:
        A list of `(window, input channels, output channels)`, where the
        window of a 1x1 convolution, a matrix product, is `()`.
    """
    sizes, inputs = [], STAGES[0]
    for outputs in STAGES:
        sizes.append(((), inputs, outputs))
        for _ in range(BLOCKS):
            sizes.append(((3, 3), inputs, outputs))
            sizes.append(((3, 3), outputs, outputs))
            inputs = outputs
    return sizes
