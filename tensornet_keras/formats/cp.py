"""CP: a weight as a sum of rank-one tensors, of a matrix or of a kernel.

Lebedev et al. 2015 (arXiv 1412.6553) for the convolution of four small layers;
Su et al. 2018, "Tensorial Neural Networks" (arXiv 1805.10352) for channels that
are split into modes ("r-CP").
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from tensornet_keras import validation
from tensornet_keras.formats.modes import (
    choose_modes,
    even_split,
    natural_modes,
)
from tensornet_keras.formats.tensorized import TensorizedFormat
from tensornet_keras.network import Leg, TensorNetwork

MOST_CHOSEN_MODES = 3
BOND = "r1"


@dataclass(frozen=True, repr=False)
class CP(TensorizedFormat):
    r"""Canonical polyadic format (CP, PARAFAC): a sum of rank-one terms.

    One bond joins all cores. With paired modes every core holds an input and
    an output mode, of shape `(r, i[k], j[k])`,

    $$W[(i_1 \dots i_d), (j_1 \dots j_d)] =
    \sum_r A_1[r, i_1, j_1] \cdots A_d[r, i_d, j_d],$$

    and a convolution kernel has a last core `(*kernel_size, r)`. Without
    pairs every mode has a core of its own: `(i[k], r)` for the inputs, then
    `(*kernel_size, r)`, then `(r, j[k])` for the outputs. With one mode a
    side this is a 1x1 convolution, a depthwise one and a 1x1 one.

    Args:
        rank: The number of terms, the size of the one bond. An int is cut to
            what the cores can carry; a tuple has one int and is kept as
            written; a float in (0, 1] is the share of the dense parameters to
            spend, never exceeded. `None` leaves it to an `error=` of
            `decompose` or `convert`; a layer trained from scratch refuses
            it.
        input_modes: Factors of the input size. `None` chooses them: at most
            three for a matrix, one for a convolution kernel.
        output_modes: Factors of the output size; as many where modes are
            paired. `None` chooses them.
        pad: Whether explicit modes may multiply to more than the size; the
            weight is then the leading part of a larger one.
        pair_modes: Whether a core holds an input and an output mode
            together. `None` pairs them for a matrix and not for a kernel.

    Raises:
        ValueError: If a rank is below 1, a share outside (0, 1], or paired
            sides have different numbers of modes.
        TypeError: If an argument is of another type.

    Example:

    >>> import tensornet_keras as tk
    >>> matrix = tk.formats.CP(rank=16).bind((1024,), (1024,))
    >>> matrix.core_shapes
    ((16, 16, 16), (16, 8, 8), (16, 8, 8))
    >>> kernel = tk.formats.CP(rank=16).bind((64,), (128,), window=(3, 3))
    >>> kernel.core_shapes
    ((64, 16), (3, 3, 16), (16, 128))

    Reference:
        Su, Li, Bhattacharjee, Huang 2018, https://arxiv.org/abs/1805.10352,
        section 3; Lebedev et al. 2015, https://arxiv.org/abs/1412.6553,
        section 3.
    """

    name: ClassVar[str] = "cp"

    pair_modes: bool | None = None

    def __post_init__(self):
        if self.pair_modes is not None:
            validation.boolean(self.pair_modes, "pair_modes")
        super().__post_init__()

    @property
    def num_bonds(self) -> int:
        return 1 if len(self._cores()) > 1 else 0

    @cached_property
    def network(self) -> TensorNetwork:
        """The cores of a bound format, all on one bond."""
        cores = self._cores()
        kinds = {"i": "in", "j": "out", "w": "window"}
        sizes = {
            f"{letter}{k}": size
            for letter, modes, first in (
                ("w", self.window, 0),
                ("i", self.input_modes, 1),
                ("j", self.output_modes, 1),
            )
            for k, size in enumerate(modes, first)
        }
        return TensorNetwork(
            cores=cores,
            legs=tuple(
                Leg(label, size, kinds[label[0]])
                for label, size in sizes.items()
            ),
            bonds=((BOND, self.rank[0]),) if self.rank else (),
            input_size=self.input_size,
            output_size=self.output_size,
        )

    def _cores(self) -> tuple[tuple[str, ...], ...]:
        """The labels of every core."""
        window = tuple(f"w{axis}" for axis in range(len(self.window)))
        inputs = [f"i{k}" for k in range(1, len(self.input_modes) + 1)]
        outputs = [f"j{k}" for k in range(1, len(self.output_modes) + 1)]
        spatial = ((*window, BOND),) if window else ()
        if not self.pair_modes:
            before = tuple((label, BOND) for label in inputs)
            return before + spatial + tuple((BOND, label) for label in outputs)
        pairs = tuple(zip(inputs, outputs, strict=True))
        if len(pairs) == 1 and not window:
            return pairs
        return tuple((BOND, *pair) for pair in pairs) + spatial

    def _shaped(self, input_dims, output_dims, window):
        paired = not window if self.pair_modes is None else self.pair_modes
        chosen = dataclasses.replace(self, pair_modes=paired)
        return super(CP, chosen)._shaped(input_dims, output_dims, window)

    def _chosen_modes(self, input_dims, output_dims, window):
        sizes = (math.prod(input_dims), math.prod(output_dims))
        if window:
            return tuple((size,) for size in sizes)
        if len(input_dims) > 1 or len(output_dims) > 1:
            sides = natural_modes(input_dims, output_dims)
        else:
            sides = tuple(map(_few_modes, sizes))
        order = max(map(len, sides)) if self.pair_modes else 0
        return tuple(_filled(side, order) for side in sides)

    def _check_mode_counts(self) -> None:
        # Left to `None`, whether modes pair is known with the window, in
        # `_shaped`, and checked there.
        if self.pair_modes and len(self.input_modes) != len(self.output_modes):
            raise ValueError(
                "Paired `input_modes` and `output_modes` must have one "
                f"length. Received: input_modes={self.input_modes}, "
                f"output_modes={self.output_modes}. Fill the shorter side "
                "with ones, or pass pair_modes=False."
            )


def _filled(modes: tuple[int, ...], order: int) -> tuple[int, ...]:
    """The modes with as many ones at the end as make up an order."""
    while modes[-1] == 1 and len(modes) > 1:
        modes = modes[:-1]
    return modes + (1,) * (order - len(modes))


def _few_modes(size: int) -> tuple[int, ...]:
    """The modes that a size alone would get, but at most three."""
    modes = choose_modes(size, size)[0]
    if len(modes) <= MOST_CHOSEN_MODES:
        return modes
    return even_split(size, MOST_CHOSEN_MODES)
