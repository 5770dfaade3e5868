"""Counts as logs write them: plain, grouped by thousands, or as a float."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nightrank.tasks.read.values import kind, number_as_text, shown

if TYPE_CHECKING:
    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.tables.columns import Taken
    from nightrank.tasks.read.tables.row import Row

FIRST_ROWS, LEAST_ROWS = 200, 3
MAX_COUNT = 10**12
PLAIN = re.compile(r"[0-9]{1,13}")
SCIENTIFIC = re.compile(r"[0-9](?:\.[0-9]+)?[eE]\+?[0-9]{1,2}")  # as R writes 100000
POINT_FLOAT, COMMA_FLOAT = re.compile(r"([0-9]{1,13})\.0+"), re.compile(r"([0-9]{1,13})[.,]0{1,2}")
BY_BLANKS = re.compile(r"[0-9]{1,3}(?:['\u2019 \u00a0\u202f][0-9]{3})+")
BY_COMMAS = re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}")  # in India by hundreds, but for the last
BY_POINTS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+")
FIGURES = re.compile(r"[\d\s.,:/+-]{1,24}")


def count_of(value: JsonValue, *, has_decimal_commas: bool = False) -> int:
    """How often a query was asked; 1 where nothing says it.

    Args:
        value: As the log has it.
        has_decimal_commas: Whether figures are written as where fields are separated by semicolons: 1.234,0.

    Raises:
        ValueError: It is no whole number from 0 to a million millions, or could be two.

    >>> count_of("1,234"), count_of("12.0"), count_of(0), count_of("1.234", has_decimal_commas=True)
    (1234, 12, 0, 1234)
    """
    if value is None or value == "":
        return 1
    if isinstance(value, str) and PLAIN.fullmatch(value):
        value = int(value)
    found = _whole(value.strip(), has_decimal_commas=has_decimal_commas) if isinstance(value, str) else value
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= MAX_COUNT:
        raise ValueError(f"the count is {figures(value)}, not a positive integer")
    return found


class PerhapsCounts:
    """Finds columns that hold whole numbers in a log without a count: every row would be one search.

    Args:
        is_asked: Whether they are looked for; settings may say which column the count is, or that none is.
    """

    def __init__(self, *, is_asked: bool) -> None:
        self._rows = 0
        self._values: dict[str, set[str]] = {}
        self._is_asked = is_asked

    def add(self, row: Row, taken: Taken) -> None:
        """Look at a row, if it is one of the first."""
        if not self._is_asked or self._rows >= FIRST_ROWS:
            return
        if "count" in taken.columns:
            self._is_asked = False
            return
        self._rows += 1
        for column in taken.rest:
            self._values.setdefault(column, set()).add(str(number_as_text(row.values[column])))

    def columns(self) -> list[str]:
        """Columns whose values are whole numbers, some of them different, in every one of the first rows."""
        if not self._is_asked or self._rows < LEAST_ROWS:
            return []
        return [
            column
            for column, values in self._values.items()
            if len(values) > 1 and all(PLAIN.fullmatch(value) or BY_COMMAS.fullmatch(value) for value in values)
        ]


def figures(value: JsonValue) -> str:
    """A value that should have been figures; another text may be a query in the wrong column."""
    if isinstance(value, str) and not FIGURES.fullmatch(value):
        return f"a text of {len(value)} characters"
    return shown(value) if isinstance(value, str | int | float) else kind(value)


def _whole(text: str, *, has_decimal_commas: bool) -> int | None:
    floats, groups = (COMMA_FLOAT, BY_POINTS) if has_decimal_commas else (POINT_FLOAT, BY_COMMAS)
    if PLAIN.fullmatch(text):
        return int(text)
    if has_decimal_commas and BY_COMMAS.fullmatch(text):
        raise ValueError(f"the count is {shown(text)}: thousands, or with a decimal comma")
    if whole := floats.fullmatch(text):
        return int(whole[1])
    if groups.fullmatch(text) or BY_BLANKS.fullmatch(text):
        return int(re.sub(r"\D", "", text))
    if SCIENTIFIC.fullmatch(text) and float(text).is_integer():
        return int(float(text))
    return None
