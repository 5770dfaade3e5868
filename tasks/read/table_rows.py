"""Rows of JSONL, CSV, TSV and Parquet, as JSON values by column name; nothing here knows what a column means.

CSV follows RFC 4180. TSV has no quoting: a quote is a character like any other, as in BEIR's and MS MARCO's files.
Both have a header and give texts alone. JSONL is one object a line. Parquet is read by record batches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.read.csv import read_records
from nightrank.tasks.read.lines import PACKED, read_lines
from nightrank.tasks.read.values import json_fields, json_object, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.account import Account, Part

TEXT_TABLES = (".jsonl", ".ndjson", ".csv", ".tsv")
TABLE_SUFFIXES = (*(f"{table}{packed}" for table in TEXT_TABLES for packed in ("", *PACKED)), ".parquet")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        number: Its line in the file, from 1 and with the header counted (of CSV the line where it starts); of
            Parquet its row, from 1.
        values: By column name, in the file's order; finite, and without lone surrogates.
    """

    number: int
    values: Mapping[str, JsonValue]


def table_suffix(file_name: str) -> str | None:
    """Which of ``TABLE_SUFFIXES`` a file has, whatever the case of its name; ``None`` for another one."""
    return next((suffix for suffix in TABLE_SUFFIXES if file_name.lower().endswith(suffix)), None)


def read_rows(path: Path, *, name: str, max_bytes: int, account: Account, part: Part) -> Iterator[Row | BadRow]:
    """The rows of a table, one by one, in memory that does not grow with it.

    Args:
        path: The file; its suffix says the format.
        name: What the user calls it.
        max_bytes: A larger row is a bad row: the bytes of its line or record, of Parquet those of its texts.
        account: Told what the file is, and what was put right on the way.
        part: Of the inputs that the file belongs to.

    Yields:
        Each row, or a ``BadRow`` with the reason in its place. Blank lines are skipped.

    Raises:
        InputError: The file as a whole cannot be read: missing, cut off, another format, no header.
    """
    suffix = table_suffix(path.name)
    if suffix is None:
        raise InputError(
            f"{name} is not a table that can be read.", remedy=f"Use a file ending in {', '.join(TABLE_SUFFIXES)}."
        )
    if suffix.startswith((".jsonl", ".ndjson")):
        return _json_rows(path, name=name, max_bytes=max_bytes, account=account, part=part)
    if suffix.startswith(".csv"):
        return _named_rows(_csv_records(path, name=name, max_bytes=max_bytes, account=account, part=part), name=name)
    if suffix.startswith(".tsv"):
        return _named_rows(_tsv_records(path, name=name, max_bytes=max_bytes, account=account, part=part), name=name)
    from nightrank.tasks.read.parquet import read_parquet

    numbered = read_parquet(path, name=name, max_bytes=max_bytes)
    return (row if isinstance(row, BadRow) else Row(*row) for row in numbered)


def _json_rows(path: Path, *, name: str, max_bytes: int, account: Account, part: Part) -> Iterator[Row | BadRow]:
    for line in read_lines(path, name=name, max_bytes=max_bytes, account=account, part=part):
        if isinstance(line, BadRow):
            yield line
        elif line.text.strip():
            try:
                yield Row(line.number, json_object(line.text))
            except ValueError as error:
                yield BadRow(name, line.number, str(error))


def _csv_records(
    path: Path, *, name: str, max_bytes: int, account: Account, part: Part
) -> Iterator[tuple[int, list[str]] | BadRow]:
    for record in read_records(path, name=name, max_bytes=max_bytes, account=account, part=part):
        yield record if isinstance(record, BadRow) else (record.number, record.fields)


def _tsv_records(
    path: Path, *, name: str, max_bytes: int, account: Account, part: Part
) -> Iterator[tuple[int, list[str]] | BadRow]:
    for line in read_lines(path, name=name, max_bytes=max_bytes, account=account, part=part):
        if isinstance(line, BadRow):
            yield line
        elif line.text.strip():
            yield line.number, line.text.split("\t")


def _named_rows(records: Iterator[tuple[int, list[str]] | BadRow], *, name: str) -> Iterator[Row | BadRow]:
    header: list[str] | None = None
    for record in records:
        if header is None:
            header = _header(record, name=name)
        elif isinstance(record, BadRow):
            yield record
        elif len(record[1]) != len(header):
            yield BadRow(name, record[0], f"{len(record[1])} fields where the header has {len(header)}")
        else:
            yield Row(record[0], json_fields(dict(zip(header, record[1], strict=True))))


def _header(record: tuple[int, Sequence[str]] | BadRow, *, name: str) -> list[str]:
    if isinstance(record, BadRow):
        raise InputError(f"{name}, row {record.row}: the header cannot be read: {record.reason}.", remedy="Repair it.")
    header = [column.strip() for column in record[1]]
    if repeated := next((column for column in header if header.count(column) > 1), None):
        raise InputError(
            f"{name}, row {record[0]}: the header names the column {shown(repeated)} more than once.",
            remedy="Give each column a name of its own.",
        )
    return header
