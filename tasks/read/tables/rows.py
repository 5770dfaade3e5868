"""Rows of JSONL, CSV, TSV and Parquet, as JSON values by column name; nothing here knows what a column means.

CSV follows RFC 4180. In TSV a quote is a character like any other, as in BEIR's and MS MARCO's files, where the whole
file does not say otherwise. Both have a header and give texts alone. JSONL is one object a line. Parquet is read by
record batches.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.records import BadRow
from nightrank.tasks.read.account import Kind
from nightrank.tasks.read.lines import remedy_for
from nightrank.tasks.read.suffixes import TABLE_SUFFIXES, table_suffix
from nightrank.tasks.read.tables.columns import column_key
from nightrank.tasks.read.tables.csv import read_records
from nightrank.tasks.read.tables.layout import layout_of
from nightrank.tasks.read.tables.nested import unwrapped
from nightrank.tasks.read.tables.row import Row
from nightrank.tasks.read.text_lines import read_lines
from nightrank.tasks.read.values import json_fields, json_object, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nightrank.tasks.read.input_file import InputFile
    from nightrank.tasks.read.tables.columns import Columns
    from nightrank.tasks.read.tables.layout import Layout

OPENED = re.compile(r"\[\s*(?:\{|\Z)|\{\Z")
FIRST_ROWS = 100
FIRST_CHARACTERS = 1_000_000
"""How much is looked at before a table of objects is refused, as none of them has what it must have."""


def read_rows(file: InputFile, columns: Columns | None, *, max_bytes: int) -> Iterator[Row | BadRow]:
    """The rows of a table, one by one, in memory that does not grow with it.

    Args:
        file: It; its suffix says the format, and its account is told what of it is otherwise.
        columns: What its columns may be taken for; None for a table of our own, whose form and names are given.
        max_bytes: A larger row is a bad row: the bytes of its line or record, of Parquet those of its texts.

    Yields:
        Each row, or a ``BadRow`` with the reason in its place. Blank lines are skipped.

    Raises:
        InputError: The file as a whole cannot be read: missing, cut off, another format, no header, or no column for
            what a row must have.
    """
    suffix = table_suffix(file.path.name)
    if not suffix:
        raise InputError(
            f"{file.name} is not a table that can be read.", remedy=f"Use a file ending in {', '.join(TABLE_SUFFIXES)}."
        )
    if suffix.startswith((".csv", ".tsv")):
        separator = "," if suffix.startswith(".csv") else "\t"
        return read_separated(file, columns, max_bytes=max_bytes, separator=separator)
    if suffix.startswith((".jsonl", ".ndjson")):
        rows = _json_rows(file, max_bytes=max_bytes)
    else:
        from nightrank.tasks.read.tables.parquet import read_parquet

        numbered = read_parquet(file.path, name=file.name, max_bytes=max_bytes)
        rows = (row if isinstance(row, BadRow) else Row(*row) for row in numbered)
    if columns is None:
        return rows
    return _checked(unwrapped(rows, file), columns, name=file.name)


def read_separated(
    file: InputFile, columns: Columns | None, *, max_bytes: int, separator: str = "\t"
) -> Iterator[Row | BadRow]:
    """The rows of a text file of separated fields, as ``read_rows`` gives them, whatever the file is called.

    Args:
        file: As there.
        columns: As there.
        max_bytes: As there.
        separator: Between fields, where the header does not say otherwise.
    """
    layout = layout_of(file.path, file.form(), name=file.name, separator=separator, columns=columns)
    for told in layout.told:
        file.tell(Kind.FORM, told)
    yield from _named_rows(file, layout, columns, max_bytes=max_bytes)


def _json_rows(file: InputFile, *, max_bytes: int) -> Iterator[Row | BadRow]:
    first = ""  # the first line, where it opens an array or an object and no more
    for line in read_lines(file, max_bytes=max_bytes):
        if isinstance(line, BadRow):
            yield line
        elif text := line.text.strip():
            if OPENED.match(text) and not first:
                first = text
            if (first.startswith("[") and text[0] in "[{") or (first == "{" and text[0] == '"'):
                raise InputError(
                    f"{file.name} is JSON over several lines, or an array, and not JSON Lines: one object a line.",
                    remedy="Write it again: jq -c '.[]' for an array, jq -c . for objects.",
                )
            first = first or "any other"
            try:
                yield Row(line.number, json_object(line.text))
            except ValueError as error:
                yield BadRow(file.name, line.number, str(error))


def _checked(rows: Iterator[Row | BadRow], columns: Columns, *, name: str) -> Iterator[Row | BadRow]:
    """Rows whose names may differ from one to the next; refused where the first ones together lack a column."""
    first: list[Row | BadRow] = []
    found: dict[str, None] = {}
    characters = 0
    for row in rows:
        first.append(row)
        if isinstance(row, Row):
            found.update(dict.fromkeys(row.values))
            characters += sum(len(value) for value in row.values.values() if isinstance(value, str))
        if (found and columns.understands(tuple(found))) or len(first) == FIRST_ROWS or characters > FIRST_CHARACTERS:
            break
    if found:
        columns.require(tuple(found), name=name, of_choice=False)
    yield from chain(first, rows)
    columns.require_met(name=name)


def _records(file: InputFile, layout: Layout, *, max_bytes: int) -> Iterator[tuple[int, list[str]] | BadRow]:
    if layout.is_quoted:
        separator, skip = layout.separator, layout.lines_before
        for record in read_records(file, max_bytes=max_bytes, separator=separator, skip=skip):
            yield record if isinstance(record, BadRow) else (record.number, record.fields)
        return
    for line in read_lines(file, max_bytes=max_bytes):
        if isinstance(line, BadRow):
            yield line
        elif line.number > layout.lines_before and line.text.strip():
            yield line.number, line.text.split(layout.separator)


def _named_rows(file: InputFile, layout: Layout, columns: Columns | None, *, max_bytes: int) -> Iterator[Row | BadRow]:
    records = _records(file, layout, max_bytes=max_bytes)
    header, written = layout.header, None
    if header is None or layout.skips_header:
        written = _header(next(records, None), name=file.name, section=_section(file, columns))
        header = header or written
    if not header:
        return
    places = [(place, column) for place, column in enumerate(header) if column_key(column)]
    if columns is not None:
        columns.require(header, name=file.name, quoted=_may_quote(header, columns), hint=layout.hint)
    width = len(header)
    if len(places) < width:
        file.tell(Kind.COLUMN_IGNORED, "a column without a name", count=width - len(places))
    is_named, written_header = len(places) == width, list(written) if written else None
    for record in records:
        if isinstance(record, BadRow):
            yield record
        elif record[1] == written_header:  # files were put one behind the other
            file.tell(Kind.SKIPPED, "the header again", row=record[0])
        elif len(record[1]) != width:
            counted = f"{len(record[1])} field{'s' * (len(record[1]) != 1)}"
            yield BadRow(file.name, record[0], f"{counted} where the header has {width}")
        else:
            fields = record[1]
            named = dict(zip(header, fields, strict=True)) if is_named else {name: fields[at] for at, name in places}
            yield Row(record[0], json_fields(named), has_decimal_commas=layout.separator == ";")


def _section(file: InputFile, columns: Columns | None) -> str:
    """The section of the settings that may say a table's encoding."""
    return columns.vocabulary.section if columns is not None and file.part in ("documents", "queries") else ""


def _may_quote(header: Sequence[str], columns: Columns) -> bool:
    """Whether a header may be quoted: what begins a log without one is somebody's query."""
    return columns.vocabulary.part != "queries" or columns.recognised(header) > 0


def _header(record: tuple[int, Sequence[str]] | BadRow | None, *, name: str, section: str) -> tuple[str, ...]:
    if record is None:
        return ()
    if isinstance(record, BadRow):
        raise InputError(
            f"{name}, row {record.row}: the header cannot be read: {record.reason}.",
            remedy=remedy_for([record.reason], section=section, otherwise="Repair it."),
        )
    header = tuple(column.strip() for column in record[1])
    repeated = next((column for column, count in Counter(header).items() if count > 1 and column_key(column)), None)
    if repeated is not None:
        raise InputError(
            f"{name}, row {record[0]}: the header names the column {shown(repeated)} more than once.",
            remedy="Give each column a name of its own.",
        )
    return header
