"""What an einsum equation with one kernel does to each of its axes."""

from __future__ import annotations

import re
from dataclasses import dataclass

FORMS = "'ab,bc->ac', '...ab,bc->...ac' or 'ab...,bc->ac...'"
_FORM = re.compile(
    r"(\.\.\.)?([a-zA-Z]+)(\.\.\.)?,([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)(\.\.\.)?"
)


@dataclass(frozen=True)
class EinsumEquation:
    """The labels of an equation, by what becomes of them.

    Args:
        inputs: Labels of the input, in order; `.0`, `.1`, ... are axes that
            the equation leaves out.
        kernel: Labels of the kernel, in order.
        outputs: Labels of the output, in order.
    """

    inputs: tuple[str, ...]
    kernel: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def free(self) -> tuple[str, ...]:
        """Labels that the kernel has not, in the input's order."""
        return tuple(x for x in self.inputs if x not in self.kernel)

    @property
    def batch(self) -> tuple[str, ...]:
        """Labels that input, kernel and output have, in the kernel's order."""
        return tuple(
            x for x in self.kernel if x in self.inputs and x in self.outputs
        )

    @property
    def contracted(self) -> tuple[str, ...]:
        """Labels that the kernel sums over, in the kernel's order."""
        return tuple(x for x in self.kernel if x not in self.outputs)

    @property
    def new(self) -> tuple[str, ...]:
        """Labels that the kernel adds, in the kernel's order."""
        return tuple(x for x in self.kernel if x not in self.inputs)

    @classmethod
    def parse(cls, equation: str, ndim: int | None = None) -> EinsumEquation:
        """The equation for inputs of so many axes.

        Args:
            equation: The equation as Keras' `EinsumDense` takes it.
            ndim: Number of the input's axes; `None` if nothing is left out.

        Raises:
            ValueError: If it is of no such form, sums over an axis of the
                input alone, or the number of axes does not fit.
        """
        found = _FORM.fullmatch(equation.replace(" ", ""))
        if found is None:
            raise ValueError(
                f"`equation` must be of the form {FORMS}. "
                f"Received: equation={equation!r}. Write one kernel only."
            )
        left, inputs, right, kernel, out_left, outputs, out_right = (
            found.groups()
        )
        if (left, right) != (out_left, out_right) or (left and right):
            raise ValueError(
                "`equation` must leave out the same axes of input and "
                f"output, on one side. Received: equation={equation!r}. "
                f"Write it as {FORMS}."
            )
        elided = _elided(equation, ndim, len(inputs), bool(left or right))
        before, after = (elided, ()) if left else ((), elided)
        parsed = cls(
            (*before, *inputs, *after),
            tuple(kernel),
            (*before, *outputs, *after),
        )
        parsed._check(equation)
        return parsed

    def _check(self, equation: str) -> None:
        sides = (self.inputs, self.kernel, self.outputs)
        if any(len(set(side)) < len(side) for side in sides):
            raise ValueError(
                "`equation` must name an axis once on each operand. "
                f"Received: equation={equation!r}. Use distinct letters."
            )
        summed = set(self.free) - set(self.outputs)
        unknown = set(self.outputs) - set(self.inputs) - set(self.kernel)
        alone = set(self.contracted) - set(self.inputs)
        if summed or unknown or alone or not self.contracted or not self.new:
            raise ValueError(
                "`equation` must carry the input's other axes to the output, "
                "sum over at least one axis and add at least one. "
                f"Received: equation={equation!r}. "
                "Name every axis where it occurs."
            )


def _elided(equation, ndim, named, has_dots) -> tuple[str, ...]:
    """Labels of the axes that dots stand for."""
    if ndim is None:
        ndim = named
    if ndim < named or (ndim > named and not has_dots):
        raise ValueError(
            f"`equation` must fit the input, of {ndim} axes. "
            f"Received: equation={equation!r} with {named} named axes. "
            "Name them all, or leave some out with '...'."
        )
    return tuple(f".{number}" for number in range(ndim - named))
