"""What people searched for: rows of a query log, and the table of distinct queries that a release answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from storage.errors import InputError
from storage.keys import normalise_query, query_key
from storage.records import QUERIES, BadRow, LoggedQuery
from tasks.source_rows import read_rows
from tasks.values import clean_text, identifier, kind, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from storage.records import JsonValue

TEXT_COLUMNS = ("query", "text")
ID_COLUMNS = ("_id", "query_id", "id")
MAX_ROW_BYTES = 1_000_000
MAX_CHARACTERS = 20_000
MAX_COUNT = 10**12
EMPTY_FILTERS = ("null", "{}", "[]")
UNIX_SECONDS = re.compile(r"\d{9,11}(\.\d*)?")
YEAR_AND_MONTH = re.compile(r"\d{4}-\d{2}")
SECONDS_FROM, SECONDS_TO = 10**8, 10**11
"""1973 to 5138: a smaller number is a date written as digits, a larger one milliseconds."""


def read_query_log(path: Path, *, name: str) -> Iterator[LoggedQuery | BadRow]:
    """The rows of a query log in JSONL, CSV, TSV or Parquet, by the file's suffix; BEIR's ``queries.jsonl`` as it is.

    Columns: ``query`` (or ``text``), and where there are any ``query_id`` (or ``_id``, or ``id``), ``count``
    (a positive integer; 1 without it), ``timestamp`` (ISO 8601, or Unix seconds, which become ISO 8601 in UTC) and
    ``filter``. Others are ignored. Control characters become spaces.

    Yields:
        Each row, or a ``BadRow`` in its place: an empty query or one of more than 20,000 characters when normalised,
        a count or a timestamp of another form, an id that cannot be one, or a filter. A filter is not applied yet,
        and a result that ignored it would be wrong.

    Raises:
        InputError: The file as a whole cannot be read, its first row has no query column, or it has no row.
    """
    is_empty, is_checked = True, False
    for row in read_rows(path, name=name, max_bytes=MAX_ROW_BYTES):
        is_empty = False
        if isinstance(row, BadRow):
            yield row
            continue
        if not is_checked:
            _require_text_column(row.values, name=name)
            is_checked = True
        try:
            yield _logged_query(row.values, name=name, row=row.number)
        except ValueError as error:
            yield BadRow(name, row.number, str(error))
    if is_empty:
        raise InputError(f"{name} holds no query.", remedy="Check [queries].log; a log has at least one row.")


def merge_queries(rows: Iterable[LoggedQuery], *, budget: int) -> pa.Table:
    """The distinct queries of a log, the most frequent first, at most ``budget`` of them.

    Rows whose normalised text agrees are one query: their counts are added, their ids collected in the order met,
    each once. Queries of equal count are in the order of their normalised text. Memory grows with the number of
    distinct queries, not with the log.

    Args:
        rows: The log.
        budget: The most queries to keep.

    Returns:
        A table of the schema ``QUERIES``.

    Raises:
        InputError: Two rows give the same ``query_id`` to different texts.
    """
    counts: dict[str, int] = {}
    ids: dict[str, list[str]] = {}
    keys: dict[str, str] = {}
    owners: dict[str, tuple[str, LoggedQuery]] = {}
    for row in rows:
        text = normalise_query(row.text)
        counts[text] = counts.get(text, 0) + row.count
        keys.setdefault(text, query_key(row.text))
        if row.query_id is None:
            continue
        owner, first = owners.setdefault(row.query_id, (text, row))
        if owner != text:
            raise InputError(
                f"{row.file}, row {row.row}: the query_id {shown(row.query_id)} belongs to {shown(owner)} "
                f"({first.file}, row {first.row}), and here to {shown(text)}.",
                remedy="Give each query text an id of its own.",
            )
        if first is row:
            ids.setdefault(text, []).append(row.query_id)
    chosen = sorted(counts, key=lambda text: (-counts[text], text))[:budget]
    columns = {
        "query_key": [keys[text] for text in chosen],
        "text": chosen,
        "count": [counts[text] for text in chosen],
        "query_ids": [ids.get(text, []) for text in chosen],
    }
    return pa.Table.from_pydict(columns, schema=QUERIES)


def _logged_query(values: Mapping[str, JsonValue], *, name: str, row: int) -> LoggedQuery:
    if (condition := values.get("filter")) and condition not in EMPTY_FILTERS:
        raise ValueError("it has a filter; filters are not applied yet, and a result that ignored it would be wrong")
    text = next((values[column] for column in TEXT_COLUMNS if column in values), None)
    if text is None:
        raise ValueError("the query is missing")
    if not isinstance(text, str):
        raise ValueError(f"the query is {kind(text)}, not a text")
    text = clean_text(text)
    length = len(normalise_query(text))
    if not length:
        raise ValueError("the query is empty")
    if length > MAX_CHARACTERS:
        raise ValueError(f"the query has {length:,} characters, more than the {MAX_CHARACTERS:,} allowed")
    query_id = next((values[column] for column in ID_COLUMNS if values.get(column) not in (None, "")), None)
    return LoggedQuery(
        text=text,
        query_id=None if query_id is None else identifier(query_id),
        count=_count(values.get("count")),
        timestamp=_timestamp(values.get("timestamp")),
        file=name,
        row=row,
    )


def _count(value: JsonValue) -> int:
    if value is None or value == "":
        return 1
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,13}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise ValueError(f"the count is {shown(value)}, not a positive integer")
    return value


def _timestamp(value: JsonValue) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        text = value.strip()
        if not UNIX_SECONDS.fullmatch(text):
            return _iso_8601(text)
        value = float(text)
    if isinstance(value, int | float) and not isinstance(value, bool) and SECONDS_FROM <= value < SECONDS_TO:
        return datetime.fromtimestamp(value, tz=UTC).isoformat()
    raise ValueError(f"the timestamp is {shown(value)}, neither ISO 8601 nor Unix seconds")


def _iso_8601(text: str) -> str:
    is_date = len(text) <= len("2024-06-03")
    try:
        moment = datetime.fromisoformat(f"{text}-01" if YEAR_AND_MONTH.fullmatch(text) else text)
    except ValueError:
        raise ValueError(f"the timestamp is {shown(text)}, neither ISO 8601 nor Unix seconds") from None
    return moment.date().isoformat() if is_date else moment.isoformat()


def _require_text_column(values: Mapping[str, JsonValue], *, name: str) -> None:
    if not set(TEXT_COLUMNS) & set(values):
        raise InputError(
            f"{name} has no query column: expected {' or '.join(TEXT_COLUMNS)}, found {shown(', '.join(values))}.",
            remedy="Rename the column, or name the right file as [queries].log.",
        )
