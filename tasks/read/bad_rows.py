"""Rows of an input that were set aside: how many may be before a night stops, and how they are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.tasks.read.lines import remedy_for

if TYPE_CHECKING:
    from nightrank.storage.records import BadRow

SHOWN = 5


@dataclass(slots=True)
class SetAside:
    """Rows that were set aside.

    Attributes:
        rows: How many there are, good and bad.
        bad: How many of them were set aside.
        first: The first of those.
    """

    rows: int = 0
    bad: int = 0
    first: list[BadRow] = field(default_factory=list)

    def add(self, row: BadRow) -> None:
        """Count a row that was set aside."""
        self.bad += 1
        if len(self.first) < SHOWN:
            self.first.append(row)

    def refuse_too_many(self, *, name: str, section: str, share: float, allowed: int, remedy: str = "") -> None:
        """Stop where too many rows of an input are bad.

        Args:
            name: What the user calls the input.
            section: Of the settings that bound it, such as "documents".
            share: Of the rows may be bad,
            allowed: or so many, as long as they are not more than half.
            remedy: What else may help than to correct the rows.

        Raises:
            InputError: They are more, or every row is bad.
        """
        is_few = self.bad <= allowed and 2 * self.bad <= self.rows
        if self.bad < self.rows and (is_few or self.bad <= share * self.rows):
            return
        also = f", {remedy}" if remedy else ""
        otherwise = f"Correct these rows{also}, or raise `max_bad_row_share` in [{section}] to go on without them."
        raise InputError(
            f"{self.bad} of {self.rows} rows of {name} cannot be used, more than "
            f"{section}.max_bad_row_share = {share:g} allows: {self.listed() or 'it is empty'}.",
            remedy=remedy_for([row.reason for row in self.first], section=f"[{section}]", otherwise=otherwise),
        )

    def listed(self) -> str:
        """The first of them, with file, row and reason."""
        return "; ".join(f"{row.file}, row {row.row}: {row.reason}" for row in self.first)
