"""A query of a Postgres database: read-only, in one snapshot, by a cursor of the server's, in bounded time."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors
from psycopg.adapt import Loader
from psycopg.sql import SQL, Composed, Identifier
from psycopg.types.datetime import (
    DateLoader,
    IntervalLoader,
    TimeLoader,
    TimestampLoader,
    TimestamptzLoader,
    TimetzLoader,
)
from typing_extensions import override

from nightrank.storage.errors import InputError, MachineError, TargetUnreachable
from nightrank.storage.files.text import plain_text
from nightrank.storage.sources.database import Database, Key, as_subquery, many, require_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg.abc import Buffer

    from nightrank.storage.serving.address import Address

# What is read must not depend on where it is read from, so dates come in UTC and in one form.
_SESSION = SQL(
    "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL IntervalStyle = 'postgres'; "
    "SET LOCAL idle_in_transaction_session_timeout = 0"
)
_TIMEOUT = SQL("SELECT set_config('statement_timeout', %s, true)")
_TABLES = SQL(
    "SELECT table_schema::text, table_name::text, column_name::text FROM information_schema.columns "
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') "
    "ORDER BY table_schema, table_name, ordinal_position"
)
# A statement with a parameter can be one alone, whatever the query is: the server refuses a second.
_NONE = SQL("SELECT * FROM ({query}) AS documents LIMIT %s")
_ALL = SQL("SELECT * FROM ({query}) AS documents")
_VERSIONS = SQL("SELECT documents.{id}::text, documents.{cursor}::text FROM ({query}) AS documents")
# The ids come as one text, which the server reads as an array of whatever type they are of: so an index serves it.
_ROWS_OF = SQL(
    "SELECT documents.{id}::text, documents.{cursor}::text, documents.* FROM ({query}) AS documents "
    "WHERE documents.{id} = ANY (%s)"
)
_SIGNATURE = SQL(
    "SELECT count(*)::text || ' ' || coalesce(sum(hashtextextended(documents::text, %s)::numeric), 0)::text "
    "FROM ({query}) AS documents"
)
_SIGNATURE_BY_CURSOR = SQL(
    "SELECT count(*)::text || ' ' || coalesce(sum(hashtextextended("
    "concat(documents.{id}::text, ' ', documents.{cursor}::text), %s)::numeric), 0)::text FROM ({query}) AS documents"
)
# By which a connection that cannot be made is known for the user's mistake; there is no code of an error for it.
_WRONG_ADDRESS = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")


class PostgresQuery(Database):
    """A query, in a session that begins with the first statement.

    Args:
        address: Of the database.
        query: Its text.
        max_seconds: That a statement, or a part of a cursor, may take.
    """

    def __init__(self, address: Address, query: str, *, max_seconds: float) -> None:
        self._address, self._max_seconds = address, max_seconds
        self._query = as_subquery(query)
        self._open: psycopg.Connection | None = None

    @override
    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    @override
    def columns(self) -> list[str]:
        return self._columns

    @cached_property
    def _columns(self) -> list[str]:
        with self._translating_errors(), self._session.cursor() as cursor:
            cursor.execute(self._put(_NONE, takes_parameters=True), [0])
            return require_columns([column.name for column in cursor.description or ()], name=self._address.shown)

    @override
    def tables(self) -> list[tuple[str, str, str]]:
        with self._translating_errors(), self._session.cursor() as cursor:
            return cursor.execute(_TABLES).fetchall()

    @override
    def rows(self) -> Iterator[tuple[Any, ...]]:
        yield from self._streamed(self._put(_ALL))

    @override
    def versions(self, key: Key) -> Iterator[tuple[str | None, str | None]]:
        self._require(key)
        yield from self._streamed(self._put(_VERSIONS, key))

    @override
    def rows_of(self, key: Key, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        with self._translating_errors(), self._session.cursor() as cursor:
            cursor.execute(self._put(_ROWS_OF, key, takes_parameters=True), [_array(ids)])
            yield from cursor

    @override
    def signature(self, key: Key | None) -> str:
        statement = self._put(_SIGNATURE if key is None else _SIGNATURE_BY_CURSOR, key, takes_parameters=True)
        with self._translating_errors(), self._session.cursor() as cursor:
            [(found,)] = cursor.execute(statement, [0]).fetchall()
            return str(found)

    def _require(self, key: Key) -> None:
        require_columns(self._columns, name=self._address.shown, needed=key)

    @property
    def _session(self) -> psycopg.Connection:
        if self._open is None:
            address = self._address
            password: dict[str, Any] = {} if address.password is None else {"password": address.password}
            opened = psycopg.connect(
                address.url, connect_timeout=10, application_name="nightrank", prepare_threshold=None, **password
            )
            self._open = opened
            for kind, loader in _LOADERS.items():
                opened.adapters.register_loader(kind, loader)
            opened.read_only = True
            opened.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # one snapshot for all statements
            opened.execute(_SESSION)
            opened.execute(_TIMEOUT, [str(round(self._max_seconds * 1000))])
        return self._open

    def _put(self, statement: SQL, key: Key | None = None, *, takes_parameters: bool = False) -> Composed:
        """A statement with the query in it, in which a percent sign is one and stands for no parameter."""
        query = self._query.replace("%", "%%") if takes_parameters else self._query
        # The settings file's own text, which is what it is for; nothing that was read is in it.
        named = {"query": SQL(query)}
        if key is None:
            return statement.format(**named)
        return statement.format(**named, id=Identifier(key.id), cursor=Identifier(key.cursor))

    def _streamed(self, statement: Composed) -> Iterator[tuple[Any, ...]]:
        with self._translating_errors(), self._session.cursor(name="nightrank_documents") as cursor:
            cursor.execute(statement)
            asked, rows = 1, list[tuple[Any, ...]]()
            while rows := cursor.fetchmany(asked := many(rows, asked)):
                yield from rows

    @contextmanager
    def _translating_errors(self) -> Iterator[None]:
        where = self._address.shown
        try:
            yield
        except errors.QueryCanceled as error:
            raise MachineError(
                f"{where} was still at work on the query after {self._max_seconds:g} seconds: {_words(error)}.",
                remedy="Raise [documents].max_query_seconds, or make the query cheaper.",
            ) from error
        except errors.InsufficientPrivilege as error:
            raise InputError(
                f"{where} does not allow the query: {_words(error)}.", remedy="Grant this user SELECT on what it reads."
            ) from error
        except errors.SerializationFailure as error:  # a standby that had to go on
            raise MachineError(f"{where} ended the query: {_words(error)}.", remedy="Run again.") from error
        except (psycopg.ProgrammingError, psycopg.DataError, errors.ReadOnlySqlTransaction) as error:
            raise InputError(
                f"{where} refuses the query: {_words(error)}.",
                remedy="Correct [documents].query: one SELECT, and no more.",
            ) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            words = _words(error)
            if any(said in words for said in _WRONG_ADDRESS):
                raise InputError(
                    f"{where} rejects the login: {words}.",
                    remedy="Correct user and database in [documents].source, and the password in the environment.",
                ) from error
            raise TargetUnreachable(
                f"{where} does not answer: {words}.", remedy="Check that it runs and can be reached, then run again."
            ) from error
        except psycopg.Error as error:
            raise MachineError(f"{where} failed: {_words(error)}.", remedy="See its log.") from error


class _OrText(Loader):
    """Before a loader of times: a time as Python has it, or as the server writes it where Python has none such.

    Those are infinite ones, and 24:00.
    """

    @override
    def load(self, data: Buffer) -> Any:  # as psycopg has it
        try:
            return super().load(data)  # type: ignore[safe-super]  # of the loader behind it
        except psycopg.DataError:
            return bytes(data).decode()


_LOADERS: Mapping[str, type[Loader]] = {
    kind: type(loader.__name__, (_OrText, loader), {})
    for kind, loader in {
        "date": DateLoader,
        "timestamp": TimestampLoader,
        "timestamptz": TimestamptzLoader,
        "time": TimeLoader,
        "timetz": TimetzLoader,
        "interval": IntervalLoader,
    }.items()
}


def _array(ids: Sequence[str]) -> str:
    r"""Texts as the literal of an array: a parameter, which the server reads.

    >>> _array(["7", 'a"b', "c\\"])
    '{"7","a\\"b","c\\\\"}'
    """
    escaped = (one.replace("\\", "\\\\").replace('"', '\\"') for one in ids)
    return "{" + ",".join(f'"{one}"' for one in escaped) + "}"


def _words(error: Exception) -> str:
    """The first line of what the server said."""
    return plain_text((str(error).strip().partition("\n")[0] or type(error).__name__)[:300].rstrip("."))
