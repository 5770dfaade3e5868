"""One row of a table, whatever format it was read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nightrank.storage.records import JsonValue


class Row(NamedTuple):
    """One row of a table.

    Attributes:
        number: Its line in the file, from 1 and with the header counted (of CSV the line where it starts); of
            Parquet its row, from 1.
        values: By column name, in the file's order; finite, and without lone surrogates.
        left_out: Why fields are not among them, by name: they are of types that JSON lacks. None where none is.
        has_decimal_commas: Whether figures are written as where fields are separated by semicolons: 1.234,5.
    """

    number: int
    values: Mapping[str, JsonValue]
    left_out: Mapping[str, str] | None = None
    has_decimal_commas: bool = False
