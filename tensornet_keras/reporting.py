"""What all reports can do: print as a table, and be saved as JSON."""

from __future__ import annotations

import abc
import io
from typing import ClassVar

import rich.console
import rich.table

from tensornet_keras import validation, writing


class Report(abc.ABC):
    """Base of the reports.

    Abstract: a report says what its table and its plain data are.
    """

    # Columns of the table where it is printed as text.
    width: ClassVar[int] = 120

    @abc.abstractmethod
    def table(self) -> rich.table.Table:
        """The report as a `rich` table."""

    @abc.abstractmethod
    def to_dict(self) -> dict:
        """The report as plain data."""

    def save(self, path) -> None:
        """Writes the report as a JSON file.

        Args:
            path: Where to write; a file that is there is replaced.

        Raises:
            ValueError: If the folder is missing or cannot be written.
        """
        path = validation.writable_file(path, overwrite=True)
        writing.json_file(path, self.to_dict())

    def __str__(self) -> str:
        text = io.StringIO()
        self.print_to(rich.console.Console(file=text, width=self.width))
        return text.getvalue()

    def print_to(self, console: rich.console.Console) -> None:
        """Prints the report.

        Args:
            console: Where to print.
        """
        console.print(self.table())
