"""A query of a file: a database of DuckDB or SQLite, or a table that DuckDB reads (Parquet, CSV, JSON) as `documents`.

Databases of SQLite are read by SQLite itself, with SQLite's SQL: DuckDB would have to install an extension for them.
"""

from __future__ import annotations

import glob
import sqlite3
from abc import abstractmethod
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import duckdb
from typing_extensions import override

from nightrank.storage.errors import InputError, MachineError
from nightrank.storage.files.database import connect, one_file
from nightrank.storage.files.text import plain_text
from nightrank.storage.foreign import machine_error
from nightrank.storage.keys import unordered_digest
from nightrank.storage.sources.database import (
    DUCKDB_SUFFIXES,
    EITHER,
    PATTERN,
    SQLITE_SUFFIXES,
    Database,
    Key,
    as_subquery,
    many,
    quoted,
    require_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ONE_SELECT = "Correct [documents].query: one SELECT, and no more."
SQLITE_HEAD = b"SQLite format 3\x00"
_TABLES_OF_SQLITE = """
SELECT 'main', m.name, p.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS p
WHERE m.type IN ('table', 'view') AND m.name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY m.name, p.cid
"""
_TABLES_OF_DUCKDB = """
SELECT table_schema, table_name, column_name FROM information_schema.columns
WHERE table_catalog = current_database() ORDER BY table_schema, table_name, ordinal_position
"""


class _Cursor(Protocol):
    """What both libraries' cursors have in common."""

    @property
    def description(self) -> Any: ...  # noqa: ANN401  # each library has its own

    def fetchmany(self, size: int, /) -> list[Any]: ...


class _Opened(Protocol):
    """What both libraries' connections have in common."""

    def close(self) -> None: ...


class DatabaseFile(Database):
    """A query of a file on this machine.

    Args:
        path: Of the file.
        name: What the user calls it.
        query: Its text.
    """

    # All that differs is how an id is looked for among others.
    _all = "SELECT * FROM ({query}) AS documents"
    _versions = "SELECT CAST(documents.{id} AS {text}), CAST(documents.{cursor} AS {text}) FROM ({query}) AS documents"
    _rows_of: str
    _tables: str
    _text: str

    def __init__(self, path: Path, query: str, *, name: str) -> None:
        self._path, self._name, self._query = path, name, as_subquery(query)

    @override
    def close(self) -> None:
        if "_open" in self.__dict__:
            self._open.close()

    @property
    @abstractmethod
    def _open(self) -> _Opened: ...

    @abstractmethod
    def _execute(self, statement: str, parameters: Sequence[object] = ()) -> _Cursor: ...

    @abstractmethod
    def _ids(self, ids: Sequence[str]) -> object: ...

    @override
    def tables(self) -> list[tuple[str, str, str]]:
        return [(schema, table, column) for schema, table, column in self._streamed(self._tables)]

    @override
    def columns(self) -> list[str]:
        return self._columns

    @cached_property
    def _columns(self) -> list[str]:
        with self._translating_errors():
            cursor = self._execute(self._put(f"{self._all} LIMIT 0"))
            names = [column[0] for column in cursor.description or ()]
            cursor.fetchmany(1)
        return require_columns(names, name=self._name)

    @override
    def rows(self) -> Iterator[tuple[Any, ...]]:
        yield from self._streamed(self._put(self._all))

    @override
    def versions(self, key: Key) -> Iterator[tuple[str | None, str | None]]:
        require_columns(self._columns, name=self._name, needed=key)
        yield from self._streamed(self._put(self._versions, key))

    @override
    def rows_of(self, key: Key, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        yield from self._streamed(self._put(self._rows_of, key), [self._ids(ids)])

    @override
    def signature(self, key: Key | None) -> str:
        """By the files' times and sizes, whatever is in them."""
        paths = [self._path, *(self._path.with_name(f"{self._path.name}{end}") for end in ("-wal", ".wal"))]
        if glob.has_magic(str(self._path)) and not self._path.exists():
            paths = [Path(found) for found in glob.iglob(str(self._path), recursive=True)]  # noqa: PTH207  # it may be absolute
        found = [(path, path.stat()) for path in paths if path.exists()]
        return unordered_digest(f"{one.st_ino} {one.st_mtime_ns} {one.st_size} {path}" for path, one in found)

    def _put(self, statement: str, key: Key | None = None) -> str:
        named = {"query": self._query, "text": self._text}
        return statement.format(**named, **({"id": quoted(key.id), "cursor": quoted(key.cursor)} if key else {}))

    def _streamed(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        with self._translating_errors():
            cursor = self._execute(statement, parameters)
            asked, rows = 1, list[tuple[Any, ...]]()
            while rows := cursor.fetchmany(asked := many(rows, asked)):
                yield from rows

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, sqlite3.Error, sqlite3.Warning) as error:
            said = plain_text(str(error).strip().partition("\n")[0][:300].rstrip("."))
            name = getattr(error, "sqlite_errorname", "")
            if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or (
                isinstance(error, duckdb.IOException) and "Could not set lock" in said
            ):
                raise MachineError(
                    f"{self._name} is being written by another process: {said}.", remedy="Wait for it, then run again."
                ) from error
            # What SQLite says of a statement quotes it, and may have any word in it.
            if name != "SQLITE_ERROR" and (told := machine_error(error)) is not None:
                raise MachineError(f"{self._name}: {told.message}", remedy=told.remedy) from error
            if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or isinstance(error, duckdb.IOException):
                raise InputError(
                    f"{self._name} cannot be read: {said}.",
                    remedy="See that it is whole, and what its name says.",
                ) from error
            raise InputError(f"{self._name} refuses the query: {said}.", remedy=_ONE_SELECT) from error
        except OverflowError as error:  # of DuckDB, on its way to Python
            raise InputError(
                f"The query of {self._name} gives a value that is too large to be read.",
                remedy="Have it give a text in its place: CAST(... AS VARCHAR).",
            ) from error


class DuckDbFile(DatabaseFile):
    """A database of DuckDB, or a table that it reads, which the query calls `documents`."""

    _text = "VARCHAR"
    _tables = _TABLES_OF_DUCKDB
    _rows_of = (
        "SELECT CAST(documents.{id} AS VARCHAR), CAST(documents.{cursor} AS VARCHAR), documents.* "
        "FROM ({query}) AS documents WHERE CAST(documents.{id} AS VARCHAR) IN (SELECT unnest(?::VARCHAR[]))"
    )

    @override
    def _execute(self, statement: str, parameters: Sequence[object] = ()) -> _Cursor:
        # The query stands in parentheses; one that ends them could go on with a statement that writes.
        if len(self._open.extract_statements(statement)) > 1:
            raise InputError(f"The query of {self._name} is more than one statement.", remedy=_ONE_SELECT)
        # Each statement has a cursor of its own, which nobody has half read.
        return self._open.cursor().execute(statement, list(parameters))

    @override
    def _ids(self, ids: Sequence[str]) -> object:
        return list(ids)

    @cached_property
    def _open(self) -> duckdb.DuckDBPyConnection:
        is_database = self._path.suffix.lower() in {*DUCKDB_SUFFIXES, EITHER}
        opened = connect(self._path if is_database else None, read_only=is_database, sees_variables=False)
        opened.execute("SET preserve_insertion_order = true; SET TimeZone = 'UTC'")
        if not is_database:
            where = (
                str(self._path) if glob.has_magic(str(self._path)) and not self._path.exists() else one_file(self._path)
            )
            suffix = self._path.name.lower().partition(".")[2]
            if suffix.endswith("parquet"):
                opened.read_parquet(where).create_view(PATTERN)
            elif "json" in suffix:
                opened.read_json(where).create_view(PATTERN)
            else:
                opened.read_csv(where).create_view(PATTERN)
        return opened


class SqliteFile(DatabaseFile):
    """A database of SQLite."""

    _text = "TEXT"
    _tables = _TABLES_OF_SQLITE
    _rows_of = (
        "SELECT CAST(documents.{id} AS TEXT), CAST(documents.{cursor} AS TEXT), documents.* "
        "FROM ({query}) AS documents WHERE CAST(documents.{id} AS TEXT) IN (SELECT value FROM json_each(?))"
    )

    @override
    def _execute(self, statement: str, parameters: Sequence[object] = ()) -> _Cursor:
        return self._open.execute(statement, parameters)

    @override
    def _ids(self, ids: Sequence[str]) -> object:
        import json

        return json.dumps(list(ids))

    @cached_property
    def _open(self) -> sqlite3.Connection:
        address = f"file:{quote(str(self._path.absolute()))}?mode=ro"
        opened = sqlite3.connect(address, uri=True, isolation_level=None)
        opened.text_factory = _text_of
        opened.execute("PRAGMA query_only = ON")
        opened.execute("BEGIN")  # one view of it until it is closed
        return opened


def database_file(path: Path, query: str, *, name: str) -> DatabaseFile:
    """A query of a file, by what the file is."""
    suffix = path.suffix.lower()
    if suffix in SQLITE_SUFFIXES or (suffix == EITHER and _is_sqlite(path)):
        return SqliteFile(path, query, name=name)
    return DuckDbFile(path, query, name=name)


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE_HEAD)) == SQLITE_HEAD


def _text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")  # what is no text is a bad row, and not the end of the night
