"""How many weights do the seven methods of Su et al. leave ResNet-32?

The rank rules alone, without training: 463,616 weights in the 33
convolutions after the first, at four rates. `rcp_as_published` follows the
authors' code, which counts sums of modes for their products and so spends
three times the rate; `rcp` is the rule corrected.

Paper: Su et al. 2018 (arXiv 1805.10352), CIFAR-10 with ResNet-32; the totals
    of the authors' code at 5, 10, 20 and 40 % are in `PUBLISHED`.
Run: python -m experiments.run su_resnet32_ranks
Time: a second.
Got: all 28 totals of the authors' code, number for number.
"""

import math

from rich.console import Console
from rich.table import Table

import tensornet_keras as tk

from ..models import resnet32_convolutions

DATA = None
SEEDS = (0,)
SETTINGS = {"rates": (0.05, 0.1, 0.2, 0.4)}
SMOKE = {"rates": (0.05, 0.1)}
TARGETS = {}
PUBLISHED = {
    "svd": (26_096, 49_088, 96_640, 189_536),
    "cp": (24_593, 47_111, 94_021, 186_669),
    "tk": (25_325, 50_758, 98_569, 186_767),
    "tt": (24_176, 50_784, 94_008, 195_168),
    "rcp_as_published": (79_658, 157_952, 314_060, 625_844),
    "rtk": (24_940, 48_986, 106_789, 200_283),
    "rtt": (29_521, 48_269, 110_891, 163_478),
}
METHODS = (*PUBLISHED, "rcp")


def method(name, rate):
    """The unbound format of a method's row."""
    if name == "rcp_as_published":
        return tk.formats.get("rcp", rate=rate, corrected=False)
    return tk.formats.get(name, rate=rate)


def total(format):
    """Numbers in the cores of all convolutions."""
    return sum(
        format.bind((inputs,), (outputs,), window).num_params
        for window, inputs, outputs in resnet32_convolutions()
    )


def run(data, settings, seed):
    """Counts the weights of every method at every rate."""
    rates = settings["rates"]
    table = Table(title="Weights of ResNet-32")
    for heading in ("method", *(f"{rate:.0%}" for rate in rates)):
        table.add_column(heading, justify="right")
    metrics = {
        "dense": sum(
            math.prod((*window, inputs, outputs))
            for window, inputs, outputs in resnet32_convolutions()
        )
    }
    for name in METHODS:
        totals = [total(method(name, rate)) for rate in rates]
        table.add_row(name, *(f"{count:,}" for count in totals))
        for rate, count in zip(rates, totals, strict=True):
            metrics[f"{name} {rate:.0%}"] = count
    Console().print(table)
    return metrics
