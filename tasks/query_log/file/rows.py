"""Rows of a query log as they come in: checked, dated, and with their users made unrecognisable at the door."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nightrank.storage.characters import folded
from nightrank.storage.errors import InputError
from nightrank.storage.filters.language import canonical, parse_filter
from nightrank.storage.keys import normalise_query
from nightrank.storage.records import BadRow, LoggedQuery
from nightrank.tasks.personal_data import MENDED_IDS, impersonal_id, masked
from nightrank.tasks.query_log.file.counts import PerhapsCounts, count_of, figures
from nightrank.tasks.query_log.file.texts import is_text, read_texts
from nightrank.tasks.read.account import LEFT_OUT_TIMES, PERHAPS_A_COUNT, Kind
from nightrank.tasks.read.input_file import InputFile
from nightrank.tasks.read.tables.columns import Columns
from nightrank.tasks.read.tables.documents import LONGEST_NO_TEXT, NO_TEXTS
from nightrank.tasks.read.tables.names import QUERIES
from nightrank.tasks.read.tables.rows import read_rows
from nightrank.tasks.read.tables.usage import Usage
from nightrank.tasks.read.values import PADDED_IDS, clean_text, identifier, kind, number_as_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nightrank.storage.records import JsonValue
    from nightrank.tasks.read.account import Account
    from nightrank.tasks.read.tables.columns import Taken
    from nightrank.tasks.read.tables.row import Row

MAX_ROW_BYTES = 1_000_000
MAX_CHARACTERS = 20_000
UNIX_TIME = re.compile(r"\d{9,19}(\.\d*)?")
BLANK_OFFSET = re.compile(r"\s+(UTC|Z|[+-]\d\d:?\d\d)\Z")  # as BigQuery and Snowflake write it
YEAR_AND_MONTH = re.compile(r"\d{4}-\d{2}")
NOBODY = frozenset({"", "-", "0", "anonymous", "n/a", "nan", "none", "null", "undefined", "unknown"})
"""What logs write where they do not know a user; taken for a user, all strangers would be one robot."""
SECONDS_FROM, SECONDS_TO = 10**8, 10**11
"""1973 to 5138: a smaller number is a date written as digits."""
YEAR_2000, YEAR_2100 = 946_684_800, 4_102_444_800
"""Between them are milliseconds, as pandas writes them, microseconds, as Analytics does, and nanoseconds; what lies
outside, such as 20240603101200, is none of them."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """A query log.

    Attributes:
        file: It, and whom to tell what it is.
        columns: What its columns may be taken for.
    """

    file: InputFile
    columns: Columns

    @staticmethod
    def at(path: Path, *, name: str, account: Account) -> LogFile:
        """A table of queries that settings do not name.

        Args:
            path: Where it is.
            name: What the user calls it.
            account: Told what was taken for what.
        """
        return LogFile(InputFile(path, name, "queries", account), Columns(QUERIES, {}))

    def rows(self) -> Iterator[Row | BadRow]:
        """Its rows, as they are.

        Raises:
            InputError: It as a whole cannot be read, or has no column of queries.
        """
        if is_text(self.file.path.name):
            return read_texts(self.file, max_bytes=MAX_ROW_BYTES)
        return read_rows(self.file, self.columns, max_bytes=MAX_ROW_BYTES)


HIGHEST_RANK = 1000


class EmptyLog(InputError):
    """A file of a log without a row."""


def read_query_log(log: LogFile, *, salt: bytes) -> Iterator[LoggedQuery | BadRow]:
    """The rows of a query log in JSONL, CSV, TSV or Parquet, by the file's suffix; BEIR's ``queries.jsonl`` as it is.

    Columns: a query, and where there are any an id, a count (a whole number; 1 without it), a timestamp (ISO 8601, or
    Unix time in seconds or smaller units, which becomes ISO 8601 in UTC), ``user``, ``session``, ``user_agent``,
    ``clicked`` and ``filter`` (a JSON object as ``storage.filters.language`` has it, or a text that holds one). Which
    they are is for ``log.columns`` to say; others are ignored. A row with ``clicked`` and a count of 0 is a click
    alone. A number is the query of its digits. Control characters become spaces. A text file has one query a line, or
    is TREC's topics.

    Args:
        log: It; its account is told what was taken for what, and never of a query's text.
        salt: Key of the hash that stands for a user, up to 64 bytes. Whoever does not have it can neither recognise
            a user nor try names; it is never stored.

    Yields:
        Each row, or a ``BadRow`` in its place: an empty query or one of more than 20,000 characters when normalised,
        a count or a timestamp of another form, an id that cannot be one, or a filter that is none: a result that
        ignored it would be wrong. A timestamp in a column that was guessed is left out instead. Reasons quote no free
        text but what a filter calls its fields and operators.

    Raises:
        InputError: The file as a whole cannot be read, or it has no column of queries.
        EmptyLog: It has no row.
    """
    name, usage, is_empty = log.file.name, Usage(log.file, rest=Kind.COLUMN_IGNORED), True
    perhaps = PerhapsCounts(is_asked="count" not in log.columns.chosen)
    for row in log.rows():
        is_empty = False
        if isinstance(row, BadRow):
            yield BadRow(row.file, row.row, masked(row.reason))
            continue
        try:
            taken = log.columns.taken(tuple(row.values))
            yield _LogRow(row, taken, usage).query(name=name, salt=salt)
            perhaps.add(row, taken)
        except ValueError as error:
            yield BadRow(name, row.number, masked(str(error)))
    for column in perhaps.columns():
        usage.remark(column, PERHAPS_A_COUNT)
    if is_empty:
        raise EmptyLog(f"{name} holds no query.", remedy="Check [queries].log; a log has at least one row.")
    usage.tell()


def hashed(value: JsonValue, *, salt: bytes) -> int | None:
    """The number that stands for a user or a session while a log is read; None for a missing or empty one.

    Returns:
        64 bits, signed: two of a million users share one with a chance of 3 in 100 million.
    """
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as in a list of text
    # However a name is written: a person who is known by two spellings is no crowd.
    text = " ".join(folded(value).split()) if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8, key=salt).digest(), "little", signed=True)


class _LogRow:
    """Takes the values of one row."""

    __slots__ = ("row", "taken", "usage")

    def __init__(self, row: Row, taken: Taken, usage: Usage) -> None:
        self.row, self.taken, self.usage = row, taken, usage
        usage.add(taken, row=row.number)

    def query(self, *, name: str, salt: bytes) -> LoggedQuery:
        """The row.

        Raises:
            ValueError: It cannot be used.
        """
        text = clean_text(self._text())
        length = len(normalise_query(text))
        if not length:
            raise ValueError("the query is empty")
        if length > MAX_CHARACTERS:
            raise ValueError(f"the query has {length:,} characters, more than the {MAX_CHARACTERS:,} allowed")
        return LoggedQuery(
            text=text,
            query_id=self._query_id(),
            count=self._count(),
            timestamp=self._timestamp(),
            file=name,
            row=self.row.number,
            user=self._sender("user", salt=salt),
            session=self._sender("session", salt=salt),
            user_agent=str(self._value("user_agent") or ""),
            clicked=None if (clicked := self._value("clicked")) in ("[]", []) else clicked,
            condition=_condition(self._value("filter")),
            shows_clicks="clicked" in self.taken.columns,
            impression=None if (impression := self._value("impression")) is None else str(impression),
            rank=_rank(self._value("rank")),
            shown=_listed(self._value("shown")),
        )

    def _values(self, role: str) -> list[JsonValue]:
        values = self.row.values
        return [values[column] for column in self.taken.columns.get(role, ())]

    def _value(self, role: str) -> JsonValue:
        """The first value that a role has."""
        for column in self.taken.columns.get(role, ()):
            value = self.row.values[column]
            if value is not None and not (isinstance(value, str) and _is_missing(value)):
                return value
        return None

    def _is_guessed(self, role: str) -> bool:
        return any(column in self.taken.guessed for column in self.taken.columns.get(role, ())[:1])

    def _text(self) -> str:
        text = next((value for value in self._values("query") if value is not None), None)
        if isinstance(text, str) and text != r"\N":
            return text
        if text is None or text == r"\N":
            raise ValueError("the query is missing")
        text = number_as_text(text)
        if not isinstance(text, str):
            raise ValueError(f"the query is {kind(text)}, not a text")
        return text

    def _query_id(self) -> str | None:
        value = self._value("query_id")
        if value is None:
            return None
        try:
            query_id = identifier(value)
        except ValueError:
            # The reason quotes the id, cut: what is cut may be masked no more.
            if isinstance(value, str) and masked(whole := normalise_query(value)) != whole:
                raise ValueError("the id holds personal data, and cannot be an id") from None
            raise
        if isinstance(value, str) and value != query_id:
            self.usage.mended(PADDED_IDS, row=self.row.number)
        if (safe := impersonal_id(query_id)) != query_id:
            self.usage.mended(MENDED_IDS, row=self.row.number)
        return safe

    def _count(self) -> int:
        value = self._value("count")
        try:
            return count_of(value, has_decimal_commas=self.row.has_decimal_commas)
        except ValueError as error:
            if not self._is_guessed("count"):
                raise
            raise ValueError(f"{error} (guessed from the column {self.taken.columns['count'][0]!r})") from None

    def _timestamp(self) -> str | None:
        try:
            return _timestamp(self._value("timestamp"))
        except ValueError:
            if not self._is_guessed("timestamp"):
                raise
            what = f"the column {self.taken.columns['timestamp'][0]!r}"
            self.usage.mended(what + LEFT_OUT_TIMES, row=self.row.number)
            return None

    def _sender(self, role: str, *, salt: bytes) -> int | None:
        """What stands for whom the first of some columns names; None where they name nobody."""
        if role not in self.taken.columns:
            return None
        known = (name for name in self._values(role) if name is not None and not _is_nobody(name))
        return hashed(next(known, None), salt=salt)


def _is_missing(text: str) -> bool:
    return not text or (len(text) <= LONGEST_NO_TEXT and text.strip() in NO_TEXTS)


def _is_nobody(name: JsonValue) -> bool:
    return str(name).strip().casefold() in NOBODY or name in NO_TEXTS


def _condition(value: JsonValue) -> str | None:
    found = parse_filter(value)
    return None if found is None else canonical(found)


def _rank(value: JsonValue) -> int | None:
    """A rank from 1; None for what is none."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) <= HIGHEST_RANK else None


def _listed(value: JsonValue) -> tuple[str, ...] | None:
    """Ids of documents, a list or JSON's text of one; None for what is none."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list):
        return None
    return tuple(str(one) for one in value if isinstance(one, str | int) and not isinstance(one, bool))


def _timestamp(value: JsonValue) -> str | None:
    if value is None or value == "":
        return None
    seconds = value
    if isinstance(value, str):
        text = value.strip()
        if not UNIX_TIME.fullmatch(text):
            return _iso_8601(text)
        seconds = float(text)
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        if SECONDS_FROM <= seconds < SECONDS_TO:
            return datetime.fromtimestamp(seconds, tz=UTC).isoformat()
        for unit in (10**3, 10**6, 10**9):
            if YEAR_2000 * unit <= seconds < YEAR_2100 * unit:
                return datetime.fromtimestamp(seconds / unit, tz=UTC).isoformat()
    raise ValueError(f"the timestamp is {figures(value)}, neither ISO 8601 nor Unix time")


def _iso_8601(text: str) -> str:
    text = BLANK_OFFSET.sub(lambda found: "Z" if found[1] == "UTC" else found[1], text)
    is_date = len(text) <= len("2024-06-03")
    try:
        moment = datetime.fromisoformat(f"{text}-01" if YEAR_AND_MONTH.fullmatch(text) else text)
        if moment.tzinfo is not None:
            moment.astimezone(UTC)  # the first and the last day of the calendar may have none
    except (ValueError, OverflowError):
        raise ValueError(f"the timestamp is {figures(text)}, neither ISO 8601 nor Unix time") from None
    return moment.date().isoformat() if is_date else moment.isoformat()
