"""Which format keeps most of a trained kernel at a tenth of its size?

Every 3x3 kernel but the first of a pretrained CIFAR-10 ResNet-20, in every
format at a share of 10 % of its parameters: the mean relative error, and the
best format of each kernel. Su et al. say that splitting channels into modes
("reshaped" formats, r-) loses less; here without any tuning afterwards.

Paper: Su et al. 2018 (arXiv 1805.10352); they give accuracies only.
Run: python -m experiments.run su_kernel_errors
Time: 15 seconds. Draws reports/su_kernel_errors.png.
Got: cp 0.745, r-cp 0.795, tt 0.803, tk 0.805, tr 0.823, svd (spatial) 0.825,
    r-tt 0.869, matrix rank 0.893, r-tk 0.907; cp is best for every kernel.
"""

from rich.progress import track

import tensornet_keras as tk
from tensornet_keras.formats.modes import most_even_split

from ..datasets.weights import kernels
from ..kernel_errors import report

DATA = None
SEEDS = (0,)
SETTINGS = {"network": "resnet20_cifar10", "share": 0.1, "kernels": None}
SMOKE = {"kernels": 2}
TARGETS = {}
F = tk.formats


def candidates(kernel, share):
    """The formats by name, for a kernel of this shape."""
    two = [most_even_split(size, 2) for size in kernel.shape[-2:]]
    three = [most_even_split(size, 3) for size in kernel.shape[-2:]]
    three[1] = three[1][::-1]
    last = {"conv_order": "spatial_last"}
    return {
        "svd (spatial)": F.LowRank(share, "spatial"),
        "matrix rank": F.LowRank(share),
        "cp": F.CP(share),
        "tk": F.Tucker(share),
        "tt": F.TensorTrain(share, conv_order="channels_outside"),
        "r-cp": F.CP(share, *two, pair_modes=True),
        "r-tk": F.Tucker(share, *two),
        "r-tt": F.TensorTrain(share, *three, **last),
        "tt (spatial first)": F.TensorTrain(share, *two),
        "tr": F.TensorRing(share, *two),
        "btt": F.BlockTensorTrain(share, *two),
        "kronecker": F.Kronecker(share, *two),
    }


def error_of(kernel, format, seed):
    """The relative error; 1, that of nothing, where no rank is so small."""
    try:
        return tk.decompose(kernel, format, seed=seed).relative_error
    except ValueError as problem:
        if "must allow rank" not in str(problem):
            raise
        return 1.0


def run(data, settings, seed):
    """Decomposes every kernel in every format."""
    found, source = kernels(settings["network"], bool(settings["kernels"]))
    names = list(found)[: settings["kernels"]]
    errors = {}
    for name in track(names, description="Decomposing"):
        formats = candidates(found[name], settings["share"])
        for key, format in formats.items():
            error = error_of(found[name], format, seed)
            errors.setdefault(key, []).append(error)
    best = report(names, errors, source, smoke=bool(settings["kernels"]))
    means = {key: sum(each) / len(names) for key, each in errors.items()}
    lowest = {
        f"{name}, by {key}": errors[key][number]
        for number, (name, key) in enumerate(zip(names, best, strict=True))
    }
    return means | lowest
