"""Equations of words that write a network down: one term a core.

As in `numpy.einsum`, but labels are words separated by blanks, so that there
are as many as one likes and each says what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

LEG = re.compile(r"([wij])(\d+)")
WORD = re.compile(r"[A-Za-z_]\w*")
# All axes of the window, however many there are; none in a matrix.
WINDOW = "w"
# Labels that planning gives to what it adds to a network.
RESERVED = ("batch", "in", "out")
RESERVED_STARTS = ("before", "after")
FIRST = {"w": 0, "i": 1, "j": 1}
KINDS = {"w": "window", "i": "input", "j": "output"}


@dataclass(frozen=True)
class Equation:
    """The cores of a network as tuples of words.

    Args:
        cores: Labels of each core. `i<number>` are input modes and
            `j<number>` output modes from 1 on, `w<number>` window axes from
            0 on, `w` all of these; every other word is a bond.

    Raises:
        ValueError: If the labels make no network.
    """

    cores: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        for core in self.cores:
            _check_core(core, str(self))
        for letter in FIRST:
            self._check_numbers(letter)
        if WINDOW in self._labels and self.legs("w"):
            raise _refusal(
                "`w` stands for every window axis and leaves none to name",
                str(self),
                "Name the axes w0, w1, ... or write w alone.",
            )
        for letter in "ij":
            if not self.legs(letter):
                raise _refusal(
                    f"An equation must have {KINDS[letter]} legs",
                    str(self),
                    f"Add the labels {letter}1, {letter}2, ... to its cores.",
                )
        self._check_bonds()

    @classmethod
    def parsed(cls, text: str) -> Equation:
        """The equation of a text.

        Args:
            text: Terms of words separated by commas, and possibly an arrow
                with the open legs.

        Raises:
            TypeError: If it is no string.
            ValueError: If the labels make no network, or the arrow does not
                name the open legs in row-major order.
        """
        if not isinstance(text, str):
            raise TypeError(
                "`equation` must be a string of words. "
                f"Received: equation={text!r}. "
                "Write for example 'i1 a, a i2 j1 b, b j2'."
            )
        left, arrow, right = text.partition("->")
        cores = tuple(tuple(term.split()) for term in left.split(","))
        equation = cls(cores)
        if arrow and tuple(right.split()) != equation.open_legs:
            raise _refusal(
                "The arrow must name exactly the open legs, in row-major "
                "order: window, input, output",
                text,
                f"Write '-> {' '.join(equation.open_legs)}' or leave the "
                "arrow out.",
            )
        return equation

    def __str__(self) -> str:
        return ", ".join(" ".join(core) for core in self.cores)

    @cached_property
    def _labels(self) -> dict[str, int]:
        """On how many cores each label is, in order of first appearance."""
        counts: dict[str, int] = {}
        for core in self.cores:
            for label in core:
                counts[label] = counts.get(label, 0) + 1
        return counts

    def legs(self, letter: str) -> tuple[str, ...]:
        """The numbered legs of one letter, in the order of their numbers.

        Args:
            letter: `"w"`, `"i"` or `"j"`.
        """
        found = [
            (int(match[2]), label)
            for label in self._labels
            if (match := LEG.fullmatch(label)) and match[1] == letter
        ]
        return tuple(label for _, label in sorted(found))

    @property
    def open_legs(self) -> tuple[str, ...]:
        """Every open leg, in row-major order."""
        window = (WINDOW,) if WINDOW in self._labels else self.legs("w")
        return window + self.legs("i") + self.legs("j")

    @property
    def bonds(self) -> tuple[str, ...]:
        """Every bond, in order of first appearance."""
        return tuple(
            label
            for label in self._labels
            if label != WINDOW and not LEG.fullmatch(label)
        )

    def for_window(self, axes: int) -> Equation:
        """This equation with `w` written out.

        Args:
            axes: Number of window axes, 0 for a matrix.

        Raises:
            ValueError: If the window axes are not those of the equation.
        """
        wanted = tuple(f"w{axis}" for axis in range(axes))
        if WINDOW in self._labels:
            cores = (
                tuple(
                    word
                    for label in core
                    for word in (wanted if label == WINDOW else (label,))
                )
                for core in self.cores
            )
            return Equation(tuple(core for core in cores if core))
        if self.legs("w") != wanted:
            have = self.legs("w")
            raise ValueError(
                "An equation must name every window axis of its kernel, and "
                f"none for a matrix: here {list(wanted)}. "
                f"Received: equation={str(self)!r} with {list(have)}. "
                "Name these axes, or write w for however many there are."
            )
        return self

    def _check_numbers(self, letter: str) -> None:
        legs = self.legs(letter)
        first = FIRST[letter]
        wanted = tuple(f"{letter}{first + k}" for k in range(len(legs)))
        if legs != wanted:
            raise _refusal(
                f"The {KINDS[letter]} legs must be numbered from "
                f"{letter}{first} on without a gap",
                str(self),
                f"Name them {', '.join(wanted)} in place of {', '.join(legs)}.",
            )

    def _check_bonds(self) -> None:
        lonely = [bond for bond in self.bonds if self._labels[bond] < 2]
        if lonely:
            raise _refusal(
                "A bond must be on two cores or more",
                str(self),
                f"Put {', '.join(map(repr, lonely))} on another core too, "
                "or name it i<number> or j<number> if it is a mode.",
            )
        if len(connected(self.cores)) > 1:
            raise _refusal(
                "The cores of an equation must be connected",
                str(self),
                "Join its parts by a bond; a bond of rank 1 is a product.",
            )


def connected(cores, labels=None) -> list[set[int]]:
    """The numbers of the cores of each connected part.

    Args:
        cores: Labels of each core.
        labels: The labels that connect. `None` takes all of them.
    """
    parts: list[tuple[set[int], set[str]]] = []
    for number, core in enumerate(cores):
        joining = set(core) if labels is None else set(core) & set(labels)
        members = {number}
        for part in [part for part in parts if part[1] & joining]:
            parts.remove(part)
            members |= part[0]
            joining |= part[1]
        parts.append((members, joining))
    return [members for members, _ in parts]


def _check_core(core: tuple[str, ...], text: str) -> None:
    if not core:
        raise _refusal(
            "Every core must have a label", text, "Remove the empty term."
        )
    for label in core:
        if not WORD.fullmatch(label):
            raise _refusal(
                "A label must be a word of letters, digits and underscores "
                "that begins with no digit",
                text,
                f"Rename {label!r}; cores are separated by commas and labels "
                "by blanks.",
            )
        if label in RESERVED or label.startswith(RESERVED_STARTS):
            raise _refusal(
                f"The words {list(RESERVED)} and those that start with "
                f"{' or '.join(map(repr, RESERVED_STARTS))} are reserved",
                text,
                f"Rename {label!r}.",
            )
        if core.count(label) > 1:
            raise _refusal(
                "A core must have each label once",
                text,
                f"Rename one {label!r} of the core {' '.join(core)!r}.",
            )


def _refusal(rule: str, text: str, advice: str) -> ValueError:
    return ValueError(f"{rule}. Received: equation={text!r}. {advice}")
