"""What was made of the columns of one table, counted while it is read and told at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.tasks.read.account import Kind

if TYPE_CHECKING:
    from nightrank.tasks.read.input_file import InputFile
    from nightrank.tasks.read.tables.columns import Taken

UNNAMED = "a column without a name"
MAX_HEADERS = 10_000
"""Different rows of JSONL that are told apart before they are told."""


@dataclass(slots=True)
class _Counted:
    taken: Taken
    rows: int
    first: int


class Usage:
    """Counts rows by what their columns were taken for.

    Args:
        file: The table; its account is told.
        rest: What becomes of columns without a role.
    """

    def __init__(self, file: InputFile, *, rest: Kind) -> None:
        self._file = file
        self._rest = rest
        self._rows: dict[int, _Counted] = {}  # by identity: those of a header are one and the same
        self._instead: dict[tuple[str, str], tuple[int, int]] = {}
        self._remarks: dict[str, str] = {}

    def add(self, taken: Taken, *, row: int) -> None:
        """Count a row."""
        counted = self._rows.get(id(taken))
        if counted is not None:
            counted.rows += 1
            return
        if len(self._rows) >= MAX_HEADERS:
            self.tell()
            self._rows.clear()
            self._instead.clear()
        self._rows[id(taken)] = _Counted(taken, 1, row)

    def add_instead(self, role: str, column: str, *, row: int) -> None:
        """Count a row in which the first column of a role was empty, and another one was taken."""
        rows, first = self._instead.get((role, column), (0, row))
        self._instead[role, column] = rows + 1, first

    def remark(self, column: str, what: str) -> None:
        """Say something of a column without a role, where that is told."""
        self._remarks[column] = what

    def mended(self, what: str, *, row: int) -> None:
        """Tell what was put right in a row."""
        self._file.tell(Kind.MENDED, what, row=row)

    def tell(self) -> None:
        """Tell the account."""
        for counted in self._rows.values():
            taken, rows, first = counted.taken, counted.rows, counted.first
            for role, (column, *_) in taken.columns.items():
                kind = Kind.COLUMN_GUESSED if column in taken.guessed else Kind.COLUMN_USED
                self._file.tell(kind, column if column == role else f"{column} as {role}", row=first, count=rows)
            for column in taken.rest:
                self._file.tell(self._rest, column + self._remarks.get(column, ""), row=first, count=rows)
            for _ in taken.unnamed:
                self._file.tell(Kind.COLUMN_IGNORED, UNNAMED, row=first, count=rows)
        for (role, column), (rows, first) in self._instead.items():
            self._file.tell(Kind.COLUMN_GUESSED, f"{column} as {role}, where that is empty", row=first, count=rows)
