"""Rows of a query log as they come in: checked, dated, and with their users made unrecognisable at the door."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightrank.storage.errors import InputError
from nightrank.storage.filters.language import canonical, parse_filter
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import BadRow, LoggedQuery
from nightrank.tasks.query_log.personal_data import masked
from nightrank.tasks.read.table_rows import read_rows
from nightrank.tasks.read.values import clean_text, identifier, kind, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.account import Account

TEXT_COLUMNS = ("query", "text")
ID_COLUMNS = ("_id", "query_id", "id")
USER_COLUMNS = ("user", "user_id")
SESSION_COLUMNS = ("session", "session_id")
MAX_ROW_BYTES = 1_000_000
MAX_CHARACTERS = 20_000
MAX_COUNT = 10**12
UNIX_SECONDS = re.compile(r"\d{9,11}(\.\d*)?")
YEAR_AND_MONTH = re.compile(r"\d{4}-\d{2}")
NOBODY = frozenset({"", "-", "0", "anonymous", "n/a", "nan", "none", "null", "undefined", "unknown"})
"""What logs write where they do not know a user; taken for a user, all strangers would be one robot."""
FIGURES = re.compile(r"[\d\s.,:/+-]{1,24}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
SECONDS_FROM, SECONDS_TO = 10**8, 10**11
"""1973 to 5138: a smaller number is a date written as digits, a larger one milliseconds."""


class EmptyLog(InputError):
    """A file of a log without a row."""


def read_query_log(path: Path, *, name: str, salt: bytes, account: Account) -> Iterator[LoggedQuery | BadRow]:
    """The rows of a query log in JSONL, CSV, TSV or Parquet, by the file's suffix; BEIR's ``queries.jsonl`` as it is.

    Columns: ``query`` (or ``text``), and where there are any ``query_id`` (or ``_id``, or ``id``), ``count``
    (a positive integer; 1 without it), ``timestamp`` (ISO 8601, or Unix seconds, which become ISO 8601 in UTC),
    ``user`` (or ``user_id``), ``session`` (or ``session_id``), ``user_agent``, ``clicked`` and ``filter`` (a JSON
    object as ``storage.filters.language`` has it, or a text that holds one). Others are ignored. Control characters
    become spaces.

    Args:
        path: The file.
        name: What the user calls it.
        salt: Key of the hash that stands for a user, up to 64 bytes. Whoever does not have it can neither recognise
            a user nor try names; it is never stored.
        account: Told what was taken for what; never of a query's text.

    Yields:
        Each row, or a ``BadRow`` in its place: an empty query or one of more than 20,000 characters when normalised,
        a count or a timestamp of another form, an id that cannot be one, or a filter that is none: a result that
        ignored it would be wrong. Reasons quote no free text but what a filter calls its fields and operators.

    Raises:
        InputError: The file as a whole cannot be read, or its first row has no query column.
        EmptyLog: It has no row.
    """
    is_empty, is_checked = True, False
    for row in read_rows(path, name=name, max_bytes=MAX_ROW_BYTES, account=account, part="queries"):
        is_empty = False
        if isinstance(row, BadRow):
            yield BadRow(row.file, row.row, masked(row.reason))
            continue
        if not is_checked:
            _require_text_column(row.values, name=name)
            is_checked = True
        try:
            yield _logged_query(row.values, name=name, row=row.number, salt=salt)
        except ValueError as error:
            yield BadRow(name, row.number, masked(str(error)))
    if is_empty:
        raise EmptyLog(f"{name} holds no query.", remedy="Check [queries].log; a log has at least one row.")


def hashed(value: JsonValue, *, salt: bytes) -> int | None:
    """The number that stands for a user or a session while a log is read; None for a missing or empty one.

    Returns:
        64 bits, signed: two of a million users share one with a chance of 3 in 100 million.
    """
    if value is None or value == "":
        return None
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=salt).digest(), "little", signed=True)


def _logged_query(values: Mapping[str, JsonValue], *, name: str, row: int, salt: bytes) -> LoggedQuery:
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
    query_id = _first(values, ID_COLUMNS)
    return LoggedQuery(
        text=text,
        query_id=None if query_id is None else _query_id(query_id),
        count=_count(values.get("count")),
        timestamp=_timestamp(values.get("timestamp")),
        file=name,
        row=row,
        user=_sender(values, USER_COLUMNS, salt=salt),
        session=_sender(values, SESSION_COLUMNS, salt=salt),
        user_agent=str(values.get("user_agent") or ""),
        clicked=values.get("clicked"),
        condition=_condition(values.get("filter")),
    )


def _condition(value: JsonValue) -> str | None:
    found = parse_filter(value)
    return None if found is None else canonical(found)


def _first(values: Mapping[str, JsonValue], columns: tuple[str, ...]) -> JsonValue:
    """The first of some columns that has a value."""
    return next((values[column] for column in columns if values.get(column) not in (None, "")), None)


def _sender(values: Mapping[str, JsonValue], columns: tuple[str, ...], *, salt: bytes) -> int | None:
    """What stands for whom the first of some columns names; None where they name nobody."""
    named = (values[column] for column in columns if column in values)
    known = (name for name in named if name is not None and str(name).strip().casefold() not in NOBODY)
    return hashed(next(known, None), salt=salt)


def _query_id(value: JsonValue) -> str:
    try:
        return identifier(value)
    except ValueError:
        # The reason quotes the id, cut: what is cut may be masked no more.
        if isinstance(value, str) and masked(whole := normalise_query(value)) != whole:
            raise ValueError("the id holds personal data, and cannot be an id") from None
        raise


def _count(value: JsonValue) -> int:
    if value is None or value == "":
        return 1
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,13}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_COUNT:
        raise ValueError(f"the count is {_figures(value)}, not a positive integer")
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
    raise ValueError(f"the timestamp is {_figures(value)}, neither ISO 8601 nor Unix seconds")


def _iso_8601(text: str) -> str:
    is_date = len(text) <= len("2024-06-03")
    try:
        moment = datetime.fromisoformat(f"{text}-01" if YEAR_AND_MONTH.fullmatch(text) else text)
        if moment.tzinfo is not None:
            moment.astimezone(UTC)  # the first and the last day of the calendar may have none
    except (ValueError, OverflowError):
        raise ValueError(f"the timestamp is {_figures(text)}, neither ISO 8601 nor Unix seconds") from None
    return moment.date().isoformat() if is_date else moment.isoformat()


def _figures(value: JsonValue) -> str:
    """A value that should have been figures; another text may be a query in the wrong column."""
    if isinstance(value, str) and not FIGURES.fullmatch(value):
        return f"a text of {len(value)} characters"
    return shown(value) if isinstance(value, str | int | float) else kind(value)


def _require_text_column(values: Mapping[str, JsonValue], *, name: str) -> None:
    if not set(TEXT_COLUMNS) & set(values):
        # A log without a header has its first row there, which is somebody's.
        are_names = all(NAME.fullmatch(column) for column in values)
        found = shown(", ".join(values)) if are_names else f"{len(values)} columns, not all of them named"
        raise InputError(
            f"{name} has no query column: expected {' or '.join(TEXT_COLUMNS)}, found {found}.",
            remedy="Rename the column, or name the right file as [queries].log.",
        )
